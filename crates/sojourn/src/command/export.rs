//! `sojourn export`: the whole instance as one file, to move it to another database.

use std::path::PathBuf;

use clap::Args;

use super::backup::{self, DatabaseArguments, Source};
use crate::archive_file::EncryptionArguments;
use crate::database::shown;
use crate::failure::{Exit, Failure};
use crate::output;

#[derive(Debug, Args)]
pub struct ExportArguments {
    /// File to write; one that exists is not replaced
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    encryption: EncryptionArguments,
    /// Include the master key; the file must be encrypted then
    #[arg(long)]
    include_master_key: bool,
    #[command(flatten)]
    source: DatabaseArguments,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

pub async fn run(arguments: &ExportArguments) -> Result<(), Failure> {
    let recipients = arguments.encryption.recipients()?;
    if arguments.include_master_key && recipients.is_empty() {
        return Err(Failure::new(Exit::Usage, "recipient_missing", "nothing was written")
            .because("the master key is written to encrypted files only")
            .next("add --recipient KEY or --passphrase-file FILE, or carry the master key by itself"));
    }
    let source = Source {
        database: &arguments.source,
        recipients: &recipients,
        with_master_key: Some(arguments.include_master_key),
    };
    let written = backup::write(&arguments.to, &source).await?;
    if arguments.json {
        return output::line(&written.json(&arguments.to).to_string());
    }
    output::line(&shown(&arguments.to))?;
    output::note(&written.text());
    if recipients.is_empty() {
        output::note(
            "it is not encrypted: personal data and password hashes are in it; only this user may read it",
        );
    }
    Ok(())
}
