//! Settings that were read before, by which are the newest. Versions never change
//! once they are stored, but for the time from which they are in force when the
//! test clock is reset, and then that of all does.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
};

use sojourn_core::{id::InstanceId, policy::Policy, settings::Settings};

use crate::sql::instances::Newest;

/// What is known of each instance.
#[derive(Debug, Default)]
pub(crate) struct SettingsCache(RwLock<BTreeMap<InstanceId, (Newest, (Settings, Policy))>>);

impl SettingsCache {
    /// The settings of which these are the newest, if they are known.
    pub(crate) fn get(&self, instance: InstanceId, newest: Newest) -> Option<(Settings, Policy)> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&instance).filter(|(known, _)| *known == newest).map(|(_, found)| found.clone())
    }

    /// Keeps what was read.
    pub(crate) fn put(&self, instance: InstanceId, newest: Newest, found: (Settings, Policy)) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(instance, (newest, found));
    }
}
