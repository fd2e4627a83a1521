//! Migrates the schema in one transaction, after it has copied the file (MIG-01).

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, TransactionBehavior};

use super::disk::{beside, folder, open_reader, sync_folder};
use crate::{error::StoreError, schema::Migrated};

/// The suffix of a copy, followed by the number of the first step that the copy does not have.
const COPY: &str = ".before-";

/// The schema version.
pub(super) fn version(db: &Connection) -> rusqlite::Result<u32> {
    db.query_row("SELECT version FROM schema_version WHERE id = 1", [], |row| row.get(0))
}

/// Applies the missing steps, all or none. The first step creates the schema; before any other step
/// the file is copied.
pub(super) fn migrate(db: &mut Connection, path: &Path, steps: &[&str]) -> Result<Migrated, StoreError> {
    let known = steps.len() as u32;
    let unusable = |reason: String| StoreError::Unusable { path: path.display().to_string(), reason };
    let refused = |error: rusqlite::Error| unusable(error.to_string());
    let found = version(db).map_err(refused)?;
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    if found == known {
        return Ok(Migrated { from: found, to: known, copy: None });
    }
    // A step may recreate a table that others refer to; PRAGMA foreign_key_check below verifies the
    // result. Neither pragma can be set inside a transaction.
    db.pragma_update(None, "foreign_keys", false).map_err(refused)?;
    db.pragma_update(None, "synchronous", "FULL").map_err(refused)?;
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(refused)?;
    // Another process may have migrated in the meantime.
    let found = version(&transaction).map_err(refused)?;
    let missing = steps.get(found as usize..).unwrap_or_default();
    let copy = match found {
        0 => None,
        _ if missing.is_empty() => None,
        // This transaction holds the write lock, so the copy is exactly the state before the steps.
        _ => Some(copy(path, found + 1).map_err(|reason| {
            unusable(format!("no copy of it could be made, so it was not migrated: {reason}"))
        })?),
    };
    for step in missing {
        transaction.execute_batch(step).map_err(refused)?;
    }
    let broken = transaction.prepare("PRAGMA foreign_key_check").and_then(|mut check| check.exists([]));
    if broken.map_err(refused)? {
        return Err(unusable("after the migration rows would refer to rows that are not there; nothing was changed; please report this".to_owned()));
    }
    transaction.execute("UPDATE schema_version SET version = ?1 WHERE id = 1", [known]).map_err(refused)?;
    transaction.commit().map_err(refused)?;
    if let Some(copy) = &copy {
        tracing::info!(from = found, to = known, copy = %copy.display(), "schema migrated; a copy of the old file was kept");
    }
    Ok(Migrated { from: found, to: known, copy })
}

/// Copies the file atomically and durably before anything is changed. A copy from an earlier,
/// failed attempt is replaced, so that repeated starts do not fill the disk.
fn copy(path: &Path, step: u32) -> Result<PathBuf, String> {
    let copy = beside(path, &format!("{COPY}{step:04}"));
    let draft = beside(&copy, ".part");
    let make = || -> io::Result<()> {
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let target = draft.to_str().ok_or_else(|| io::Error::other("its path is not Unicode"))?;
        let reader = open_reader(path).map_err(io::Error::other)?;
        reader.execute("VACUUM INTO ?1", [target]).map_err(io::Error::other)?;
        fs::set_permissions(&draft, fs::metadata(path)?.permissions())?;
        fs::File::open(&draft)?.sync_all()?;
        fs::rename(&draft, &copy)?;
        sync_folder(path)
    };
    make().map_err(|error| {
        let _ = fs::remove_file(&draft);
        error.to_string()
    })?;
    Ok(copy)
}

/// The existing copies, oldest first.
pub(super) fn copies(path: &Path) -> Vec<PathBuf> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    let begin = format!("{name}{COPY}");
    let ours = |found: &Path| {
        let rest = found.file_name().and_then(|name| name.to_str()?.strip_prefix(&begin));
        rest.is_some_and(|number| number.bytes().all(|digit| digit.is_ascii_digit()))
    };
    let found = fs::read_dir(folder(path)).into_iter().flatten().flatten();
    let mut copies: Vec<PathBuf> = found.map(|entry| entry.path()).filter(|path| ours(path)).collect();
    copies.sort();
    copies
}

#[cfg(test)]
#[path = "migrate_tests.rs"]
mod tests;
