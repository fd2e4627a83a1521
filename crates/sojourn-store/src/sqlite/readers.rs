//! Connections that only read: as many as threads read at once, each with its
//! prepared statements. A read runs on the thread that asks.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, PoisonError, RwLock},
};

use rusqlite::Connection;
use sojourn_core::{id::InstanceId, policy::Policy, settings::Settings};

use super::{
    file,
    sql::{failed, instances},
};
use crate::{engine::StoreError, records::policy_of};

/// Connections that are kept while nobody reads.
const KEPT: usize = 64;

#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    /// Nothing after closing.
    idle: Mutex<Option<Vec<Connection>>>,
    /// Read settings by the number of the newest. Versions never change once
    /// they are stored, so equal numbers mean equal settings.
    settings: RwLock<BTreeMap<InstanceId, (Settings, Policy)>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::new(Some(Vec::new())), settings: RwLock::default() }
    }

    /// Further reads fail; connections close as their reads end.
    pub(super) fn close(&self) {
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Runs one statement, which sees one moment by itself.
    pub(super) fn one<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let idle = match &mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(idle) => idle.pop(),
            None => return Err(StoreError::closed()),
        };
        let db = match idle {
            Some(db) => db,
            None => file::open_reader(&self.path).map_err(failed("file"))?,
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
        let newest = instances::newest_settings(db, instance)?;
        let known = self.settings.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((settings, policy)) = known.get(&instance)
            && settings.version == newest
        {
            return Ok((settings.clone(), policy.clone()));
        }
        drop(known);
        let found = policy_of(instances::settings(db, instance)?)?;
        let mut known = self.settings.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(instance, found.clone());
        Ok(found)
    }
}
