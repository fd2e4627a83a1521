//! `sojourn serve` and `sojourn test-server`.

use std::path::PathBuf;

use clap::Args;
use sojourn_store::MigrationMode;

use crate::clock::Stopwatch;
use crate::config::{Config, Flag, LogFormat, Sources};
use crate::data_folder::DataFolder;
use crate::failure::Failure;
use crate::net::PortConflict;
use crate::serve::{self, ServeOptions};
use crate::shutdown::{self, Signals};
use crate::systemd::PassedSockets;
use crate::telemetry;

use super::{flags, no_runtime};

#[derive(Debug, Args)]
pub struct ServeArguments {
    /// Port on 127.0.0.1 and ::1; the next free one if it is taken [default: 4000]
    #[arg(long, value_name = "PORT")]
    port: Option<String>,
    /// Address to listen on instead, such as 0.0.0.0:4000; may be repeated
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Vec<String>,
    /// Address for the Backend API alone, which leaves the others then; may be repeated
    #[arg(long, value_name = "ADDRESS:PORT")]
    bapi_listen: Vec<String>,
    /// Address for /health/live and /health/ready; may be repeated
    #[arg(long, value_name = "ADDRESS:PORT")]
    admin_listen: Vec<String>,
    /// Folder of the database and the master key [default: ./.sojourn]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// postgres://…; other users of this machine can see it [else: SOJOURN_DATABASE, DATABASE_URL]
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Refuse a database that is older than this version instead of migrating it
    #[arg(long)]
    no_migrate: bool,
    /// Address by which browsers reach the server [default: http://localhost:PORT]
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Logs and banner for people (text) or programs (json) [default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Where people go after signing in on the portal without having come from anywhere
    #[arg(long, value_name = "URL")]
    home_url: Option<String>,
    /// Let others reach this development instance; switches test codes, mailbox and /dev off
    #[arg(long)]
    expose_development: bool,
    /// Configuration file [else: SOJOURN_CONFIG, ./sojourn.toml if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct TestServerArguments {
    /// Port on 127.0.0.1 and ::1; 0 takes any free one
    #[arg(long, value_name = "PORT", default_value = "0")]
    port: String,
    /// Folder to keep the data in [default: a temporary one that goes with the server]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// postgres://… to keep the data there instead
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Where people go after signing in on the portal without having come from anywhere
    #[arg(long, value_name = "URL")]
    home_url: Option<String>,
    /// Configuration file [else: SOJOURN_CONFIG, ./sojourn.toml if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One JSON line on stdout when ready; without it the banner
    #[arg(long)]
    json: bool,
}

impl ServeArguments {
    fn flags(&self) -> Vec<Flag> {
        let exposed = self.expose_development.then(|| "true".to_owned());
        let listed = |addresses: &[String]| (!addresses.is_empty()).then(|| addresses.join(","));
        let [listen, bapi_listen, admin_listen] =
            [&self.listen, &self.bapi_listen, &self.admin_listen].map(|addresses| listed(addresses));
        flags([
            ("--port", "port", &self.port),
            ("--listen", "listen", &listen),
            ("--bapi-listen", "bapi_listen", &bapi_listen),
            ("--admin-listen", "admin_listen", &admin_listen),
            ("--data", "data", &self.data),
            ("--database", "database", &self.database),
            ("--public-url", "public_url", &self.public_url),
            ("--log-format", "log_format", &self.log_format),
            ("--home-url", "paths.home_url", &self.home_url),
            ("--expose-development", "expose_development", &exposed),
        ])
    }
}

pub fn serve(arguments: &ServeArguments, since: Stopwatch) -> Result<(), Failure> {
    let passed = PassedSockets::take()?;
    let sources = Sources::of_this_process(arguments.config.clone(), arguments.flags())?;
    let config = Config::load(&sources)?;
    // Before a folder is made for an embedded database.
    config.require_database()?;
    telemetry::start(config.log_format.value);
    let folder = match &config.server {
        // Only the embedded database belongs to one process.
        Some(_) => DataFolder::share(&config.data)?,
        None => DataFolder::open(&config.data)?,
    };
    let options = ServeOptions {
        migration: if arguments.no_migrate { MigrationMode::Refuse } else { MigrationMode::Migrate },
        port_conflict: PortConflict::TakeNext,
        rate_limits: *config.rate_limits_enabled,
        announce: match config.log_format.value {
            LogFormat::Text => |banner| banner.text(),
            LogFormat::Json => |banner| banner.json().to_string(),
        },
    };
    until_stopped(&config, folder, options, passed, false, since)
}

pub fn test_server(arguments: &TestServerArguments, since: Stopwatch) -> Result<(), Failure> {
    let port = Some(arguments.port.clone());
    let given = flags([
        ("--port", "port", &port),
        ("--data", "data", &arguments.data),
        ("--database", "database", &arguments.database),
        ("--home-url", "paths.home_url", &arguments.home_url),
    ]);
    let mut config = Config::load(&Sources::of_this_process(arguments.config.clone(), given)?)?;
    telemetry::start(config.log_format.value);
    // Only the flags name what to keep: a test must never meet the data of `serve`.
    if arguments.database.is_none() {
        config.server = None;
        config.missing_server = None;
    }
    let folder = match &arguments.data {
        Some(_) if config.server.is_some() => DataFolder::share(&config.data)?,
        Some(_) => DataFolder::open(&config.data)?,
        None => DataFolder::temporary()?,
    };
    let options = ServeOptions {
        migration: MigrationMode::Migrate,
        // A test that asked for a port will look there and nowhere else.
        port_conflict: PortConflict::Refuse,
        rate_limits: config.rate_limits_enabled.is_pinned() && *config.rate_limits_enabled
            || *config.expose_development,
        announce: if arguments.json {
            |banner| banner.test_json().to_string()
        } else {
            |banner| banner.text()
        },
    };
    until_stopped(&config, folder, options, PassedSockets::default(), true, since)
}

fn until_stopped(
    config: &Config,
    folder: DataFolder,
    options: ServeOptions,
    passed: PassedSockets,
    with_parent: bool,
    since: Stopwatch,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(no_runtime)?;
    runtime.block_on(async {
        let stop = shutdown::watch(Signals::listen()?, with_parent);
        serve::run(config, folder, options, passed, stop, since).await
    })
}
