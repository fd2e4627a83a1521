//! The database file: created atomically, and opened only if it belongs to Sojourn and is not
//! damaged.

use std::{
    fs,
    io::{ErrorKind, Read as _},
    path::{Path, PathBuf},
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

/// One step per schema version. A released step must never change; versions N and N−1 of the
/// program must run on the same schema (MIG-01).
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/sqlite/0001_initial.sql"),
    include_str!("../../migrations/sqlite/0002_ends_and_clock.sql"),
    include_str!("../../migrations/sqlite/0003_ends_of_all_and_secret_keys.sql"),
    include_str!("../../migrations/sqlite/0004_idempotency_and_outbox.sql"),
    include_str!("../../migrations/sqlite/0005_outgoing_mails.sql"),
    include_str!("../../migrations/sqlite/0006_key_rotation.sql"),
    include_str!("../../migrations/sqlite/0007_webhooks.sql"),
    include_str!("../../migrations/sqlite/0008_audit_log_and_failed_webhooks.sql"),
];

/// `application_id` in the header of the file: "Sjrn".
const APPLICATION_ID: i32 = 0x536a_726e;

const ANOTHER_PROGRAM: &str = "it is a database of another program";

/// The first bytes of every SQLite file.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// A file up to this size is checked completely at open, which takes some milliseconds. Of a larger
/// file SQLite checks only the pages that it reads.
const CHECKED_BYTES: u64 = 16 << 20;

/// Opens the database for writing, and creates it if the file does not exist. An older schema is
/// migrated or rejected.
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

/// Migrates the schema of an existing file to this version.
pub(crate) fn bring_up(path: &Path) -> Result<Migrated, StoreError> {
    let mut db = open_existing(path)?;
    let migrated = migrate(&mut db, path, MIGRATIONS)?;
    checkpoint(&db).map_err(|error| unusable(path, error.to_string()))?;
    Ok(migrated)
}

/// The schema version of the file; 0 if there is no file.
pub(crate) fn schema(path: &Path) -> Result<Schema, StoreError> {
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

/// Opens an existing file if it belongs to Sojourn and is not damaged.
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

/// Moves the write-ahead log into the file, so that the file alone is the database.
pub(super) fn checkpoint(db: &Connection) -> rusqlite::Result<()> {
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

fn prepare_for_writing(db: &Connection) -> rusqlite::Result<()> {
    // The file already has this mode since its creation; set it again, because the guarantees
    // depend on it.
    db.pragma_update(None, "journal_mode", "WAL")?;
    // Acknowledged commits must survive a power failure.
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", true)?;
    db.pragma_update(None, "cache_size", -32_000)?;
    // A savepoint's rollback data stays in memory; otherwise SQLite creates a temporary file for
    // it.
    db.pragma_update(None, "temp_store", "MEMORY")?;
    // SQLite checkpoints the log every 1,000 pages (4 MB) and truncates it to 64 MB.
    db.pragma_update(None, "wal_autocheckpoint", 1_000)?;
    db.pragma_update(None, "journal_size_limit", 64 << 20)?;
    keep_statements(db)
}

/// Creates a database beside `path` and renames it when it is complete: a killed process leaves no
/// partial database.
pub(super) fn create(path: &Path, steps: &[&str]) -> Result<(), String> {
    let (mut db, draft) = draft(path)?;
    migrate(&mut db, &draft, steps).map_err(|error| error.to_string())?;
    publish(db, &draft, path)
}

/// An empty database without a schema, beside `path`.
pub(super) fn draft(path: &Path) -> Result<(Connection, PathBuf), String> {
    for suffix in ["-wal", "-journal"] {
        let left = beside(path, suffix);
        if fs::metadata(&left).is_ok_and(|metadata| metadata.len() > 0) {
            return Err(format!(
                "it is missing, but {} is there and may hold what it held; restore the database, or move that file away",
                left.display()
            ));
        }
    }
    // A killed start may have left a draft.
    let draft = beside(path, ".new");
    remove_draft(&draft);
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
    let db = begin().map_err(|error| format!("it cannot be made: {error}"))?;
    Ok((db, draft))
}

pub(super) fn remove_draft(draft: &Path) {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let _ = fs::remove_file(beside(draft, suffix));
    }
}

/// Closes a draft and gives it its name.
pub(super) fn publish(db: Connection, draft: &Path, path: &Path) -> Result<(), String> {
    let finish = |db: Connection| -> rusqlite::Result<()> {
        checkpoint(&db)?;
        db.close().map_err(|(_, error)| error)
    };
    finish(db).map_err(|error| format!("it cannot be made: {error}"))?;
    // The data must be durable before the name, so that the name never refers to a partial file.
    let publish = || -> std::io::Result<()> {
        fs::File::open(draft)?.sync_all()?;
        fs::rename(draft, path)?;
        sync_folder(path)
    };
    publish().map_err(|error| format!("it cannot be made: {error}"))
}

/// Rejects a file that SQLite would treat as an empty database and overwrite, and a truncated file,
/// whose missing pages SQLite would read as zeros.
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
    // After a kill the file may be shorter than its header says, if the write-ahead log has the
    // rest.
    let log = fs::metadata(beside(path, "-wal")).map_or(0, |metadata| metadata.len());
    let number = |at: usize| header[at..at + 4].iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
    let page = match u64::from(header[16]) << 8 | u64::from(header[17]) {
        1 => 65_536,
        size => size,
    };
    // The page count in the header is valid only if its change counter equals the version-valid-for
    // number (SQLite file format, 1.3.7).
    let pages = if number(24) == number(92) { number(28) } else { 1 };
    if log == 0 && (length % page.max(1) != 0 || length < pages * page) {
        return Err("it is only the beginning of a database; restore a backup".to_owned());
    }
    Ok(())
}
