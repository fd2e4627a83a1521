//! `sojourn init production`: makes the instance, shows its secret key once, and writes the configuration.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use sojourn_core::host::{PublicHost, registrable_domain};
use sojourn_service::{Clock as _, NewInstance, Rng, StartError};
use sojourn_store::{CommitError, Engine as _, Instance, MigrationMode, Store};
use url::Url;

use super::flags;
use crate::clock::SystemClock;
use crate::config::{Config, Flag, Sources, production_origin};
use crate::data_folder::DataFolder;
use crate::database::{self, shown};
use crate::env_lines::{self, Access, Stack};
use crate::failure::{Exit, Failure};
use crate::output;

#[derive(Debug, Subcommand)]
pub enum InitCommand {
    /// Make a production instance in an empty database; its secret key is shown once
    Production(ProductionArguments),
}

#[derive(Debug, Args)]
pub struct ProductionArguments {
    /// DNS name by which browsers reach the server, such as clerk.example.com; it cannot change
    #[arg(long, value_name = "HOST")]
    host: String,
    /// Origin of an application, such as https://app.example.com; may be repeated
    #[arg(long = "app", value_name = "ORIGIN", required = true)]
    apps: Vec<String>,
    /// Configuration file to write; one that exists is left as it is [default: ./sojourn.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of the database and the master key [default: ./.sojourn]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// postgres://…; other users of this machine can see it [else: SOJOURN_DATABASE, DATABASE_URL]
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// For which stack the lines of the application are
    #[arg(long = "for", value_enum, default_value = "next", value_name = "STACK")]
    stack: Stack,
    /// As one JSON object, the secret key included
    #[arg(long)]
    json: bool,
}

impl InitCommand {
    pub fn json(&self) -> bool {
        let Self::Production(arguments) = self;
        arguments.json
    }
}

pub async fn run(command: &InitCommand) -> Result<(), Failure> {
    let InitCommand::Production(arguments) = command;
    let host = host(&arguments.host)?;
    let apps: Vec<String> = arguments.apps.iter().map(|app| origin(app)).collect::<Result<_, _>>()?;
    let config = load(arguments, &host, &apps)?;
    let made = make(&config, host.clone(), &apps, arguments).await?;
    tell(arguments, &host, &apps, &made)
}

fn host(text: &str) -> Result<PublicHost, Failure> {
    PublicHost::parse(text).map_err(|error| {
        let bare = Url::parse(text).ok().and_then(|url| PublicHost::parse(url.host_str()?).ok());
        let example = bare.map_or("clerk.example.com".to_owned(), |host| host.to_string());
        Failure::new(
            Exit::Usage,
            "host_invalid",
            format!("\"{text}\" cannot be the host of a production instance"),
        )
        .because(error.to_string())
        .next(format!("give a DNS name that browsers reach: --host {example}"))
    })
}

fn origin(text: &str) -> Result<String, Failure> {
    // A host in capitals is the same host, and a slash at the end is how browsers show an origin.
    let url = Url::parse(text).ok().filter(|url| {
        url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty()
    });
    let spelled = url.map_or(text.to_owned(), |url| url.origin().ascii_serialization());
    match production_origin(&spelled) {
        Ok(()) => Ok(spelled),
        Err(why) => Err(Failure::new(
            Exit::Usage,
            "origin_invalid",
            format!("\"{text}\" cannot be the origin of an application"),
        )
        .because(why)
        .next("give scheme, host and port only: --app https://app.example.com")),
    }
}

/// The configuration that the server will have: what there is, and what was chosen now.
fn load(arguments: &ProductionArguments, host: &PublicHost, apps: &[String]) -> Result<Config, Failure> {
    let chosen = [
        ("init", "environment", "production".to_owned()),
        ("--host", "public_url", format!("https://{host}")),
        ("--app", "allowed_origins.list", apps.join(",")),
    ];
    let mut given =
        flags([("--data", "data", &arguments.data), ("--database", "database", &arguments.database)]);
    given.extend(chosen.map(|(name, path, text)| Flag { name, path, text }));
    let sources = Sources::of_this_process(arguments.config.clone(), given)?;
    Config::load(&Sources { file_is_new: true, ..sources })
}

