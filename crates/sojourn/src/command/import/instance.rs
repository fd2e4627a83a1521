//! `sojourn import instance`.

use std::path::PathBuf;

use clap::Args;
use sojourn_core::audit::Action;

use crate::archive_file::{self, DecryptionArguments};
use crate::command::backup::{self, DatabaseArguments, Target};
use crate::failure::Failure;
use crate::output;

#[derive(Debug, Args)]
pub struct InstanceArguments {
    /// File that `sojourn export` wrote
    file: PathBuf,
    #[command(flatten)]
    decryption: DecryptionArguments,
    #[command(flatten)]
    target: DatabaseArguments,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

pub async fn run(arguments: &InstanceArguments) -> Result<(), Failure> {
    let archive = archive_file::open(&arguments.file, &arguments.decryption)?;
    // A move is no restore: the old database is stopped, so no end can be missing.
    let target =
        Target { database: &arguments.target, keep_sessions: true, action: Action::InstanceImported };
    let loaded = backup::load(&arguments.file, archive, &target).await?;
    if arguments.json {
        return output::line(&loaded.json(true).to_string());
    }
    output::line(&loaded.database)?;
    output::note(&loaded.text());
    output::note(
        "do not start a server on the old database again: what ends on the one would live on the other",
    );
    Ok(())
}
