//! The command line.

mod audit;
mod backup;
mod clock;
mod confirm;
mod doctor;
mod env;
mod export;
mod import;
mod init;
mod keys;
mod mail;
mod mailbox;
mod migrate;
mod serve;
mod sessions;
mod settings;
mod signing_keys;
mod users;
mod webhooks;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use sojourn_core::audit::AuditContext;

use crate::client;
use crate::clock::Stopwatch;
use crate::config::Flag;
use crate::failure::{Exit, Failure};
use crate::output;

/// A self-hosted session server for applications that use Clerk's SDKs.
#[derive(Debug, Parser)]
#[command(name = "sojourn", version, propagate_version = true, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server; without arguments a development instance on this machine
    Serve(serve::ServeArguments),
    /// Make a production instance: its host, its keys and its configuration
    #[command(subcommand)]
    Init(init::InitCommand),
    /// Check the setup, from the files to the browser's way, and say how to mend it
    Doctor(doctor::DoctorArguments),
    /// Run a server for tests: one line on stdout when ready, ends with its parent process
    TestServer(serve::TestServerArguments),
    /// Print the environment lines for an application
    Env(env::EnvArguments),
    /// Read and change the settings of the running server
    #[command(subcommand)]
    Settings(settings::SettingsCommand),
    /// Users of the running server
    #[command(subcommand)]
    Users(users::UsersCommand),
    /// Bring accounts along from another system, or load an exported instance
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Sessions of the running server
    #[command(subcommand)]
    Sessions(sessions::SessionsCommand),
    /// Secret keys of the application's servers, and the keys that sign tokens
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Mails on their way out, and how they look
    #[command(subcommand)]
    Mail(mail::MailCommand),
    /// Receivers of events: endpoints, deliveries, replays
    #[command(subcommand)]
    Webhooks(webhooks::WebhooksCommand),
    /// Administrative acts: who did what, to what, from where, and what it changed
    Audit(audit::AuditArguments),
    /// Let time pass for the sessions of a development instance
    #[command(subcommand)]
    Clock(clock::ClockCommand),
    /// Print a one-time link to the development mailbox
    Mailbox(mailbox::MailboxArguments),
    /// The schema of the database: how old it is, and bringing it up to this version
    #[command(subcommand)]
    Migrate(migrate::MigrateCommand),
    /// Encrypted backups: make, check and restore one
    #[command(subcommand)]
    Backup(backup::BackupCommand),
    /// Write the whole instance to a file, to move it to another database
    Export(export::ExportArguments),
    /// Print the version
    Version {
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Which server a client command talks to.
#[derive(Debug, Clone, Default, Args)]
pub struct ServerArguments {
    /// Address of the server [else: SOJOURN_URL, CLERK_API_URL, the data folder]
    #[arg(long, value_name = "URL", help_heading = "Server")]
    pub url: Option<String>,
    /// Its secret key [else: CLERK_SECRET_KEY, the data folder]
    #[arg(long, value_name = "KEY", help_heading = "Server")]
    pub secret_key: Option<String>,
    /// Data folder of a server running on this machine
    #[arg(long, value_name = "DIR", help_heading = "Server")]
    pub data: Option<String>,
    /// Configuration file that names the data folder
    #[arg(long, value_name = "FILE", help_heading = "Server")]
    pub config: Option<PathBuf>,
}

/// Which part of a long list.
#[derive(Debug, Clone, Args)]
pub struct PageArguments {
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub limit: u32,
    /// Skip so many
    #[arg(long, default_value_t = 0)]
    pub offset: u32,
}

impl Arguments {
    /// Whether a failure is to be written as JSON.
    pub fn wants_json(&self) -> bool {
        match &self.command {
            Command::Settings(command) => command.json(),
            Command::Users(command) => command.json(),
            Command::Import(command) => command.json(),
            Command::Sessions(command) => command.json(),
            Command::Keys(command) => command.json(),
            Command::Mail(command) => command.json(),
            Command::Webhooks(command) => command.json(),
            Command::Audit(arguments) => arguments.json,
            Command::Clock(command) => command.json(),
            Command::Mailbox(arguments) => arguments.json,
            Command::Migrate(command) => command.json(),
            Command::Backup(command) => command.json(),
            Command::Export(arguments) => arguments.json,
            Command::Version { json } => *json,
            Command::Env(arguments) => arguments.json,
            Command::Init(command) => command.json(),
            Command::Doctor(arguments) => arguments.json,
            Command::Serve(_) | Command::TestServer(_) => false,
        }
    }
}

pub fn run(arguments: Arguments, since: Stopwatch) -> Result<(), Failure> {
    match arguments.command {
        Command::Serve(arguments) => serve::serve(&arguments, since),
        Command::TestServer(arguments) => serve::test_server(&arguments, since),
        Command::Init(command) => block_on(init::run(&command)),
        Command::Doctor(arguments) => block_on(doctor::run(&arguments)),
        Command::Env(arguments) => env::env(&arguments),
        Command::Settings(command) => block_on(settings::run(&command)),
        Command::Users(command) => block_on(users::run(&command)),
        Command::Import(command) => block_on(import::run(&command)),
        Command::Sessions(command) => block_on(sessions::run(&command)),
        Command::Keys(command) => block_on(keys::run(&command)),
        Command::Mail(command) => block_on(mail::run(&command)),
        Command::Webhooks(command) => block_on(webhooks::run(&command)),
        Command::Audit(arguments) => block_on(audit::run(&arguments)),
        Command::Clock(command) => block_on(clock::run(&command)),
        Command::Mailbox(arguments) => block_on(mailbox::run(&arguments)),
        Command::Migrate(command) => block_on(migrate::run(&command)),
        Command::Backup(command) => block_on(backup::run(&command)),
        Command::Export(arguments) => block_on(export::run(&arguments)),
        Command::Version { json: true } => {
            output::line(&serde_json::json!({ "version": env!("CARGO_PKG_VERSION") }).to_string())
        }
        Command::Version { json: false } => output::line(concat!("sojourn ", env!("CARGO_PKG_VERSION"))),
    }
}

/// Who acts where a command opens the database itself.
fn by_command_line() -> AuditContext {
    AuditContext::command_line(Some(client::user_name()))
}

/// The flags that were given, each with the key that it stands for.
fn flags<const N: usize>(given: [(&'static str, &'static str, &Option<String>); N]) -> Vec<Flag> {
    given
        .into_iter()
        .filter_map(|(name, path, text)| Some(Flag { name, path, text: text.clone()? }))
        .collect()
}

/// Client commands need no more than one thread.
fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(no_runtime)?.block_on(work)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err asks for")]
fn no_runtime(error: std::io::Error) -> Failure {
    Failure::new(Exit::Other, "no_runtime", "cannot start the asynchronous runtime")
        .because(error.to_string())
        .next("check the limits on threads and open files (ulimit -a)")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_tree_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_help_lists_the_commands() {
        insta::assert_snapshot!(Arguments::command().render_help());
    }

    #[test]
    fn the_help_of_each_command_lists_its_flags() {
        let mut tree = Arguments::command();
        tree.build();
        let mut pages = Vec::new();
        let mut queue: Vec<clap::Command> = tree.get_subcommands().cloned().collect();
        while !queue.is_empty() {
            let mut command = queue.remove(0);
            if command.get_name() == "help" {
                continue;
            }
            pages.push(command.render_help().to_string());
            queue.extend(command.get_subcommands().cloned());
        }
        insta::assert_snapshot!(pages.join("\n=====\n"));
    }
}
