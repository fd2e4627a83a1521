//! `sojourn`: the session server and its command line.

mod banner;
mod census;
mod client;
mod clock;
mod command;
mod config;
mod connections;
mod data_folder;
mod database;
mod env_lines;
mod failure;
mod impatient;
mod listen;
mod output;
mod serve;
mod server_file;
mod shutdown;
mod telemetry;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    // First of all: "ready in" counts from here.
    let since = clock::Stopwatch::start();
    let arguments = command::Arguments::parse();
    let json = arguments.wants_json();
    match command::run(arguments, since) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if json {
                output::note(&failure.to_json().to_string());
            } else {
                output::note(&format!("error: {failure}"));
            }
            ExitCode::from(failure.exit as u8)
        }
    }
}