/// What was made, and where.
struct Made {
    instance: NewInstance,
    database: String,
    /// PostgreSQL, whose address is not in the configuration.
    is_on_server: bool,
    key_from: String,
    file: PathBuf,
    /// The text of a file that there was already, and that says something else.
    unwritten: Option<String>,
}

async fn make(
    config: &Config,
    host: PublicHost,
    apps: &[String],
    arguments: &ProductionArguments,
) -> Result<Made, Failure> {
    let folder = match &config.server {
        Some(_) => DataFolder::share(&config.data)?,
        None => DataFolder::open(&config.data)?,
    };
    let database = database::named(config, folder.path())?;
    // Before a key is made or asked for: of a database that is in use nothing is touched.
    if let Some(instance) = existing(&database).await? {
        return Err(exists(&database::name(&database), &instance));
    }
    // Its schema is of this version, or there is none yet.
    let opened = database::open(database, config, &folder, MigrationMode::Migrate).await?;
    let file = arguments.config.clone().unwrap_or_else(|| PathBuf::from("sojourn.toml"));
    let text = file_text(&host, apps, config, arguments);
    let unwritten = write(&file, &text)?;
    let master_key = sojourn_service::MasterKey::new(opened.master_key.0);
    let (now, context) = (SystemClock.now(), super::by_command_line());
    let created =
        sojourn_service::create_production(&opened.store, &context, &master_key, host, now, &Rng::System)
            .await;
    let name = database::name(&opened.database);
    let instance = match created {
        Ok(instance) => instance,
        Err(error) => {
            if unwritten.is_none() {
                let _ = std::fs::remove_file(&file);
            }
            return Err(not_made(&opened.store, &name, error).await);
        }
    };
    opened.store.close().await.map_err(|error| database::failed(&opened.database, &error))?;
    let is_on_server = config.server.is_some();
    Ok(Made { instance, database: name, is_on_server, key_from: opened.key_from, file, unwritten })
}

async fn existing(database: &sojourn_store::Database) -> Result<Option<Instance>, Failure> {
    let failed = |error| database::failed(database, &error);
    if database.schema().await.map_err(failed)?.found == 0 {
        return Ok(None);
    }
    let store = database.open(MigrationMode::Refuse).await.map_err(failed)?;
    let instance = store.instances().await.map_err(failed)?.into_iter().next();
    store.close().await.map_err(failed)?;
    Ok(instance)
}

async fn not_made(store: &Store, name: &str, error: StartError) -> Failure {
    let other = store.instances().await.ok().and_then(|instances| instances.into_iter().next());
    match (error, other) {
        (StartError::SetUp(CommitError::Conflict), Some(instance)) => exists(name, &instance),
        (error, _) => {
            Failure::new(Exit::Other, "instance_not_made", format!("cannot make an instance in {name}"))
                .because(error.to_string())
                .next("check the database, and run the command again")
        }
    }
}

fn exists(name: &str, instance: &Instance) -> Failure {
    let Instance { environment, host, .. } = instance;
    Failure::new(
        Exit::Rejected,
        "instance_exists",
        format!("{name} holds a {} instance already: {host}", environment.as_str()),
    )
    .because("a database holds one instance; nothing was changed")
    .next("sojourn serve, with its configuration\nsojourn keys create, if its secret key is lost\nor --data or --database for another one")
}

/// The configuration as a file. Secrets are not in it: it may lie in version control.
fn file_text(host: &PublicHost, apps: &[String], config: &Config, arguments: &ProductionArguments) -> String {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let list = apps.iter().map(|app| quoted(app)).collect::<Vec<_>>().join(", ");
    // The password of a database is given by the environment, not by a file that others may read.
    let data = match arguments.data.is_some() {
        true => format!("data = {}\n", quoted(&config.data.value.display().to_string())),
        false => "# data = \"/var/lib/sojourn\"\n".to_owned(),
    };
    let storage = match &config.server {
        Some(_) => format!(
            "# PostgreSQL. Its address has a password, so it is given by SOJOURN_DATABASE in the environment of\n\
             # `serve` and of every command that opens the database; without it they refuse to start.\n\
             database = \"environment\"\n\
             # The nodes of one database need one master key:\n\
             # master_key_file = \"/run/secrets/sojourn\"\n{data}"
        ),
        None => data,
    };
    format!(
        "# A production instance of Sojourn. docs/production.md says what each value does.\n\
         environment = \"production\"\n\
         \n\
         # How browsers reach it. The host is part of the publishable key and of every token.\n\
         public_url = \"https://{host}\"\n\
         \n\
         # Plain http on this machine, for the proxy in front.\n\
         listen = [\"127.0.0.1:4000\", \"[::1]:4000\"]\n\
         # Where the proxy connects from: these are believed what they say in X-Forwarded-For.\n\
         trusted_proxies = [\"127.0.0.1/32\", \"::1/128\"]\n\
         # Health and metrics for supervisors: /health/live, /health/ready, /metrics. They need no key.\n\
         # admin_listen = [\"127.0.0.1:4002\"]\n\
         \n\
         {storage}\
         \n\
         # The applications that may call the Frontend API, and to which people are sent back.\n\
         [allowed_origins]\n\
         list = [{list}]\n"
    )
}

