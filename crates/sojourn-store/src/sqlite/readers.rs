//! Connections that only read: as many as threads read at once, each with its
//! prepared statements. A read runs on the thread that asks.

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

/// Connections that are kept while nobody reads.
const KEPT: usize = 64;

#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    /// Nothing after closing.
    idle: Mutex<Option<Vec<Connection>>>,
    settings: SettingsCache,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::new(Some(Vec::new())), settings: SettingsCache::default() }
    }

    /// Further reads fail; connections close as their reads end.
    pub(super) fn close(&self) {
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Runs one statement, which sees one moment by itself.
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
        // One that is left in the middle of something is not used again.
        if db.is_autocommit()
            && let Some(idle) = &mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner)
            && idle.len() < KEPT
        {
            idle.push(db);
        }
        answer
    }

    /// The first row, if there is one.
    pub(super) fn first<T, const N: usize>(&self, query: &Query<T, N>) -> Result<Option<T>, StoreError> {
        self.one(|db| db::first(db, query))
    }

    /// All rows.
    pub(super) fn all<T, const N: usize>(&self, query: &Query<T, N>) -> Result<Vec<T>, StoreError> {
        self.one(|db| db::all(db, query))
    }

    /// One page of a list, and how many rows there are in all.
    pub(super) fn page<T>(&self, page: &Page<T>) -> Result<(Vec<T>, u64), StoreError> {
        self.many(|db| db::page(db, page))
    }

    /// Runs several statements that see the same moment.
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

    /// The settings of the moment that `db` sees.
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
