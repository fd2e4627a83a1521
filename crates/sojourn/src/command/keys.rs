//! `sojourn keys`: the secret keys of the application's servers, and the keys that sign tokens.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sojourn_core::settings::parse_duration;

use sojourn_service::secret_keys::NewSecretKey;
use sojourn_service::{Clock as _, Rng, secret_keys};
use sojourn_store::{Database, Engine as _, MigrationMode, SecretKeyRole, StoreError};

use super::sessions::{checked, time};
use super::signing_keys::{self, SigningKeysCommand};
use super::{ServerArguments, by_command_line};
use crate::client::Client;
use crate::clock::SystemClock;
use crate::config::{Config, Sources};
use crate::data_folder::DataFolder;
use crate::database;
use crate::failure::{Exit, Failure};
use crate::output;

const KEYS: &str = "/v1/instance/secret_keys";

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// List the keys, with their last use
    List(ListArguments),
    /// Make a key, and print it: it is told once
    Create(CreateArguments),
    /// Take a key back, at once and for good
    Revoke(RevokeArguments),
    /// The keys that sign session tokens
    #[command(subcommand)]
    Signing(SigningKeysCommand),
}

#[derive(Debug, Args)]
pub struct ListArguments {
    /// One object: {"data":[…],"total_count":N}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub struct CreateArguments {
    /// What it is for, such as the name of the application
    #[arg(long)]
    name: Option<String>,
    /// What it may do: everything; requests that change nothing; sessions, clients and reading users
    #[arg(long, value_parser = ["full", "read_only", "sessions"], default_value = "full")]
    role: String,
    /// Refuse it after that time
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    lifetime: Option<u64>,
    /// As one JSON object; the key is its "secret"
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub struct RevokeArguments {
    /// Such as key_2kX…
    #[arg(value_name = "ID")]
    id: String,
    /// As one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

impl KeysCommand {
    pub fn json(&self) -> bool {
        match self {
            Self::List(arguments) => arguments.json,
            Self::Create(arguments) => arguments.json,
            Self::Revoke(arguments) => arguments.json,
            Self::Signing(SigningKeysCommand::List(arguments)) => arguments.json,
            Self::Signing(SigningKeysCommand::Rotate(arguments)) => arguments.json,
        }
    }
}

pub async fn run(command: &KeysCommand) -> Result<(), Failure> {
    match command {
        KeysCommand::List(arguments) => list(arguments).await,
        KeysCommand::Create(arguments) => create(arguments).await,
        KeysCommand::Revoke(arguments) => revoke(arguments).await,
        KeysCommand::Signing(command) => signing_keys::run(command).await,
    }
}

async fn list(arguments: &ListArguments) -> Result<(), Failure> {
    let client = Client::find(&arguments.server)?;
    let keys =
        client.get(KEYS, &[]).await.map_err(|refused| refused.while_doing("cannot list the secret keys"))?;
    if arguments.json {
        return output::line(&keys.to_string());
    }
    let rows: Vec<Vec<String>> = keys["data"].as_array().into_iter().flatten().map(row).collect();
    output::line(&output::table(&["ID", "NAME", "ROLE", "CREATED", "LAST USED", "STATUS"], &rows))
}

fn row(key: &Value) -> Vec<String> {
    let status = match key["revoked_at"].as_i64() {
        Some(at) => format!("revoked {}", time(Some(at))),
        None if key["is_printed_at_start"] == true => "printed at start".to_owned(),
        None => match key["expires_at"].as_i64() {
            Some(at) => format!("until {}", time(Some(at))),
            None => "good".to_owned(),
        },
    };
    vec![
        key["id"].as_str().unwrap_or("-").to_owned(),
        key["name"].as_str().unwrap_or("-").to_owned(),
        key["role"].as_str().unwrap_or("-").to_owned(),
        time(key["created_at"].as_i64()),
        time(key["last_used_at"].as_i64()),
        status,
    ]
}

async fn create(arguments: &CreateArguments) -> Result<(), Failure> {
    let client = match Client::find(&arguments.server) {
        Err(nobody) if nobody.exit == Exit::Unreachable => {
            return create_in_database(arguments, nobody).await;
        }
        found => found?,
    };
    let body = json!(sojourn_api::CreateSecretKey {
        name: arguments.name.clone(),
        role: Some(arguments.role.clone()),
        expires_in_seconds: arguments.lifetime,
    });
    let key =
        client.post(KEYS, &body).await.map_err(|refused| refused.while_doing("cannot make a secret key"))?;
    if arguments.json {
        return output::line(&key.to_string());
    }
    output::line(key["secret"].as_str().unwrap_or_default())?;
    output::note(&format!(
        "the secret of {} is shown this once: only its hash is stored",
        key["id"].as_str().unwrap_or("the key")
    ));
    Ok(())
}

/// Where no server runs, the database takes the key: the way to the first one of an instance that the
/// configuration made. `nobody` says that there is no server, for where there is no database either.
async fn create_in_database(arguments: &CreateArguments, nobody: Failure) -> Result<(), Failure> {
    let flags = super::flags([("--data", "data", &arguments.server.data)]);
    let config = Config::load(&Sources::of_this_process(arguments.server.config.clone(), flags)?)?;
    let database = database::named(&config, &config.data)?;
    let role = SecretKeyRole::from_word(&arguments.role).ok_or_else(|| {
        Failure::new(Exit::Usage, "role_unknown", format!("there is no role \"{}\"", arguments.role))
            .because("a key has one of the roles that are known")
            .next("sojourn keys create --help lists them")
    })?;
    let _alone = match &database {
        Database::File(path) if !path.exists() => return Err(nobody),
        Database::File(_) => Some(DataFolder::open(&config.data)?),
        Database::Server(_) => None,
    };
    let failed = |error: StoreError| database::failed(&database, &error);
    let store = database.open(MigrationMode::Refuse).await.map_err(failed)?;
    let name = arguments.name.as_deref().map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
    let now = SystemClock.now();
    let expires_at = arguments.lifetime.map(|seconds| now + Duration::from_secs(seconds));
    let new = NewSecretKey { name, role, expires_at };
    let made = secret_keys::create_in(&store, &by_command_line(), new, now, &Rng::System).await;
    let closed = store.close().await;
    let made = made.map_err(|error| {
        Failure::new(Exit::Other, "secret_key_not_made", "cannot make a secret key")
            .because(error.to_string())
            .next("check the database, and run the command again: a key that nobody was told opens nothing")
    })?;
    let Some((key, text)) = made else { return Err(nobody) };
    closed.map_err(failed)?;
    if arguments.json {
        let key =
            json!({ "object": "secret_key", "id": key.id().to_string(), "name": key.name, "secret": text });
        return output::line(&key.to_string());
    }
    output::line(&text)?;
    output::note(&format!("the secret of {} is shown this once: only its hash is stored", key.id()));
    Ok(())
}

async fn revoke(arguments: &RevokeArguments) -> Result<(), Failure> {
    let client = Client::find(&arguments.server)?;
    let id = checked(&arguments.id, "key", "sojourn keys list")?;
    let key = client
        .post(&format!("{KEYS}/{id}/revoke"), &json!({}))
        .await
        .map_err(|refused| refused.while_doing(&format!("cannot revoke {id}")))?;
    if arguments.json {
        return output::line(&key.to_string());
    }
    output::line(&format!("{id} revoked"))
}
