//! Cache of rows of the embedded database: clients with their sessions, users and settings, so that
//! a refresh does not read the file. The cache is coherent because only one process writes (it
//! locks the data folder), and because the writer invalidates entries before it commits:
//!
//! 1. [`RowCache::begin_commit`] removes the changed rows and starts a new epoch. Rows that were
//!    read in an older epoch are not inserted any more ([`RowCache::insert_if_unchanged`]), so that
//!    until the end of the commit every reader of a changed row reads the file. If the old rows
//!    stayed until after COMMIT, a reader could see the new row in the file and then the old one in
//!    the cache.
//! 2. COMMIT.
//! 3. [`RowCache::end_commit`] permits inserts again. Then the writer acknowledges the commit.
//!
//! A record is assembled from the cache under one lock, so that it is a consistent snapshot.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use quick_cache::{Weighter, sync::Cache};
use sojourn_core::{
    client::ClientWithSessions,
    id::{ClientId, InstanceId, UserId},
    policy::Policy,
    session::Session,
    settings::Settings,
    sign_in::SignIn,
    sign_up::SignUp,
    user::User,
};
use sojourn_metrics::ROW_CACHE;

use crate::{
    activity::Activity,
    change::{ChangeSet, Write},
    records::{ClientRecord, users_of},
};

/// The maximum size of all clients in bytes: about 100,000 clients with one session each.
const CLIENT_BYTES: u64 = 96 << 20;
/// The maximum size of all users in bytes.
const USER_BYTES: u64 = 32 << 20;
/// The estimated overhead per entry in bytes.
const ENTRY_BYTES: usize = 64;

#[derive(Debug)]
pub(super) struct RowCache {
    /// Read-locked while a record is assembled, write-locked for inserts and removals.
    state: RwLock<CacheState>,
    clients: Cache<(InstanceId, ClientId), Arc<CachedClient>, Bytes>,
    users: Cache<(InstanceId, UserId), CachedUser, Bytes>,
}

#[derive(Debug, Default)]
struct CacheState {
    /// Commits that have begun, and commits that have ended.
    begun: u64,
    ended: u64,
    settings: BTreeMap<InstanceId, (Settings, Policy)>,
}

/// A client with its sessions and attempts. Its users are cached separately.
#[derive(Debug)]
struct CachedClient {
    browser: ClientWithSessions,
    sign_in: Option<SignIn>,
    sign_up: Option<SignUp>,
}

#[derive(Clone, Debug)]
struct CachedUser {
    user: Arc<User>,
    bytes: u64,
}

/// An epoch without a running commit. Rows that are read in it may be inserted until the next
/// commit begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadEpoch(u64);

