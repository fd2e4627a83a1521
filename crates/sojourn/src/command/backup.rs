//! `sojourn backup`: encrypted copies of the database, made while the server runs.

mod create;
mod keygen;
mod restore;
mod verify;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use self::{
    create::CreateArguments, keygen::KeygenArguments, restore::RestoreArguments, verify::VerifyArguments,
};
pub use self::{
    create::{Source, write},
    restore::{Target, load},
};
use crate::failure::Failure;

#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// Write an encrypted backup of the database; the server may be running
    Create(CreateArguments),
    /// Check that a backup can be restored, without touching any database
    Verify(VerifyArguments),
    /// Load a backup into an empty data folder or database
    Restore(RestoreArguments),
    /// Make a key pair for backups
    Keygen(KeygenArguments),
}

/// The database that a command reads or fills.
#[derive(Debug, Args)]
pub struct DatabaseArguments {
    /// postgres://…; other users of this machine can see it [else: SOJOURN_DATABASE, DATABASE_URL]
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
    /// Folder of the embedded database and of the master key [default: ./.sojourn]
    #[arg(long, value_name = "DIR")]
    pub data: Option<String>,
    /// Configuration file [else: SOJOURN_CONFIG, ./sojourn.toml if there is one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl BackupCommand {
    pub fn json(&self) -> bool {
        match self {
            Self::Create(arguments) => arguments.json,
            Self::Verify(arguments) => arguments.json,
            Self::Restore(arguments) => arguments.json,
            Self::Keygen(_) => false,
        }
    }
}

pub async fn run(command: &BackupCommand) -> Result<(), Failure> {
    match command {
        BackupCommand::Create(arguments) => create::run(arguments).await,
        BackupCommand::Verify(arguments) => verify::run(arguments).await,
        BackupCommand::Restore(arguments) => restore::run(arguments).await,
        BackupCommand::Keygen(arguments) => keygen::run(arguments),
    }
}
