//! The file: made whole or not at all, opened only if it is ours and sound.

use std::{
    fs,
    io::{ErrorKind, Read as _},
    path::Path,
};

use rusqlite::{Connection, MAIN_DB, OpenFlags};

use super::{
    disk::{BUSY_TIMEOUT, beside, keep_statements, open_reader, sync_folder},
    migrate::{self, migrate},
};
use crate::{
    error::StoreError,
    schema::{Migrated, MigrationMode, Schema},
};

/// The schema, one step per version. A step is never changed once it was
/// released; N and N−1 have to run on one schema (MIG-01).
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/sqlite/0001_initial.sql"),
    include_str!("../../migrations/sqlite/0002_ends_and_clock.sql"),
    include_str!("../../migrations/sqlite/0003_ends_of_all_and_secret_keys.sql"),
    include_str!("../../migrations/sqlite/0004_idempotency_and_outbox.sql"),
    include_str!("../../migrations/sqlite/0005_outgoing_mails.sql"),
];

/// Says in the file's header whose it is: "Sjrn".
const APPLICATION_ID: i32 = 0x536a_726e;

const ANOTHER_PROGRAM: &str = "it is a database of another program";

/// The bytes that every SQLite file begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// A file up to this size is checked page by page at open, which takes some
/// milliseconds; of a larger one only what SQLite itself looks at.
const CHECKED_BYTES: u64 = 16 << 20;

/// Opens the database for writing; makes it if there is no file. What is older is
/// migrated or refused.
pub(super) fn open_or(path: &Path, older: MigrationMode) -> Result<Connection, StoreError> {
    let unusable = |reason: String| unusable(path, reason);
    if length(path)?.is_none() {
        create(path, MIGRATIONS).map_err(unusable)?;
    }
    let mut db = open_existing(path)?;
    let found = migrate::version(&db).map_err(|error| unusable(error.to_string()))?;
    let known = MIGRATIONS.len() as u32;
    if older == MigrationMode::Refuse && found < known {
        return Err(StoreError::OlderSchema { found, known });
    }
    migrate(&mut db, path, MIGRATIONS)?;
    prepare_for_writing(&db).map_err(|error| unusable(error.to_string()))?;
    Ok(db)
}

#[cfg(test)]
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    open_or(path, MigrationMode::Migrate)
}

/// Brings the schema of an existing file up to this version.
pub(super) fn bring_up(path: &Path) -> Result<Migrated, StoreError> {
    let mut db = open_existing(path)?;
    let migrated = migrate(&mut db, path, MIGRATIONS)?;
    checkpoint(&db).map_err(|error| unusable(path, error.to_string()))?;
    Ok(migrated)
}

/// How old the schema of the file is; 0 if there is none.
pub(super) fn schema(path: &Path) -> Result<Schema, StoreError> {
    let known = MIGRATIONS.len() as u32;
    let copies = migrate::copies(path);
    if length(path)?.is_none() {
        return Ok(Schema { found: 0, known, copies });
    }
    check_header(path).map_err(|reason| unusable(path, reason))?;
    let read = || {
        let db = open_reader(path)?;
        Ok((application_id(&db)?, migrate::version(&db)))
    };
    match read().map_err(|error: rusqlite::Error| unusable(path, error.to_string()))? {
        (APPLICATION_ID, version) => {
            let found = version.map_err(|error| unusable(path, error.to_string()))?;
            Ok(Schema { found, known, copies })
        }
        _ => Err(unusable(path, ANOTHER_PROGRAM.to_owned())),
    }
}

fn unusable(path: &Path, reason: String) -> StoreError {
    StoreError::Unusable { path: path.display().to_string(), reason }
}

fn length(path: &Path) -> Result<Option<u64>, StoreError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unusable(path, error.to_string())),
    }
}

fn application_id(db: &Connection) -> rusqlite::Result<i32> {
    db.pragma_query_value(None, "application_id", |row| row.get(0))
}

