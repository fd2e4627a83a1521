//! `sojourn import`.

mod users;

use clap::Subcommand;

use crate::failure::Failure;

#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Accounts from a file that another system exported; run it again to go on after a failure
    Users(users::UsersArguments),
}

impl ImportCommand {
    pub fn json(&self) -> bool {
        match self {
            Self::Users(arguments) => arguments.json,
        }
    }
}

pub async fn run(command: &ImportCommand) -> Result<(), Failure> {
    match command {
        ImportCommand::Users(arguments) => users::run(arguments).await,
    }
}
