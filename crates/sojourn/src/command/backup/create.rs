//! `sojourn backup create`, and what it has in common with `sojourn export`.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp as Time;
use serde_json::json;
use sojourn_core::time::Timestamp;
use sojourn_service::Clock as _;
use sojourn_store::{ArchiveContents, ArchiveNotes, Database, Snapshot};

use super::DatabaseArguments;
use crate::age::Recipient;
use crate::archive_file::{self, EncryptionArguments, NewFile};
use crate::clock::{Stopwatch, SystemClock};
use crate::command::flags;
use crate::config::{Config, Sources};
use crate::database::{self, master_key_check, shown};
use crate::failure::{Exit, Failure};
use crate::output;

#[derive(Debug, Args)]
pub struct CreateArguments {
    /// File to write, or an existing folder for a file with the time in its name
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    encryption: EncryptionArguments,
    /// Include the master key, although it is not in the data folder
    #[arg(long)]
    include_master_key: bool,
    /// Leave out the master key, although it is in the data folder
    #[arg(long, conflicts_with = "include_master_key")]
    without_master_key: bool,
    #[command(flatten)]
    source: DatabaseArguments,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What an archive is made of.
#[derive(Debug)]
pub struct Source<'a> {
    pub database: &'a DatabaseArguments,
    pub recipients: &'a [Recipient],
    /// Whether the master key is included; `None`: if it is in the data folder.
    pub with_master_key: Option<bool>,
}

/// What was written.
#[derive(Debug)]
pub struct Written {
    pub contents: ArchiveContents,
    pub bytes: u64,
    pub schema: u32,
    pub with_master_key: bool,
    pub database: String,
    pub seconds: f64,
}

pub async fn run(arguments: &CreateArguments) -> Result<(), Failure> {
    let recipients = arguments.encryption.recipients()?;
    if recipients.is_empty() {
        return Err(Failure::new(Exit::Usage, "recipient_missing", "nothing was written")
            .because("a backup is always encrypted, and neither a public key nor a passphrase was given")
            .next(
                "sojourn backup keygen --to backup.key, then --recipient age1…\nor --passphrase-file FILE",
            ));
    }
    let path = path(&arguments.to);
    let with_master_key = match (arguments.include_master_key, arguments.without_master_key) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    let source = Source { database: &arguments.source, recipients: &recipients, with_master_key };
    let written = write(&path, &source).await?;
    if arguments.json {
        return output::line(&written.json(&path).to_string());
    }
    output::line(&shown(&path))?;
    output::note(&written.text());
    if !written.with_master_key {
        output::note("the master key is not in it: keep a copy of it elsewhere, a restore needs it");
    }
    Ok(())
}

/// In a folder, a name that sorts by time.
fn path(to: &Path) -> PathBuf {
    if !to.is_dir() {
        return to.to_owned();
    }
    to.join(format!("sojourn-{}.age", utc(SystemClock.now()).replace(':', "")))
}

/// A time such as 2026-11-29T16:00:00Z.
pub fn utc(at: Timestamp) -> String {
    Time::from_second(at.as_secs()).map_or_else(|_| at.as_secs().to_string(), |time| time.to_string())
}

/// Writes an archive of the database.
pub async fn write(path: &Path, source: &Source<'_>) -> Result<Written, Failure> {
    let stopwatch = Stopwatch::start();
    let DatabaseArguments { database, data, config } = source.database;
    let given = flags([("--database", "database", database), ("--data", "data", data)]);
    let config = Config::load(&Sources::of_this_process(config.clone(), given)?)?;
    let database = database::named(&config, &config.data)?;
    if let Database::File(file) = &database
        && !file.exists()
    {
        let what = format!("there is no database in {}", shown(&config.data));
        return Err(Failure::new(Exit::NotFound, "database_missing", what)
            .because("that is the data folder, as the configuration or the place of this command says")
            .next("give --data or --config as for sojourn serve, or --database for PostgreSQL"));
    }
    // Before anything is read: a name that is taken is found at once.
    let file = NewFile::create(path, source.recipients)?;
    let failed = |error| database::failed(&database, &error);
    let mut snapshot = database.snapshot().await.map_err(failed)?;
    let (key, is_in_folder) = database::existing_master_key(&database, &config)?;
    check_key(&mut snapshot, &key, &database).await?;
    let with_master_key = source.with_master_key.unwrap_or(is_in_folder);
    let schema = snapshot.schema();
    let notes = ArchiveNotes {
        created_at: SystemClock.now(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        master_key_check: Some(master_key_check(&key)),
        master_key: with_master_key.then(|| key.text()),
    };
    let written = snapshot.write(notes, file).await;
    let (contents, file) = written.map_err(|error| match error {
        sojourn_store::ArchiveError::Io(error) => archive_file::unwritable(path, &error),
        other => archive_file::failed(path, &database, other),
    })?;
    let bytes = file.finish()?;
    Ok(Written {
        contents,
        bytes,
        schema,
        with_master_key,
        database: database::name(&database),
        seconds: stopwatch.elapsed().as_secs_f64(),
    })
}

/// The master key has to be the one of the database: the archive will ask for it.
async fn check_key(
    snapshot: &mut Snapshot,
    key: &crate::data_folder::MasterKey,
    database: &Database,
) -> Result<(), Failure> {
    let key = sojourn_service::MasterKey::new(key.0);
    let sealed = snapshot.sealed_keys().await.map_err(|error| database::failed(database, &error))?;
    let name = database::name(database);
    if sealed.is_empty() {
        return Err(Failure::new(Exit::NotFound, "instance_missing", format!("{name} holds no instance"))
            .because("there is nothing to write")
            .next("sojourn serve, or sojourn init production"));
    }
    if sealed.iter().all(|(kid, sealed)| key.open(kid, sealed).is_ok()) {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Usage,
        "master_key_wrong",
        format!("the master key does not open what {name} holds"),
    )
    .because("a restore would ask for this key, and could not use it")
    .next("give the key of the server: master_key_file (SOJOURN_MASTER_KEY_FILE) or --data"))
}

impl Written {
    pub fn json(&self, path: &Path) -> serde_json::Value {
        json!({
            "file": path.display().to_string(),
            "bytes": self.bytes,
            "rows": self.contents.total(),
            "tables": self.contents.rows,
            "schema": self.schema,
            "database": self.database,
            "master_key": self.with_master_key,
            "seconds": self.seconds,
        })
    }

    pub fn text(&self) -> String {
        let Self { contents, bytes, schema, database, seconds, .. } = self;
        let rows = contents.total();
        format!("{rows} rows of {database} (schema {schema}), {bytes} bytes, {seconds:.1} s")
    }
}
