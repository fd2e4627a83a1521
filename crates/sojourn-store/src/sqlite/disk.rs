//! What lies on the disk: names beside the file, and connections that only read.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

/// How long anybody waits for a lock.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// Opens another connection that can only read.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    // Those who are active are kept as rows, not as pages; and every commit of the
    // writer empties this cache.
    db.pragma_update(None, "cache_size", -16_000)?;
    keep_statements(&db)?;
    Ok(db)
}

/// Keeps prepared statements, with plans that do not depend on what is bound:
/// otherwise SQLite prepares them anew for each use.
pub(super) fn keep_statements(db: &Connection) -> rusqlite::Result<()> {
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    db.set_prepared_statement_cache_capacity(128);
    Ok(())
}

/// The path with more at its end.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Where the file is.
pub(super) fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a name in the file's folder durable.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    fs::File::open(folder(path))?.sync_all()
}
