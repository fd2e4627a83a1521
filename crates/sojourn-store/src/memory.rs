//! The engine without a file: the same meaning, for tests and the simulator.

mod apply;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sojourn_core::{
    client::{Browser, Client},
    email::Email,
    handshake::Handshake,
    id::{
        ClientId, CommitId, EventId, InstanceId, MailId, SessionId, SignInId, SignInTokenId, SignUpId, UserId,
    },
    policy::Policy,
    session::Session,
    settings::Settings,
    sign_in::SignIn,
    sign_up::SignUp,
    time::{Timestamp, days},
    user::User,
};

use crate::{
    change::{ChangeSet, Write},
    engine::{CommitError, Engine, StoreError},
    records::{
        BrowserRecord, Instance, Mail, OutboxEntry, SecretKey, SessionFilter, SessionOrder, SignInToken,
        SigningKey, StoredStatus, UserFilter, UserTime, policy_of, search_text,
    },
};

/// How long a commit id is known, so that a lost answer can be settled.
pub(crate) const COMMITS_KNOWN_FOR: Duration = days(1);

/// Everything behind one lock; every call sees and leaves one moment.
#[derive(Debug, Default)]
pub struct MemoryEngine {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tenants: BTreeMap<InstanceId, Tenant>,
    high_water: Option<Timestamp>,
    closed: bool,
}

/// The rows of one instance.
#[derive(Debug, Default)]
struct Tenant {
    instance: Option<Instance>,
    signing_keys: BTreeMap<String, SigningKey>,
    secret_keys: BTreeMap<[u8; 32], SecretKey>,
    settings: BTreeMap<u64, Settings>,
    clients: BTreeMap<ClientId, Client>,
    sessions: BTreeMap<SessionId, Session>,
    /// Finds sessions as the indexes of the other engine do.
    sessions_by_client: BTreeMap<ClientId, Vec<SessionId>>,
    sessions_by_user: BTreeMap<UserId, Vec<SessionId>>,
    users: BTreeMap<UserId, User>,
    emails: BTreeMap<Email, UserId>,
    external_ids: BTreeMap<String, UserId>,
    sign_ins: BTreeMap<SignInId, SignIn>,
    sign_ups: BTreeMap<SignUpId, SignUp>,
    handshakes: BTreeMap<[u8; 32], Handshake>,
    tickets: BTreeMap<SignInTokenId, SignInToken>,
    tickets_by_hash: BTreeMap<[u8; 32], SignInTokenId>,
    mails: BTreeMap<MailId, Mail>,
    outbox: Vec<OutboxEntry>,
    commits: BTreeMap<CommitId, Timestamp>,
}

impl MemoryEngine {
    fn state(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Err(StoreError::closed());
        }
        Ok(state)
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
}

impl Tenant {
    fn settings(&self) -> Result<(Settings, Policy), StoreError> {
        policy_of(self.settings.values().cloned().collect())
    }

    /// All sessions among which those that `filter` asks for are.
    fn candidates(&self, filter: &SessionFilter) -> Vec<&Session> {
        let of = |ids: Option<&Vec<SessionId>>| {
            ids.into_iter().flatten().filter_map(|id| self.sessions.get(id)).collect()
        };
        match (filter.client_id, filter.user_id) {
            (Some(client), _) => of(self.sessions_by_client.get(&client)),
            (None, Some(user)) => of(self.sessions_by_user.get(&user)),
            (None, None) => self.sessions.values().collect(),
        }
    }

    fn sessions(&self, filter: &SessionFilter) -> (Vec<Session>, u64) {
        let mut found = self.candidates(filter);
        found.retain(|session| {
            filter.client_id.is_none_or(|id| session.client_id == id)
                && filter.user_id.is_none_or(|id| session.user_id == id)
                && (filter.ids.is_empty() || filter.ids.contains(&session.id))
                && match filter.stored {
                    None => true,
                    Some(StoredStatus::Open) => session.closed.is_none(),
                    Some(StoredStatus::Closed(status)) => {
                        session.closed.is_some_and(|closing| closing.status == status)
                    }
                }
        });
        found.sort_by_key(|session| (session.created_at, session.id));
        if filter.order == SessionOrder::NewestFirst {
            found.reverse();
        }
        page(found, filter.offset, filter.limit)
    }

