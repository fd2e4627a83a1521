//! `sojourn backup keygen`.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use tempfile::NamedTempFile;

use crate::age::SecretKey;
use crate::archive_file::{folder_of, unwritable};
use crate::database::shown;
use crate::failure::Failure;
use crate::output;

#[derive(Debug, Args)]
pub struct KeygenArguments {
    /// File for the secret key; one that exists is not replaced
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

pub fn run(arguments: &KeygenArguments) -> Result<(), Failure> {
    let path = &arguments.to;
    let write = || {
        let key = SecretKey::generate()?;
        let recipient = key.recipient().to_string();
        // Temporary files are created with mode 0600.
        let mut file = NamedTempFile::new_in(folder_of(path))?;
        writeln!(file, "# Decrypts backups of Sojourn. Public key: {recipient}\n{}", key.text())?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path).map_err(|error| error.error)?;
        Ok(recipient)
    };
    let recipient = write().map_err(|error| unwritable(path, &error))?;
    output::line(&recipient)?;
    output::note(&format!(
        "{} decrypts backups: keep it on another machine. The server needs only the public key:\n  sojourn backup create --recipient {recipient} --to FILE",
        shown(path)
    ));
    Ok(())
}
