//! The last activity of sessions: exact in memory on this node, written to the database in batches.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use sojourn_core::{
    id::{InstanceId, SessionId},
    session::Session,
    settings::Settings,
    time::{Moment, Timestamp, minutes, seconds},
};

use crate::change::{ChangeSet, Write};

/// The maximum delay of stored activity. A token refresh every 43 s then writes at most once per
/// minute.
const COARSEST: Duration = seconds(60);
/// An entry that was idle for this long is written to the database exactly.
const WRITTEN_IDLE: Duration = minutes(2);
/// An entry that was idle for this long and is stored is removed from memory; later requests read
/// it from the database again.
const KEPT_IDLE: Duration = minutes(15);
const SHARDS: usize = 32;

type Key = (InstanceId, SessionId);

/// Entries that are written together.
pub type Batch = Vec<(Key, Timestamp)>;

/// The newest activity that this node has seen. Every load merges it with the stored values.
#[derive(Debug)]
pub struct Activity {
    // Sharded, so that concurrent token refreshes rarely wait for the same lock.
    shards: [Mutex<Shard>; SHARDS],
    /// The maximum delay of stored activity per instance.
    coarseness: RwLock<BTreeMap<InstanceId, Duration>>,
    /// The newest wall-clock time that was seen, in milliseconds. It decides which entries are
    /// idle.
    newest: AtomicI64,
}

#[derive(Debug, Default)]
struct Shard {
    entries: HashMap<Key, Entry>,
    /// Keys whose stored value is too old, without duplicates.
    due: Vec<Key>,
}

#[derive(Debug)]
struct Entry {
    /// On the session clock.
    at: Timestamp,
    /// On the wall clock.
    seen: Timestamp,
    /// The value that the table certainly contains; unknown after a start.
    stored: Option<Timestamp>,
    queued: bool,
}

impl Entry {
    const fn new(at: Moment) -> Self {
        Self { at: at.now, seen: at.wall, stored: None, queued: false }
    }

    fn see(&mut self, at: Moment) {
        self.at = self.at.max(at.now);
        self.seen = self.seen.max(at.wall);
    }

    fn is_stored(&self) -> bool {
        self.stored.is_some_and(|stored| stored >= self.at)
    }
}

/// The maximum delay of stored activity under these settings.
pub fn coarseness(settings: &Settings) -> Duration {
    let timeout = settings.session.lifetime().inactivity();
    timeout.map_or(COARSEST, |timeout| COARSEST.min(timeout / 20))
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            coarseness: RwLock::default(),
            newest: AtomicI64::new(i64::MIN),
        }
    }
}

