//! `sojourn keys`: the secret keys of the application's servers, and the keys that sign tokens.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sojourn_core::settings::parse_duration;

use super::ServerArguments;
use super::sessions::{checked, time};
use super::signing_keys::{self, SigningKeysCommand};
use crate::client::Client;
use crate::failure::Failure;
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
    let client = Client::find(&arguments.server)?;
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
    output::note(&format!("{} is told here and nowhere else", key["id"].as_str().unwrap_or("the key")));
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