impl RowCache {
    pub(super) fn new() -> Self {
        let items = |bytes: u64| (bytes / 1024) as usize;
        Self {
            state: RwLock::default(),
            clients: Cache::with_weighter(items(CLIENT_BYTES), CLIENT_BYTES, Bytes),
            users: Cache::with_weighter(items(USER_BYTES), USER_BYTES, Bytes),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, CacheState> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, CacheState> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client with the newest activity, if all its rows are cached.
    pub(super) fn browser(
        &self,
        instance: InstanceId,
        id: ClientId,
        activity: &Activity,
    ) -> Option<ClientRecord> {
        let found = self.assemble(instance, id, activity);
        ROW_CACHE.add(usize::from(found.is_none()), 1);
        found
    }

    fn assemble(&self, instance: InstanceId, id: ClientId, activity: &Activity) -> Option<ClientRecord> {
        let state = self.read();
        let found = self.clients.get(&(instance, id))?;
        let (settings, policy) = state.settings.get(&instance)?.clone();
        let mut browser = found.browser.clone();
        for session in &mut browser.sessions {
            // Without an entry in memory the table may contain newer activity than the cached row.
            let at = activity.get(&(instance, session.id))?;
            session.last_active_at = session.last_active_at.max(at);
        }
        let users = users_of(&browser.sessions)
            .into_iter()
            .map(|user| Some(self.users.get(&(instance, user))?.user))
            .collect::<Option<Vec<_>>>()?;
        let (sign_in, sign_up) = (found.sign_in.clone(), found.sign_up.clone());
        Some(ClientRecord { browser, users, sign_in, sign_up, settings, policy })
    }

    pub(super) fn settings(&self, instance: InstanceId) -> Option<(Settings, Policy)> {
        self.read().settings.get(&instance).cloned()
    }

    /// Call it before reading rows that may be inserted. `None` while a commit is running.
    pub(super) fn read_epoch(&self) -> Option<ReadEpoch> {
        let state = self.read();
        (state.begun == state.ended).then_some(ReadEpoch(state.begun))
    }

    /// Inserts rows as stored, unless a commit has begun after `since`.
    pub(super) fn insert_if_unchanged(
        &self,
        since: Option<ReadEpoch>,
        instance: InstanceId,
        record: &ClientRecord,
        activity: &Activity,
    ) {
        let mut state = self.write();
        if since.is_none_or(|ReadEpoch(begun)| begun != state.begun) {
            return;
        }
        state.settings.entry(instance).or_insert_with(|| (record.settings.clone(), record.policy.clone()));
        for user in &record.users {
            let cached = CachedUser { user: Arc::clone(user), bytes: user_bytes(user) };
            self.users.insert((instance, user.id), cached);
        }
        for session in &record.browser.sessions {
            activity.read((instance, session.id), session.last_active_at);
        }
        let found = CachedClient {
            browser: record.browser.clone(),
            sign_in: record.sign_in.clone(),
            sign_up: record.sign_up.clone(),
        };
        self.clients.insert((instance, record.browser.client.id), Arc::new(found));
    }

    /// The writer calls it before COMMIT. Removes the rows that `changes` wrote, and clients with
    /// attempts if attempts were `purged`. Rows of running reads are not inserted after it.
    pub(super) fn begin_commit<'a>(&self, changes: impl Iterator<Item = &'a ChangeSet>, purged: bool) {
        let mut state = self.write();
        state.begun += 1;
        if purged {
            self.clients.retain(|_, found| found.sign_in.is_none() && found.sign_up.is_none());
        }
        for set in changes {
            for write in &set.writes {
                self.forget(&mut state, set.instance_id, write);
            }
        }
    }

    /// The writer calls it after COMMIT and before the acknowledgement.
    pub(super) fn end_commit(&self) {
        let mut state = self.write();
        state.ended = state.begun;
    }

    /// Removes everything, after another program has written or if the outcome of a commit is
    /// unknown.
    pub(super) fn clear(&self) {
        let mut state = self.write();
        self.forget_all(&mut state);
        // Running reads may have seen the old rows; a new epoch stops their insertion.
        state.begun += 1;
        state.ended = state.begun;
    }

    fn forget_all(&self, state: &mut CacheState) {
        self.clients.clear();
        self.users.clear();
        state.settings.clear();
    }

    fn forget(&self, state: &mut CacheState, instance: InstanceId, write: &Write) {
        let browser = |id: ClientId| drop(self.clients.remove(&(instance, id)));
        let user = |id: UserId| drop(self.users.remove(&(instance, id)));
        match write {
            Write::Client(client) => browser(client.id),
            Write::InsertSession(session)
            | Write::CloseSession(session)
            | Write::UpdateSession(session)
            | Write::TouchSession(session) => browser(session.client_id),
            Write::SignIn(attempt) => browser(attempt.client_id),
            Write::SignUp(attempt) => browser(attempt.client_id),
            Write::User(changed) => user(changed.id),
            Write::DeleteUser(id) => user(*id),
            Write::Settings(_) => drop(state.settings.remove(&instance)),
            Write::RebaseOpenSessions(_) => self.forget_all(state),
            Write::Handshake(..)
            | Write::InsertTicket(_)
            | Write::AcceptTicket(_)
            | Write::RevokeTicket(_)
            | Write::IdempotencyKey(_)
            | Write::Mail(_)
            | Write::OutgoingMail(_)
            | Write::DeleteMail(_)
            | Write::WebhookEndpoint(_)
            | Write::DeleteWebhookEndpoint(_)
            | Write::InsertWebhookDelivery(_)
            | Write::WebhookDelivery(_)
            | Write::AcknowledgeEvents { .. }
            | Write::ClearMails
            | Write::InsertInstance(_)
            | Write::InsertSigningKey(_)
            | Write::WithdrawSigningKey { .. }
            | Write::ResealSigningKey { .. }
            | Write::InsertSecretKey(_)
            | Write::RevokeSecretKey(_)
            | Write::SecretKeyUsed(_)
            | Write::TestClock(_) => {}
        }
    }
}

#[derive(Clone, Debug)]
struct Bytes;

impl Weighter<(InstanceId, ClientId), Arc<CachedClient>> for Bytes {
    fn weight(&self, _: &(InstanceId, ClientId), found: &Arc<CachedClient>) -> u64 {
        let text = |session: &Session| session.device.user_agent.len() + session.device.ip_address.len();
        let sessions: usize =
            found.browser.sessions.iter().map(|session| size_of::<Session>() + text(session)).sum();
        (ENTRY_BYTES + size_of::<CachedClient>() + sessions) as u64
    }
}

impl Weighter<(InstanceId, UserId), CachedUser> for Bytes {
    fn weight(&self, _: &(InstanceId, UserId), cached: &CachedUser) -> u64 {
        cached.bytes
    }
}

/// Includes the metadata, which makes some users large.
fn user_bytes(user: &User) -> u64 {
    let document = serde_json::to_vec(user).map_or(0, |document| document.len());
    (ENTRY_BYTES + size_of::<User>() + document) as u64
}

#[cfg(test)]
mod tests {
    use sojourn_core::{
        client::{Client, SecretHash},
        id::SessionId,
        session::Device,
        testing::SeededRng,
        time::{Moment, Timestamp, minutes},
    };

