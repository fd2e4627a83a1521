//! Settings that were read before, by the number of the newest. Versions never
//! change once they are stored, so equal numbers mean equal settings.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
};

use sojourn_core::{id::InstanceId, policy::Policy, settings::Settings};

/// What is known of each instance.
#[derive(Debug, Default)]
pub(crate) struct SettingsCache(RwLock<BTreeMap<InstanceId, (Settings, Policy)>>);

impl SettingsCache {
    /// The settings whose newest version has this number, if they are known.
    pub(crate) fn get(&self, instance: InstanceId, newest: u64) -> Option<(Settings, Policy)> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&instance).filter(|(settings, _)| settings.version == newest).cloned()
    }

    /// Keeps what was read.
    pub(crate) fn put(&self, instance: InstanceId, found: (Settings, Policy)) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(instance, found);
    }
}
