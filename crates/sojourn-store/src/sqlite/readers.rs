//! Read-only connections, one for each concurrent read, with their prepared statements. A read runs
//! on the calling thread.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use rusqlite::Connection;
use sojourn_core::{id::InstanceId, policy::Policy, settings::Settings};

use super::{
    db::{self, failed},
    disk,
};
use crate::{
    error::StoreError,
    records::policy_of,
    settings_cache::SettingsCache,
    sql::{instances, list::Page, statement::Query},
};

/// The maximum number of idle connections.
const KEPT: usize = 64;

#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    /// `None` after `close`.
    idle: Mutex<Option<Vec<Connection>>>,
    settings: SettingsCache,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::new(Some(Vec::new())), settings: SettingsCache::default() }
    }

    /// Makes later reads fail. A connection in use is closed when its read ends.
    pub(super) fn close(&self) {
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Runs a read on an idle or new connection. A single statement reads one snapshot by itself.
    fn one<T>(&self, read: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let idle = match &mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(idle) => idle.pop(),
            None => return Err(StoreError::closed()),
        };
        let db = match idle {
            Some(db) => db,
            None => disk::open_reader(&self.path).map_err(failed("file"))?,
        };
        let answer = read(&db);
        // A connection with an open transaction is not reused.
        if db.is_autocommit()
            && let Some(idle) = &mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner)
            && idle.len() < KEPT
        {
            idle.push(db);
        }
        answer
    }

    /// The first row, if any.
    pub(super) fn first<T, const N: usize>(&self, query: &Query<T, N>) -> Result<Option<T>, StoreError> {
        self.one(|db| db::first(db, query))
    }

    /// All rows.
    pub(super) fn all<T, const N: usize>(&self, query: &Query<T, N>) -> Result<Vec<T>, StoreError> {
        self.one(|db| db::all(db, query))
    }

    /// One page of a list, and the total number of rows.
    pub(super) fn page<T>(&self, page: &Page<T>) -> Result<(Vec<T>, u64), StoreError> {
        self.many(|db| db::page(db, page))
    }

    /// Runs several statements on one snapshot.
    pub(super) fn many<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.one(|db| {
            let control = |statement| {
                let run = || db.prepare_cached(statement)?.execute([]);
                run().map_err(failed("transaction"))
            };
            control("BEGIN")?;
            let answer = read(db);
            control("COMMIT")?;
            answer
        })
    }

    /// The settings in the snapshot of `db`.
    pub(super) fn settings(
        &self,
        db: &Connection,
        instance: InstanceId,
    ) -> Result<(Settings, Policy), StoreError> {
        let newest = db::first(db, &instances::newest_settings(instance))?;
        if let Some(known) = newest.and_then(|newest| self.settings.get(instance, newest)) {
            return Ok(known);
        }
        let found = policy_of(db::all(db, &instances::settings(instance))?)?;
        if let Some(newest) = newest {
            self.settings.put(instance, newest, found.clone());
        }
        Ok(found)
    }
}