impl Activity {
    fn shard(&self, key: &Key) -> MutexGuard<'_, Shard> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let index = (hasher.finish() % SHARDS as u64) as usize;
        lock(&self.shards[index])
    }

    pub fn set_coarseness(&self, instance: InstanceId, coarseness: Duration) {
        let mut all = self.coarseness.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(instance, coarseness);
    }

    fn coarseness(&self, instance: InstanceId) -> Duration {
        let all = self.coarseness.read().unwrap_or_else(PoisonError::into_inner);
        all.get(&instance).copied().unwrap_or_default()
    }

    /// Records a wall-clock time, even without activity.
    pub fn saw(&self, wall: Timestamp) {
        self.newest.fetch_max(wall.as_millis(), Ordering::Relaxed);
    }

    pub fn newest(&self) -> Option<Timestamp> {
        let newest = self.newest.load(Ordering::Relaxed);
        (newest > i64::MIN).then(|| Timestamp::from_millis(newest))
    }

    /// Records activity; the later time wins.
    pub fn record(&self, key: Key, at: Moment) {
        self.saw(at.wall);
        let coarseness = self.coarseness(key.0);
        let mut shard = self.shard(&key);
        let entry = shard.entries.entry(key).or_insert(Entry::new(at));
        entry.see(at);
        let is_due =
            entry.stored.is_none_or(|stored| stored < entry.at && entry.at.since(stored) >= coarseness);
        if is_due && !entry.queued {
            entry.queued = true;
            shard.due.push(key);
        }
    }

    /// Records that the table contains `at` or a later time.
    pub fn stored(&self, key: Key, at: Moment) {
        self.saw(at.wall);
        self.see_stored(key, at);
    }

    fn see_stored(&self, key: Key, at: Moment) {
        let mut shard = self.shard(&key);
        let entry = shard.entries.entry(key).or_insert(Entry::new(at));
        entry.see(at);
        entry.stored = entry.stored.max(Some(at.now));
    }

    /// Records that the table contained `at` when it was read. While the entry exists, the table
    /// contains nothing newer than the entry.
    pub fn read(&self, key: Key, at: Timestamp) {
        let wall = self.newest().unwrap_or(at);
        self.see_stored(key, Moment { now: at, wall });
    }

    /// Removes all entries of an instance after a reset of the test clock: they are times from
    /// before the reset. The reset moved the stored times in the database.
    pub fn forget_all(&self, instance: InstanceId) {
        for shard in &self.shards {
            let Shard { entries, due } = &mut *lock(shard);
            entries.retain(|key, _| key.0 != instance);
            due.retain(|key| key.0 != instance);
        }
    }

    /// Removes a closed session.
    pub fn forget(&self, key: &Key) {
        self.shard(key).entries.remove(key);
    }

    pub fn get(&self, key: &Key) -> Option<Timestamp> {
        self.shard(key).entries.get(key).map(|entry| entry.at)
    }

    /// Sets the newest known activity in an open session. Activity after the end of a closed
    /// session does not count.
    pub fn merge(&self, instance: InstanceId, session: &mut Session) {
        if session.closed.is_none()
            && let Some(at) = self.get(&(instance, session.id))
        {
            session.last_active_at = session.last_active_at.max(at);
        }
    }

    /// Updates memory after `changes` was committed.
    pub fn remember(&self, changes: &ChangeSet) {
        let instance = changes.instance_id;
        self.saw(changes.at.wall);
        for write in &changes.writes {
            match write {
                Write::InsertSession(session) | Write::TouchSession(session) => {
                    let at = Moment { now: session.last_active_at, ..changes.at };
                    self.stored((instance, session.id), at);
                }
                Write::CloseSession(session) => self.forget(&(instance, session.id)),
                Write::Settings(settings) => self.set_coarseness(instance, coarseness(settings)),
                Write::RebaseOpenSessions(_) => self.forget_all(instance),
                _ => {}
            }
        }
    }

    /// Removes up to `limit` due entries from the queue, sorted by key, so that a batch touches few
    /// database pages.
    pub fn take_due(&self, limit: usize) -> Batch {
        let mut batch = Vec::new();
        for shard in &self.shards {
            let shard = &mut *lock(shard);
            while batch.len() < limit
                && let Some(key) = shard.due.pop()
            {
                if let Some(entry) = shard.entries.get_mut(&key) {
                    entry.queued = false;
                    if !entry.is_stored() {
                        batch.push((key, entry.at));
                    }
                }
            }
        }
        batch.sort_unstable();
        batch
    }

    /// Makes all entries due that are not stored.
    pub fn make_all_due(&self) {
        self.make_due(|_| true);
    }

    /// Makes idle entries due, and removes entries that are idle for a long time and stored.
    pub fn tidy(&self) {
        let Some(newest) = self.newest() else { return };
        let idle = |entry: &Entry, so_long: Duration| entry.seen + so_long < newest;
        for shard in &self.shards {
            lock(shard).entries.retain(|_, entry| !(idle(entry, KEPT_IDLE) && entry.is_stored()));
        }
        self.make_due(|entry| idle(entry, WRITTEN_IDLE));
    }

    fn make_due(&self, wanted: impl Fn(&Entry) -> bool) {
        for shard in &self.shards {
            let Shard { entries, due } = &mut *lock(shard);
            for (key, entry) in entries {
                if !entry.queued && !entry.is_stored() && wanted(entry) {
                    entry.queued = true;
                    due.push(*key);
                }
            }
        }
    }

    /// Returns a batch that could not be written to the queue.
    pub fn put_back(&self, batch: &[(Key, Timestamp)]) {
        for (key, _) in batch {
            let shard = &mut *self.shard(key);
            if let Some(entry) = shard.entries.get_mut(key)
                && !entry.queued
            {
                entry.queued = true;
                shard.due.push(*key);
            }
        }
    }

    /// Records that a batch was written, for entries that still exist.
    pub fn written(&self, batch: &[(Key, Timestamp)]) {
        for (key, at) in batch {
            if let Some(entry) = self.shard(key).entries.get_mut(key) {
                entry.stored = entry.stored.max(Some(*at));
            }
        }
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use sojourn_core::testing::SeededRng;

    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + secs)
    }

    fn key(n: u64) -> Key {
        let mut rng = SeededRng::new(n);
        (InstanceId::generate(at(0), &mut rng), SessionId::generate(at(0), &mut rng))
    }

    #[test]
    fn only_what_is_stored_too_coarsely_is_due() {
        let activity = Activity::default();
        let key = key(1);
        activity.set_coarseness(key.0, COARSEST);
        activity.stored(key, Moment::real(at(0)));
        activity.record(key, Moment::real(at(43)));
        assert_eq!(activity.take_due(9), []);
        assert_eq!(activity.get(&key), Some(at(43)));
        activity.record(key, Moment::real(at(86)));
        activity.record(key, Moment::real(at(60)));
        assert_eq!(activity.take_due(9), [(key, at(86))]);
        activity.written(&[(key, at(86))]);
        activity.make_all_due();
        assert_eq!(activity.take_due(9), []);
    }

    #[test]
    fn a_batch_that_failed_is_due_again() {
        let activity = Activity::default();
        let key = key(1);
        activity.record(key, Moment::real(at(0)));
        let batch = activity.take_due(9);
        activity.put_back(&batch);
        assert_eq!(activity.take_due(9), batch);
    }

    #[test]
    fn idle_entries_are_written_once_more_and_dropped() {
        let activity = Activity::default();
        let (idle, busy) = (key(1), key(2));
        activity.set_coarseness(idle.0, COARSEST);
        activity.stored(idle, Moment::real(at(0)));
        activity.record(idle, Moment::real(at(30)));
        activity.record(busy, Moment::real(at(1000)));
        activity.written(&activity.take_due(9));
        activity.tidy();
        let batch = activity.take_due(9);
        assert_eq!(batch, [(idle, at(30))]);
        activity.written(&batch);
        activity.tidy();
        assert_eq!(activity.get(&idle), None);
        assert_eq!(activity.get(&busy), Some(at(1000)));
    }
}