/// Opens a file that is ours and sound, or refuses it.
fn open_existing(path: &Path) -> Result<Connection, StoreError> {
    let unusable = |reason: String| unusable(path, reason);
    let refused = |error: rusqlite::Error| unusable(error.to_string());
    let length = length(path)?;
    check_header(path).map_err(unusable)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(refused)?;
    db.busy_timeout(BUSY_TIMEOUT).map_err(refused)?;
    if db.is_readonly(MAIN_DB).map_err(refused)? {
        return Err(unusable("it cannot be written; check owner and permissions".to_owned()));
    }
    if application_id(&db).map_err(refused)? != APPLICATION_ID {
        return Err(unusable(ANOTHER_PROGRAM.to_owned()));
    }
    if length.is_some_and(|length| length <= CHECKED_BYTES) {
        let found: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(refused)?;
        if found != "ok" {
            return Err(unusable(format!("it is damaged, restore a backup: {found}")));
        }
    }
    Ok(db)
}

/// Moves the log into the file, so that the file alone is the database.
pub(super) fn checkpoint(db: &Connection) -> rusqlite::Result<()> {
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

fn prepare_for_writing(db: &Connection) -> rusqlite::Result<()> {
    // The default since the file was made, but nothing else will do.
    db.pragma_update(None, "journal_mode", "WAL")?;
    // What is acknowledged survives power loss.
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", true)?;
    db.pragma_update(None, "cache_size", -32_000)?;
    // What a savepoint may have to take back stays in memory: else a file is made for it.
    db.pragma_update(None, "temp_store", "MEMORY")?;
    // The log is moved into the file every 4 MB, and does not keep more than 64.
    db.pragma_update(None, "wal_autocheckpoint", 1_000)?;
    db.pragma_update(None, "journal_size_limit", 64 << 20)?;
    keep_statements(db)
}

/// Makes a database beside `path` and puts it there when it is complete: a
/// start that is killed leaves no half of one.
pub(super) fn create(path: &Path, steps: &[&str]) -> Result<(), String> {
    for suffix in ["-wal", "-journal"] {
        let left = beside(path, suffix);
        if fs::metadata(&left).is_ok_and(|metadata| metadata.len() > 0) {
            return Err(format!(
                "it is missing, but {} is there and may hold what it held; restore the database, or move that file away",
                left.display()
            ));
        }
    }
    let draft = beside(path, ".new");
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let _ = fs::remove_file(beside(&draft, suffix));
    }
    let begin = || -> rusqlite::Result<Connection> {
        let db = Connection::open(&draft)?;
        db.pragma_update(None, "application_id", APPLICATION_ID)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.execute_batch(
            "CREATE TABLE schema_version (id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL) STRICT; INSERT INTO schema_version VALUES (1, 0)",
        )?;
        Ok(db)
    };
    let finish = |db: Connection| -> rusqlite::Result<()> {
        checkpoint(&db)?;
        db.close().map_err(|(_, error)| error)
    };
    let impossible = |error: rusqlite::Error| format!("it cannot be made: {error}");
    let mut db = begin().map_err(impossible)?;
    migrate(&mut db, &draft, steps).map_err(|error| error.to_string())?;
    finish(db).map_err(impossible)?;
    let publish = || -> std::io::Result<()> {
        fs::File::open(&draft)?.sync_all()?;
        fs::rename(&draft, path)?;
        sync_folder(path)
    };
    publish().map_err(|error| format!("it cannot be made: {error}"))
}

/// Refuses what SQLite would take for an empty database, and overwrite, and a
/// file without its end, which SQLite would read as if zeros were there.
fn check_header(path: &Path) -> Result<(), String> {
    let mut header = [0; 100];
    let read = fs::File::open(path).and_then(|mut file| {
        file.read_exact(&mut header)?;
        file.metadata()
    });
    let length = match read {
        Ok(metadata) if header.starts_with(MAGIC) => metadata.len(),
        Err(error) if error.kind() != ErrorKind::UnexpectedEof => return Err(error.to_string()),
        _ => return Err("it is not a database, or only the beginning of one; restore a backup, or move it away to start with an empty one".to_owned()),
    };
    // A kill may leave a file that is shorter than it says, with a log that
    // holds the rest.
    let log = fs::metadata(beside(path, "-wal")).map_or(0, |metadata| metadata.len());
    let number = |at: usize| header[at..at + 4].iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
    let page = match u64::from(header[16]) << 8 | u64::from(header[17]) {
        1 => 65_536,
        size => size,
    };
    // The number of pages counts only if it is as new as the file's last change.
    let pages = if number(24) == number(92) { number(28) } else { 1 };
    if log == 0 && (length % page.max(1) != 0 || length < pages * page) {
        return Err("it is only the beginning of a database; restore a backup".to_owned());
    }
    Ok(())
}
