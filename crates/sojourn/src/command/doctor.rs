//! `sojourn doctor`: checks the setup and says how to mend it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::flags;
use crate::config::{Config, Sources};
use crate::doctor::{self, Status};
use crate::failure::{Exit, Failure};
use crate::output;

#[derive(Debug, Args)]
pub struct DoctorArguments {
    /// Folder of the database and the master key [default: ./.sojourn]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Configuration file [else: SOJOURN_CONFIG, ./sojourn.toml if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Certificate of an authority that this machine does not trust, in PEM form
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Where to connect for the public host, before its name leads there
    #[arg(long, value_name = "ADDRESS:PORT")]
    connect_to: Option<SocketAddr>,
    /// Send nothing to other machines
    #[arg(long)]
    offline: bool,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

pub async fn run(arguments: &DoctorArguments) -> Result<(), Failure> {
    let config = Config::load(&Sources::of_this_process(
        arguments.config.clone(),
        flags([("--data", "data", &arguments.data)]),
    )?)?;
    let authority = arguments.ca_file.as_ref().map(std::fs::read).transpose().map_err(|error| {
        Failure::new(Exit::Usage, "ca_file_unreadable", "cannot read the file of --ca-file")
            .because(error.to_string())
            .next("give a PEM file with the certificate of the authority")
    })?;
    let options = doctor::Options { offline: arguments.offline, authority, connect_to: arguments.connect_to };
    let checks = doctor::examine(&config, &options).await;
    let count = |status: Status| checks.iter().filter(|check| check.status == status).count();
    let (failed, warnings) = (count(Status::Failed), count(Status::Warning));
    let report = match arguments.json {
        true => json!({ "checks": checks, "failed": failed, "warnings": warnings }).to_string(),
        false => doctor::text(&checks),
    };
    output::line(&report)?;
    match failed {
        0 => Ok(()),
        _ => Err(Failure::new(
            Exit::Other,
            "checks_failed",
            format!("{failed} of {} checks failed", checks.len()),
        )
        .next("mend them from the top: later checks often fail because of earlier ones")),
    }
}