    use super::*;

    fn record() -> (InstanceId, ClientRecord) {
        let at = Timestamp::from_secs(1_800_000_000);
        let mut rng = SeededRng::new(1);
        let instance = InstanceId::generate(at, &mut rng);
        let client = Client::new(ClientId::generate(at, &mut rng), SecretHash([1; 32]), Moment::real(at));
        let user = User::new(UserId::generate(at, &mut rng), at);
        let session = Session {
            id: SessionId::generate(at, &mut rng),
            client_id: client.id,
            user_id: user.id,
            created_at: at,
            updated_at: at,
            last_active_at: at,
            settings_version: 1,
            first_factor_verified_at: at,
            device: Device { user_agent: "Firefox".to_owned(), ip_address: "::1".to_owned() },
            impersonation: None,
            closed: None,
        };
        let settings = Settings::initial(at);
        let policy = Policy::new(settings.policy_version());
        let browser = ClientWithSessions { client, sessions: vec![session] };
        let users = vec![Arc::new(user)];
        let record = ClientRecord { browser, users, sign_in: None, sign_up: None, settings, policy };
        (instance, record)
    }

    #[test]
    fn a_browser_whose_activity_nobody_remembers_is_read_again() {
        let (instance, record) = record();
        let (id, at) = (record.browser.client.id, record.browser.sessions[0].last_active_at);
        let (row_cache, activity) = (RowCache::new(), Activity::default());
        assert_eq!(row_cache.browser(instance, id, &activity), None);
        row_cache.insert_if_unchanged(row_cache.read_epoch(), instance, &record, &activity);
        assert_eq!(row_cache.browser(instance, id, &activity), Some(record));
        // The session's activity has left memory after an idle hour, so the table may contain newer
        // activity than the cached row.
        activity.saw(at + minutes(60));
        activity.tidy();
        assert_eq!(row_cache.browser(instance, id, &activity), None);
    }
    #[test]
    fn during_a_commit_changed_rows_are_not_cached() {
        let (instance, record) = record();
        let (id, at) = (record.browser.client.id, record.browser.sessions[0].last_active_at);
        let (row_cache, activity) = (RowCache::new(), Activity::default());
        let before = row_cache.read_epoch();
        row_cache.insert_if_unchanged(before, instance, &record, &activity);
        let write = Write::User((*record.users[0]).clone());
        let set = ChangeSet::new(instance, Moment::real(at), &mut SeededRng::new(2)).write(write);
        row_cache.begin_commit([&set].into_iter(), false);
        // The file may already contain the new row, so the old one must not come back.
        assert_eq!(row_cache.browser(instance, id, &activity), None);
        row_cache.insert_if_unchanged(before, instance, &record, &activity);
        row_cache.insert_if_unchanged(row_cache.read_epoch(), instance, &record, &activity);
        assert_eq!(row_cache.browser(instance, id, &activity), None);
        row_cache.end_commit();
        row_cache.insert_if_unchanged(row_cache.read_epoch(), instance, &record, &activity);
        assert_eq!(row_cache.browser(instance, id, &activity), Some(record));
    }
}
