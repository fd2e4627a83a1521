//! `sojourn serve` and `sojourn test-server`.

use std::path::PathBuf;

use clap::Args;

use crate::clock::Stopwatch;
use crate::config::{Config, Flag, LogFormat, Sources};
use crate::data_folder::DataFolder;
use crate::failure::Failure;
use crate::listen::Busy;
use crate::serve::{self, Manner};
use crate::shutdown::{self, Signals};
use crate::telemetry;

use super::no_runtime;

#[derive(Debug, Args)]
pub struct ServeArguments {
    /// Port on 127.0.0.1 and ::1; the next free one if it is taken [default: 4000]
    #[arg(long, value_name = "PORT")]
    port: Option<String>,
    /// Folder of the database and the master key [default: ./.sojourn]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
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
        flags([
            ("--port", "port", &self.port),
            ("--data", "data", &self.data),
            ("--public-url", "public_url", &self.public_url),
            ("--log-format", "log_format", &self.log_format),
            ("--home-url", "paths.home_url", &self.home_url),
            ("--expose-development", "expose_development", &exposed),
        ])
    }
}

fn flags<const N: usize>(given: [(&'static str, &'static str, &Option<String>); N]) -> Vec<Flag> {
    given
        .into_iter()
        .filter_map(|(name, path, text)| Some(Flag { name, path, text: text.clone()? }))
        .collect()
}

pub fn serve(arguments: &ServeArguments, since: Stopwatch) -> Result<(), Failure> {
    let sources = Sources::of_this_process(arguments.config.clone(), arguments.flags())?;
    let config = Config::load(&sources)?;
    telemetry::start(config.log_format.value);
    let folder = DataFolder::open(&config.data)?;
    let manner = Manner {
        busy: Busy::TakeNext,
        rate_limits: *config.rate_limits_enabled,
        announce: match config.log_format.value {
            LogFormat::Text => |banner| banner.text(),
            LogFormat::Json => |banner| banner.json().to_string(),
        },
    };
    until_stopped(&config, folder, manner, false, since)
}

pub fn test_server(arguments: &TestServerArguments, since: Stopwatch) -> Result<(), Failure> {
    let port = Some(arguments.port.clone());
    let given = flags([
        ("--port", "port", &port),
        ("--data", "data", &arguments.data),
        ("--home-url", "paths.home_url", &arguments.home_url),
    ]);
    let config = Config::load(&Sources::of_this_process(arguments.config.clone(), given)?)?;
    telemetry::start(config.log_format.value);
    // Only the flag names a folder to keep: a test must never meet the data of `serve`.
    let folder = match &arguments.data {
        Some(_) => DataFolder::open(&config.data)?,
        None => DataFolder::temporary()?,
    };
    let manner = Manner {
        // A test that asked for a port will look there and nowhere else.
        busy: Busy::Refuse,
        rate_limits: config.rate_limits_enabled.is_pinned() && *config.rate_limits_enabled
            || *config.expose_development,
        announce: if arguments.json {
            |banner| banner.test_json().to_string()
        } else {
            |banner| banner.text()
        },
    };
    until_stopped(&config, folder, manner, true, since)
}

fn until_stopped(
    config: &Config,
    folder: DataFolder,
    manner: Manner,
    with_parent: bool,
    since: Stopwatch,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(no_runtime)?;
    runtime.block_on(async {
        let stop = shutdown::watch(Signals::listen()?, with_parent);
        serve::run(config, folder, manner, stop, since).await
    })
}
