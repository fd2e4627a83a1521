//! Cache of settings by their newest version. A stored version never changes, except that a reset
//! of the test clock changes the times from which all versions are in force.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
};

use sojourn_core::{id::InstanceId, policy::Policy, settings::Settings};

use crate::sql::instances::Newest;

#[derive(Debug, Default)]
pub(crate) struct SettingsCache(RwLock<BTreeMap<InstanceId, Known>>);

#[derive(Debug)]
struct Known {
    newest: Newest,
    found: (Settings, Policy),
}

impl SettingsCache {
    /// The settings, if `newest` is still the newest version.
    pub(crate) fn get(&self, instance: InstanceId, newest: Newest) -> Option<(Settings, Policy)> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(&instance).filter(|known| known.newest == newest).map(|known| known.found.clone())
    }

    pub(crate) fn put(&self, instance: InstanceId, newest: Newest, found: (Settings, Policy)) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(instance, Known { newest, found });
    }
}
