//! `sojourn`: the session server and its command line.

mod acme;
mod age;
mod archive_file;
mod banner;
mod client;
mod clock;
mod command;
mod config;
mod data_folder;
mod database;
mod doctor;
mod env_lines;
mod failure;
mod import;
mod listening;
mod net;
mod output;
mod serve;
mod server_file;
mod shutdown;
mod systemd;
mod telemetry;
mod tls;
mod usage;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    // First of all: "ready in" counts from here.
    let since = clock::Stopwatch::start();
    let arguments = match command::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => match usage::failure(&error, std::env::args()) {
            // The command that would say so was not understood.
            Some(failure) => return report(&failure, std::env::args().any(|argument| argument == "--json")),
            None => error.exit(),
        },
    };
    let json = arguments.wants_json();
    match command::run(arguments, since) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure, json),
    }
}

fn report(failure: &failure::Failure, json: bool) -> ExitCode {
    if json {
        output::note(&failure.to_json().to_string());
    } else {
        output::note(&format!("error: {failure}"));
    }
    ExitCode::from(failure.exit as u8)
}