    fn users(&self, filter: &UserFilter) -> (Vec<User>, u64) {
        let query = filter.query.as_ref().map(|query| query.to_lowercase());
        let mut found: Vec<&User> = self.users.values().collect();
        found.retain(|user| {
            (filter.ids.is_empty() || filter.ids.contains(&user.id))
                && (filter.emails.is_empty()
                    || user
                        .email_addresses
                        .iter()
                        .any(|address| filter.emails.iter().any(|email| email == address.email.as_str())))
                && (filter.external_ids.is_empty()
                    || user.external_id.as_ref().is_some_and(|id| filter.external_ids.contains(id)))
                && filter.banned.is_none_or(|banned| user.banned == banned)
                && query.as_ref().is_none_or(|query| search_text(user).contains(query))
        });
        let (by, newest_first) = filter.order.parts();
        found.sort_by_key(|user| {
            let time = match by {
                UserTime::Creation => user.created_at,
                UserTime::Update => user.updated_at,
                UserTime::LastSignIn => user.last_sign_in_at.unwrap_or(Timestamp::from_millis(0)),
            };
            (time, user.id)
        });
        if newest_first {
            found.reverse();
        }
        page(found, filter.offset, filter.limit)
    }

    fn browser(&self, client: ClientId) -> Result<Option<BrowserRecord>, StoreError> {
        let Some(client) = self.clients.get(&client).cloned() else {
            return Ok(None);
        };
        let filter = SessionFilter {
            client_id: Some(client.id),
            stored: Some(StoredStatus::Open),
            order: SessionOrder::OldestFirst,
            limit: u32::MAX,
            ..SessionFilter::default()
        };
        let (sessions, _) = self.sessions(&filter);
        let mut users: Vec<UserId> = sessions.iter().map(|session| session.user_id).collect();
        users.sort_unstable();
        users.dedup();
        let (settings, policy) = self.settings()?;
        Ok(Some(BrowserRecord {
            users: users.iter().filter_map(|id| self.users.get(id)).cloned().collect(),
            sign_in: client.sign_in_id.and_then(|id| self.sign_ins.get(&id)).cloned(),
            sign_up: client.sign_up_id.and_then(|id| self.sign_ups.get(&id)).cloned(),
            browser: Browser { client, sessions },
            settings,
            policy,
        }))
    }

    /// Removes up to `limit` rows that were over before `before`.
    fn purge(&mut self, before: Timestamp, limit: usize) -> u64 {
        let mut removed = remove(&mut self.sign_ins, limit, |row| row.abandon_at() <= before);
        removed += remove(&mut self.sign_ups, limit, |row| row.abandon_at() <= before);
        removed += remove(&mut self.handshakes, limit, |row| row.expires_at <= before);
        removed += remove(&mut self.tickets, limit, |row| row.expires_at <= before);
        let Self { tickets, tickets_by_hash, .. } = self;
        tickets_by_hash.retain(|_, id| tickets.contains_key(id));
        removed + remove(&mut self.commits, limit, |at| *at + COMMITS_KNOWN_FOR <= before)
    }
}

/// Removes up to `limit` rows that are `over`.
fn remove<K: Ord + Copy, V>(rows: &mut BTreeMap<K, V>, limit: usize, over: impl Fn(&V) -> bool) -> u64 {
    let gone: Vec<K> = rows.iter().filter(|(_, row)| over(row)).map(|(key, _)| *key).take(limit).collect();
    for key in &gone {
        rows.remove(key);
    }
    gone.len() as u64
}

/// What lies behind `offset`, up to `limit`, and how many there are in all.
fn page<T: Clone>(found: Vec<&T>, offset: u32, limit: u32) -> (Vec<T>, u64) {
    let total = found.len() as u64;
    let rows = found.into_iter().skip(offset as usize).take(limit as usize).cloned();
    (rows.collect(), total)
}

impl Engine for MemoryEngine {
    async fn commit(&self, changes: ChangeSet) -> Result<(), CommitError> {
        let mut state = self.state()?;
        if !state.keys_are_new(&changes) {
            return Err(CommitError::Conflict);
        }
        let tenant = state.tenants.entry(changes.instance_id).or_default();
        let applied = apply::apply(tenant, &changes);
        if tenant.instance.is_none() {
            state.tenants.remove(&changes.instance_id);
        }
        applied?;
        state.high_water = state.high_water.max(Some(changes.at));
        Ok(())
    }

    async fn was_committed(&self, instance: InstanceId, id: CommitId) -> Result<bool, StoreError> {
        self.list(instance, |tenant| tenant.commits.contains_key(&id))
    }

    async fn instances(&self) -> Result<Vec<Instance>, StoreError> {
        let state = self.state()?;
        let mut instances: Vec<Instance> =
            state.tenants.values().filter_map(|tenant| tenant.instance.clone()).collect();
        instances.sort_by_key(|instance| (instance.created_at, instance.id));
        Ok(instances)
    }

    async fn signing_keys(&self, instance: InstanceId) -> Result<Vec<SigningKey>, StoreError> {
        let mut keys: Vec<SigningKey> =
            self.list(instance, |tenant| tenant.signing_keys.values().cloned().collect())?;
        keys.sort_by_key(|key| key.created_at);
        Ok(keys)
    }

    async fn secret_key(
        &self,
        instance: InstanceId,
        hash: [u8; 32],
    ) -> Result<Option<SecretKey>, StoreError> {
        self.read(instance, |tenant| tenant.secret_keys.get(&hash).cloned())
    }

