//! The in-memory engine, with the same behaviour as the others, for tests and the simulator.
//!
//! A single node is exact: activity is stored in the rows at once. Several nodes on the same rows
//! each keep activity in memory, like the nodes of a real server.

mod apply;
mod audit_log;
mod engine;
mod tenant;
mod webhooks;

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

/// One node. The rows are behind one lock, so every call is atomic.
#[derive(Debug, Default)]
pub struct MemoryEngine {
    state: Arc<Mutex<State>>,
    /// The activity in this node's memory; `None` if there is only one node.
    activity: Option<Activity>,
    closed: AtomicBool,
}

/// Activity that was taken from a node's memory and is not written yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActivityBatch(Batch);

impl ActivityBatch {
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sessions of the batch.
    pub fn sessions(&self) -> impl Iterator<Item = SessionId> {
        self.0.iter().map(|((_, session), _)| *session)
    }
}

#[derive(Debug, Default)]
struct State {
    tenants: BTreeMap<InstanceId, Tenant>,
    high_water: Option<Timestamp>,
}

/// An empty in-memory store, which is dropped with its last handle.
pub fn store() -> Store {
    MemoryEngine::default().into()
}

impl From<MemoryEngine> for Store {
    fn from(engine: MemoryEngine) -> Self {
        Self::Dyn(Arc::new(engine))
    }
}

impl MemoryEngine {
    /// A newly started node on these rows: it knows only the activity in the rows. It writes
    /// nothing by itself; the test calls [`Self::take_activity`] and [`Self::write_activity`].
    /// Dropping the node is a crash.
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

    /// Takes due activity, or all activity that is not written.
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

    /// Makes idle activity due and removes idle, written activity, as a node does every half a
    /// minute.
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

    /// Reads from an instance; `None` if it does not exist.
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

    /// Applies the coarseness of activity in the settings that were read.
    fn know(&self, instance: InstanceId, tenant: &Tenant) {
        if let (Some(activity), Some((_, settings))) = (&self.activity, tenant.settings.last_key_value()) {
            activity.set_coarseness(instance, coarseness(settings));
        }
    }

    /// Adds this node's newest activity to sessions.
    fn merged(&self, instance: InstanceId, mut sessions: Vec<Session>) -> Vec<Session> {
        if let Some(activity) = &self.activity {
            sessions.iter_mut().for_each(|session| activity.merge(instance, session));
        }
        sessions
    }
}

impl State {
    /// Signing keys are unique over all instances: no other instance may have those of the set.
    fn keys_are_new(&self, changes: &ChangeSet) -> bool {
        let others = self.tenants.iter().filter(|(id, _)| **id != changes.instance_id);
        let taken = |kid: &String| others.clone().any(|(_, tenant)| tenant.signing_keys.contains_key(kid));
        !changes.writes.iter().any(|write| match write {
            Write::InsertSigningKey(key) => taken(&key.kid),
            _ => false,
        })
    }

    /// Whether the set may create the first instance, if it does.
    fn is_first(&self, changes: &ChangeSet) -> bool {
        let others = self.tenants.keys().any(|id| *id != changes.instance_id);
        !(others && changes.expects.contains(&Expect::NoInstance))
    }
}
