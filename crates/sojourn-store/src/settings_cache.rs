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
pub(crate) struct SettingsCache(RwLock<BTreeMap<InstanceId, Known>>);

#[derive(Debug)]
struct Known {
    newest: Newest,
    found: (Settings, Policy),
}

impl SettingsCache {
    /// The settings of which these are the newest, if they are known.
    pub(crate) fn get(&self, instance: InstanceId, newest: Newest) -> Option<(Settings, Policy)> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(&instance).filter(|known| known.newest == newest).map(|known| known.found.clone())
    }

    /// Keeps what was read.
    pub(crate) fn put(&self, instance: InstanceId, newest: Newest, found: (Settings, Policy)) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(instance, Known { newest, found });
    }
}
