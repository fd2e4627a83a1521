//! The engine without a file: the same meaning, for tests and the simulator.
//!
//! Alone it is exact: activity is in the rows at once. Several nodes on one set
//! of rows remember activity each for itself, as those of a real server do.

mod apply;
mod engine;
mod tenant;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use sojourn_core::{
    id::{InstanceId, SessionId},
    session::Session,
    time::Timestamp,
};

use self::tenant::Tenant;
use sojourn_store::{
    ChangeSet, Expect, Store, StoreError, Write,
    engine_parts::{Activity, Batch, coarseness},
};

/// One node. The rows are behind one lock; every call sees and leaves one moment.
#[derive(Debug, Default)]
pub struct MemoryEngine {
    state: Arc<Mutex<State>>,
    /// What this node knows of activity before the rows do; absent where there is one node.
    activity: Option<Activity>,
    closed: AtomicBool,
}

/// Activity on its way into the rows: taken from a node's memory, not yet written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActivityBatch(Batch);

impl ActivityBatch {
    /// Whether there is nothing to write.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose activity it is.
    pub fn sessions(&self) -> impl Iterator<Item = SessionId> {
        self.0.iter().map(|((_, session), _)| *session)
    }
}

#[derive(Debug, Default)]
struct State {
    tenants: BTreeMap<InstanceId, Tenant>,
    high_water: Option<Timestamp>,
}

/// An empty store in memory that is gone with its last handle.
pub fn store() -> Store {
    MemoryEngine::default().into()
}

impl From<MemoryEngine> for Store {
    fn from(engine: MemoryEngine) -> Self {
        Self::Dyn(Arc::new(engine))
    }
}

impl MemoryEngine {
    /// A node on these rows that has just started: it knows no activity but what
    /// they hold. Nothing is written by itself: whoever made it says when, with
    /// [`Self::take_activity`] and [`Self::write_activity`]. Dropping it is a crash.
    #[must_use]
    pub fn node(&self) -> Self {
        let node = Self {
            state: Arc::clone(&self.state),
            activity: Some(Activity::default()),
            closed: AtomicBool::new(false),
        };
        for (id, tenant) in &node.lock().tenants {
            node.know(*id, tenant);
        }
        node
    }

    /// Takes what is due to be written, or all that is not.
    pub fn take_activity(&self, all: bool) -> ActivityBatch {
        let Some(activity) = &self.activity else { return ActivityBatch::default() };
        if all {
            activity.make_all_due();
        }
        ActivityBatch(activity.take_due(usize::MAX))
    }

    /// Writes a batch, however late.
    pub fn write_activity(&self, batch: &ActivityBatch) {
        let Some(activity) = &self.activity else { return };
        let mut state = self.lock();
        for ((instance, session), at) in &batch.0 {
            if let Some(tenant) = state.tenants.get_mut(instance) {
                tenant.touch(*session, *at);
            }
        }
        activity.written(&batch.0);
        state.high_water = state.high_water.max(activity.newest());
    }

    /// Makes idle activity due and drops what is idle and written, as a node does
    /// every half a minute.
    pub fn tidy_activity(&self) {
        if let Some(activity) = &self.activity {
            activity.tidy();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(StoreError::closed());
        }
        Ok(self.lock())
    }

    /// Reads from an instance; `None` where there is none.
    fn read<T>(
        &self,
        instance: InstanceId,
        read: impl FnOnce(&Tenant) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.state()?.tenants.get(&instance).and_then(read))
    }

    fn list<T>(&self, instance: InstanceId, read: impl FnOnce(&Tenant) -> T) -> Result<T, StoreError>
    where
        T: Default,
    {
        Ok(self.state()?.tenants.get(&instance).map(read).unwrap_or_default())
    }

    /// Takes over how coarsely activity is written by the settings that were read.
    fn know(&self, instance: InstanceId, tenant: &Tenant) {
        if let (Some(activity), Some((_, settings))) = (&self.activity, tenant.settings.last_key_value()) {
            activity.set_coarseness(instance, coarseness(settings));
        }
    }

    /// Gives sessions the newest activity that this node knows.
    fn merged(&self, instance: InstanceId, mut sessions: Vec<Session>) -> Vec<Session> {
        if let Some(activity) = &self.activity {
            sessions.iter_mut().for_each(|session| activity.merge(instance, session));
        }
        sessions
    }
}

impl State {
    /// Signing keys are unique over all instances: no other one has those of the set.
    fn keys_are_new(&self, changes: &ChangeSet) -> bool {
        let others = self.tenants.iter().filter(|(id, _)| **id != changes.instance_id);
        let taken = |kid: &String| others.clone().any(|(_, tenant)| tenant.signing_keys.contains_key(kid));
        !changes.writes.iter().any(|write| match write {
            Write::InsertSigningKey(key) => taken(&key.kid),
            _ => false,
        })
    }

    /// Whether a set that makes the first instance does so.
    fn is_first(&self, changes: &ChangeSet) -> bool {
        let others = self.tenants.keys().any(|id| *id != changes.instance_id);
        !(others && changes.expects.contains(&Expect::NoInstance))
    }
}