    async fn settings(&self, instance: InstanceId) -> Result<(Settings, Policy), StoreError> {
        match self.state()?.tenants.get(&instance) {
            Some(tenant) => tenant.settings(),
            None => policy_of(Vec::new()),
        }
    }

    async fn browser(
        &self,
        instance: InstanceId,
        client: ClientId,
    ) -> Result<Option<BrowserRecord>, StoreError> {
        match self.state()?.tenants.get(&instance) {
            Some(tenant) => tenant.browser(client),
            None => Ok(None),
        }
    }

    async fn session(&self, instance: InstanceId, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.read(instance, |tenant| tenant.sessions.get(&id).cloned())
    }

    async fn sessions(
        &self,
        instance: InstanceId,
        filter: SessionFilter,
    ) -> Result<(Vec<Session>, u64), StoreError> {
        self.list(instance, |tenant| tenant.sessions(&filter))
    }

    async fn user(&self, instance: InstanceId, id: UserId) -> Result<Option<User>, StoreError> {
        self.read(instance, |tenant| tenant.users.get(&id).cloned())
    }

    async fn user_by_email(&self, instance: InstanceId, email: &Email) -> Result<Option<User>, StoreError> {
        self.read(instance, |tenant| tenant.users.get(tenant.emails.get(email)?).cloned())
    }

    async fn users(&self, instance: InstanceId, filter: UserFilter) -> Result<(Vec<User>, u64), StoreError> {
        self.list(instance, |tenant| tenant.users(&filter))
    }

    async fn sign_in(&self, instance: InstanceId, id: SignInId) -> Result<Option<SignIn>, StoreError> {
        self.read(instance, |tenant| tenant.sign_ins.get(&id).cloned())
    }

    async fn sign_up(&self, instance: InstanceId, id: SignUpId) -> Result<Option<SignUp>, StoreError> {
        self.read(instance, |tenant| tenant.sign_ups.get(&id).cloned())
    }

    async fn handshake(
        &self,
        instance: InstanceId,
        nonce: [u8; 32],
    ) -> Result<Option<Handshake>, StoreError> {
        self.read(instance, |tenant| tenant.handshakes.get(&nonce).cloned())
    }

    async fn sign_in_token(
        &self,
        instance: InstanceId,
        hash: [u8; 32],
    ) -> Result<Option<SignInToken>, StoreError> {
        self.read(instance, |tenant| tenant.tickets.get(tenant.tickets_by_hash.get(&hash)?).cloned())
    }

    async fn sign_in_token_by_id(
        &self,
        instance: InstanceId,
        id: SignInTokenId,
    ) -> Result<Option<SignInToken>, StoreError> {
        self.read(instance, |tenant| tenant.tickets.get(&id).cloned())
    }

    async fn mails(
        &self,
        instance: InstanceId,
        to: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Mail>, StoreError> {
        let mut mails: Vec<Mail> = self.list(instance, |tenant| {
            let wanted = tenant.mails.values().filter(|mail| to.is_none_or(|to| mail.to == to));
            wanted.cloned().collect()
        })?;
        mails.sort_by_key(|mail| std::cmp::Reverse((mail.received_at, mail.id)));
        mails.truncate(limit as usize);
        Ok(mails)
    }

    async fn outbox(
        &self,
        instance: InstanceId,
        after: Option<EventId>,
        limit: u32,
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        self.list(instance, |tenant| {
            let start = match after {
                None => 0,
                Some(id) => tenant
                    .outbox
                    .iter()
                    .position(|entry| entry.id == id)
                    .map_or(tenant.outbox.len(), |index| index + 1),
            };
            tenant.outbox.iter().skip(start).take(limit as usize).cloned().collect()
        })
    }

    fn record_activity(&self, instance: InstanceId, session: SessionId, at: Timestamp) {
        if let Ok(mut state) = self.state()
            && let Some(tenant) = state.tenants.get_mut(&instance)
            && let Some(session) = tenant.sessions.get_mut(&session)
            && session.closed.is_none()
        {
            session.last_active_at = session.last_active_at.max(at);
        }
    }

    async fn flush_activity(&self) -> Result<(), StoreError> {
        self.state().map(drop)
    }

    async fn high_water(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.state()?.high_water)
    }

    async fn raise_high_water(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut state = self.state()?;
        state.high_water = state.high_water.max(Some(now));
        Ok(())
    }

    async fn purge(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut state = self.state()?;
        let mut removed = 0;
        for tenant in state.tenants.values_mut() {
            loop {
                let gone = tenant.purge(before, limit.max(1) as usize);
                removed += gone;
                if gone == 0 {
                    break;
                }
            }
        }
        Ok(removed)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.state()?.closed = true;
        Ok(())
    }
}