/// Writes the file, unless there is one: then returns what it should say.
fn write(path: &Path, text: &str) -> Result<Option<String>, Failure> {
    match OpenOptions::new().write(true).create_new(true).open(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }) {
        Ok(()) => Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(Some(text.to_owned())),
        Err(error) => Err(Failure::new(
            Exit::Other,
            "config_not_writable",
            format!("cannot write the configuration to {}", path.display()),
        )
        .because(error.to_string())
        .next("give --config a path that can be written; no instance was made")),
    }
}

/// Data on stdout: the lines of the application with the secret key. Prose on stderr.
fn tell(
    arguments: &ProductionArguments,
    host: &PublicHost,
    apps: &[String],
    made: &Made,
) -> Result<(), Failure> {
    let NewInstance { publishable_key, secret_key, public_key_pem, .. } = &made.instance;
    let access = Access {
        base_url: format!("https://{host}"),
        api_url: None,
        publishable_key: publishable_key.clone(),
        secret_key: Some(secret_key.clone()),
        jwt_key: public_key_pem.clone(),
        is_production: true,
    };
    let file = made.unwritten.is_none().then(|| made.file.display().to_string());
    if arguments.json {
        return output::line(
            &json!({
                "host": host.as_str(),
                "publishable_key": publishable_key,
                "secret_key": secret_key,
                "jwt_key": public_key_pem,
                "database": made.database,
                "master_key": made.key_from,
                "config": file,
                "app": env_lines::document(arguments.stack, &access),
            })
            .to_string(),
        );
    }
    output::note(&format!("made the production instance {host} in {}", made.database));
    output::note(&format!("  master key     {}: back it up, apart from the database", made.key_from));
    match &made.unwritten {
        None => output::note(&format!("  configuration  {}", made.file.display())),
        Some(text) => {
            output::note(&format!(
                "  configuration  {} exists and was left as it is; it should say:",
                made.file.display()
            ));
            text.lines().for_each(|line| output::note(&format!("    {line}")));
        }
    }
    for app in apps.iter().filter(|app| !shares_cookies(host, app)) {
        output::note(&format!(
            "  warning        {app} and {host} are not below one domain: browsers share no cookies between them, so\n                 the application has to pass /__clerk on (sojourn env --for next-proxy)"
        ));
    }
    if made.is_on_server {
        output::note(
            "  database       set SOJOURN_DATABASE for `serve`, too: the address is not in the configuration",
        );
    }
    output::note(
        "the lines of the application follow. The secret key is shown now and never again (only its hash is stored):\n",
    );
    output::line(&env_lines::lines(arguments.stack, &access))?;
    output::note(&format!(
        "\nnext:\n  1. DNS: let {host} lead to this machine or the proxy\n  2. a certificate: tls.certificate_file or tls.acme (docs/tls.md), or a proxy: examples/nginx, examples/caddy or examples/haproxy\n  3. sojourn serve{}, and sojourn doctor, which checks all of this\n  4. mail: name an SMTP server (docs/mail.md); until then nobody gets a code by e-mail, and passwords work",
        config_flag(arguments)
    ));
    Ok(())
}

fn config_flag(arguments: &ProductionArguments) -> String {
    arguments.config.as_deref().map_or(String::new(), |path| format!(" --config {}", shown(path)))
}

fn shares_cookies(host: &PublicHost, app: &str) -> bool {
    let app = Url::parse(app).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    registrable_domain(&app).is_some_and(|domain| registrable_domain(host.as_str()) == Some(domain))
}
