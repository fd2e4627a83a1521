//! `sojourn import`.

mod instance;
mod users;

use clap::Subcommand;

use crate::failure::Failure;

#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Accounts from a file that another system exported; run it again to go on after a failure
    Users(users::UsersArguments),
    /// Load an exported instance into an empty data folder or database, sessions included
    Instance(instance::InstanceArguments),
}

impl ImportCommand {
    pub fn json(&self) -> bool {
        match self {
            Self::Users(arguments) => arguments.json,
            Self::Instance(arguments) => arguments.json,
        }
    }
}

pub async fn run(command: &ImportCommand) -> Result<(), Failure> {
    match command {
        ImportCommand::Users(arguments) => users::run(arguments).await,
        ImportCommand::Instance(arguments) => instance::run(arguments).await,
    }
}
