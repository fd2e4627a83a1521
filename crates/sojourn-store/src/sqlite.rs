//! The embedded SQLite engine: one writer thread, and readers on the calling threads.

mod apply;
pub(crate) mod archive;
mod db;
mod disk;
mod file;
mod migrate;
mod orders;
mod readers;
mod row_cache;
mod writer;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex,
        mpsc::{self, Sender},
    },
    thread::{self, JoinHandle},
};

use sojourn_core::{
    audit::AuditEntry,
    client::ClientWithSessions,
    email::Email,
    handshake::Handshake,
    id::{
        ClientId, CommitId, InstanceId, MailId, SessionId, SignInId, SignUpId, TicketId, UserId,
        WebhookDeliveryId, WebhookEndpointId,
    },
    outgoing_mail::{MailStatus, OutgoingMail},
    policy::Policy,
    session::Session,
    settings::Settings,
    sign_in::SignIn,
    sign_up::SignUp,
    test_clock::TestClock,
    time::{Moment, Timestamp},
    user::User,
    webhook::{WebhookDelivery, WebhookEndpoint},
};

use self::{
    readers::Readers,
    row_cache::RowCache,
    writer::{Job, Work, Writer},
};
use crate::{
    activity::{self, Activity},
    change::ChangeSet,
    engine::Engine,
    error::{CommitError, StoreError},
    records::{
        AuditFilter, ClientRecord, IdempotencyKey, Instance, Mail, OutboxEntry, QueueLengths, SecretKey,
        SessionFilter, SigningKey, StoredWebhookDelivery, Ticket, UserFilter, WebhookDeliveryFilter,
        users_of,
    },
    schema::MigrationMode,
    sql::{
        attempts, audit_log, clients, clock, idempotency, instances, journal, keys, mails, outgoing_mails,
        sessions,
        statement::{Dialect, Statement},
        tickets, users, webhooks,
    },
};

pub(crate) use file::{bring_up as migrate, schema};

/// The SQLite engine.
#[derive(Debug)]
pub struct SqliteEngine {
    readers: Readers,
    row_cache: Arc<RowCache>,
    activity: Arc<Activity>,
    jobs: Sender<Job>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl SqliteEngine {
    /// Opens the database at `path`, or creates it if the file does not exist.
    pub(crate) fn open(path: &Path, older: MigrationMode) -> Result<Self, StoreError> {
        let db = file::open_or(path, older)?;
        let activity = Arc::new(Activity::default());
        for instance in db::all(&db, &instances::all())? {
            if let Some(settings) = db::all(&db, &instances::settings(instance.id))?.last() {
                activity.set_coarseness(instance.id, activity::coarseness(settings));
            }
        }
        let high_water = db::first(&db, &journal::high_water())?;
        let (jobs, queue) = mpsc::channel();
        let row_cache = Arc::new(RowCache::new());
        let writer = Writer::new(db, Arc::clone(&activity), Arc::clone(&row_cache), queue, high_water)?;
        let writer = thread::Builder::new()
            .name("sojourn-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self {
            readers: Readers::new(path.to_owned()),
            row_cache,
            activity,
            jobs,
            writer: Mutex::new(Some(writer)),
        })
    }
}

impl Engine for SqliteEngine {
    async fn commit(&self, changes: ChangeSet) -> Result<(), CommitError> {
        self.ask(Work::Commit(Box::new(changes))).await.map(drop)
    }

    async fn was_committed(&self, instance: InstanceId, id: CommitId) -> Result<bool, StoreError> {
        self.readers.first(&journal::is_known(instance, id)).map(|known| known.is_some())
    }

    async fn instances(&self) -> Result<Vec<Instance>, StoreError> {
        self.readers.all(&instances::all())
    }

    async fn signing_keys(&self, instance: InstanceId) -> Result<Vec<SigningKey>, StoreError> {
        self.readers.all(&keys::signing_keys(instance))
    }

    async fn secret_keys(&self, instance: InstanceId) -> Result<Vec<SecretKey>, StoreError> {
        self.readers.all(&keys::secret_keys(instance))
    }

    async fn secret_key(
        &self,
        instance: InstanceId,
        hash: [u8; 32],
    ) -> Result<Option<SecretKey>, StoreError> {
        self.readers.first(&keys::secret_key(instance, hash))
    }

    async fn settings(&self, instance: InstanceId) -> Result<(Settings, Policy), StoreError> {
        match self.row_cache.settings(instance) {
            Some(known) => Ok(known),
            None => self.readers.many(|db| self.readers.settings(db, instance)),
        }
    }

    async fn settings_history(&self, instance: InstanceId) -> Result<Vec<Settings>, StoreError> {
        self.readers.all(&instances::settings(instance))
    }

    async fn test_clock(&self, instance: InstanceId) -> Result<TestClock, StoreError> {
        self.readers.first(&clock::get(instance)).map(Option::unwrap_or_default)
    }

    async fn browser(
        &self,
        instance: InstanceId,
        client: ClientId,
    ) -> Result<Option<ClientRecord>, StoreError> {
        if let Some(known) = self.row_cache.browser(instance, client, &self.activity) {
            return Ok(Some(known));
        }
        // Before the read: a commit that begins during the read prevents the insertion.
        let read_epoch = self.row_cache.read_epoch();
        let stored = self.readers.many(|db| {
            let Some(client) = db::first(db, &clients::get(instance, client))? else {
                return Ok(None);
            };
            let mut sessions = db::all(db, &sessions::open_of_client(instance, client.id))?;
            sessions::oldest_first(&mut sessions);
            let mut users = Vec::new();
            for id in users_of(&sessions) {
                users.extend(db::first(db, &users::get(instance, id))?.map(Arc::new));
            }
            let sign_in = match client.sign_in_id {
                Some(id) => db::first(db, &attempts::sign_in(instance, id))?,
                None => None,
            };
            let sign_up = match client.sign_up_id {
                Some(id) => db::first(db, &attempts::sign_up(instance, id))?,
                None => None,
            };
            let (settings, policy) = self.readers.settings(db, instance)?;
            let browser = ClientWithSessions { client, sessions };
            Ok(Some(ClientRecord { browser, users, sign_in, sign_up, settings, policy }))
        });
        let Some(mut record) = stored? else { return Ok(None) };
        self.row_cache.insert_if_unchanged(read_epoch, instance, &record, &self.activity);
        for session in &mut record.browser.sessions {
            self.activity.merge(instance, session);
        }
        Ok(Some(record))
    }

    async fn session(&self, instance: InstanceId, id: SessionId) -> Result<Option<Session>, StoreError> {
        let mut session = self.readers.first(&sessions::get(instance, id))?;
        if let Some(session) = &mut session {
            self.activity.merge(instance, session);
        }
        Ok(session)
    }

    async fn sessions(
        &self,
        instance: InstanceId,
        filter: SessionFilter,
    ) -> Result<(Vec<Session>, u64), StoreError> {
        let (mut sessions, total) = self.readers.page(&sessions::list(instance, &filter))?;
        sessions.iter_mut().for_each(|session| self.activity.merge(instance, session));
        Ok((sessions, total))
    }

    async fn session_page(
        &self,
        instance: InstanceId,
        filter: SessionFilter,
    ) -> Result<Vec<Session>, StoreError> {
        let mut sessions = self.readers.many(|db| db::listed(db, &sessions::list(instance, &filter)))?;
        sessions.iter_mut().for_each(|session| self.activity.merge(instance, session));
        Ok(sessions)
    }

    async fn open_sessions(
        &self,
        instance: InstanceId,
        after: Option<(Timestamp, SessionId)>,
        limit: u32,
    ) -> Result<Vec<Session>, StoreError> {
        let mut sessions = self.readers.all(&sessions::open_after(instance, after, limit))?;
        sessions.iter_mut().for_each(|session| self.activity.merge(instance, session));
        Ok(sessions)
    }

    async fn last_ended_session(
        &self,
        instance: InstanceId,
        client: ClientId,
    ) -> Result<Option<Session>, StoreError> {
        self.readers.first(&sessions::last_ended_of_client(instance, client))
    }

    async fn user(&self, instance: InstanceId, id: UserId) -> Result<Option<User>, StoreError> {
        self.readers.first(&users::get(instance, id))
    }

    async fn user_by_email(&self, instance: InstanceId, email: &Email) -> Result<Option<User>, StoreError> {
        self.readers.first(&users::by_email(instance, email))
    }

    async fn users(&self, instance: InstanceId, filter: UserFilter) -> Result<(Vec<User>, u64), StoreError> {
        // The statement reads activity from the table, so store what is only in memory.
        if filter.needs_activity() {
            self.flush_activity().await?;
        }
        self.readers.page(&users::list(instance, &filter, Dialect::Sqlite))
    }

    async fn last_activity(
        &self,
        instance: InstanceId,
        users: Vec<UserId>,
    ) -> Result<BTreeMap<UserId, Timestamp>, StoreError> {
        if users.is_empty() {
            return Ok(BTreeMap::new());
        }
        let listed = self.readers.many(|db| db::listed(db, &sessions::last_activity(instance, users)))?;
        Ok(listed.into_iter().collect())
    }

    async fn sign_in(&self, instance: InstanceId, id: SignInId) -> Result<Option<SignIn>, StoreError> {
        self.readers.first(&attempts::sign_in(instance, id))
    }

    async fn sign_up(&self, instance: InstanceId, id: SignUpId) -> Result<Option<SignUp>, StoreError> {
        self.readers.first(&attempts::sign_up(instance, id))
    }

    async fn handshake(
        &self,
        instance: InstanceId,
        nonce: [u8; 32],
    ) -> Result<Option<Handshake>, StoreError> {
        self.readers.first(&attempts::handshake(instance, nonce))
    }

    async fn ticket(&self, instance: InstanceId, hash: [u8; 32]) -> Result<Option<Ticket>, StoreError> {
        self.readers.first(&tickets::by_hash(instance, hash))
    }

    async fn ticket_by_id(&self, instance: InstanceId, id: TicketId) -> Result<Option<Ticket>, StoreError> {
        self.readers.first(&tickets::get(instance, id))
    }

    async fn mails(
        &self,
        instance: InstanceId,
        to: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Mail>, StoreError> {
        match to {
            None => self.readers.all(&mails::all(instance, limit)),
            Some(to) => self.readers.all(&mails::to(instance, to, limit)),
        }
    }

    async fn outgoing_mail(
        &self,
        instance: InstanceId,
        id: MailId,
    ) -> Result<Option<OutgoingMail>, StoreError> {
        self.readers.first(&outgoing_mails::get(instance, id))
    }

    async fn due_mails(
        &self,
        instance: InstanceId,
        wall: Timestamp,
        limit: u32,
    ) -> Result<Vec<OutgoingMail>, StoreError> {
        self.readers.all(&outgoing_mails::due(instance, wall, limit))
    }

    async fn outgoing_mails(
        &self,
        instance: InstanceId,
        status: Option<MailStatus>,
        limit: u32,
        offset: u32,
    ) -> Result<(Vec<OutgoingMail>, u64), StoreError> {
        self.readers.page(&outgoing_mails::list(instance, status, limit, offset))
    }

    async fn outbox(
        &self,
        instance: InstanceId,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        self.readers.all(&journal::events(instance, after.unwrap_or(0), limit))
    }

    async fn acknowledge_events(
        &self,
        instance: InstanceId,
        reader: &str,
        seq: u64,
    ) -> Result<(), StoreError> {
        self.order(Work::Changes(vec![journal::acknowledge(instance, reader, seq).into()])).await.map(drop)
    }

    async fn acknowledged_events(
        &self,
        instance: InstanceId,
        reader: &str,
    ) -> Result<Option<u64>, StoreError> {
        self.readers.first(&journal::acknowledged(instance, reader))
    }

    async fn webhook_endpoints(&self, instance: InstanceId) -> Result<Vec<WebhookEndpoint>, StoreError> {
        self.readers.all(&webhooks::endpoints(instance))
    }

    async fn webhook_delivery(
        &self,
        instance: InstanceId,
        id: WebhookDeliveryId,
    ) -> Result<Option<StoredWebhookDelivery>, StoreError> {
        self.readers.first(&webhooks::get(instance, id))
    }

    async fn due_webhooks(
        &self,
        instance: InstanceId,
        endpoint: WebhookEndpointId,
        wall: Timestamp,
        limit: u32,
    ) -> Result<Vec<StoredWebhookDelivery>, StoreError> {
        self.readers.all(&webhooks::due(instance, endpoint, wall, limit))
    }

    async fn webhook_deliveries(
        &self,
        instance: InstanceId,
        filter: WebhookDeliveryFilter,
    ) -> Result<(Vec<WebhookDelivery>, u64), StoreError> {
        self.readers.page(&webhooks::list(instance, &filter))
    }

    async fn queue_lengths(&self, instance: InstanceId) -> Result<QueueLengths, StoreError> {
        self.readers.first(&webhooks::queue_lengths(instance)).map(Option::unwrap_or_default)
    }

    async fn audit_log(
        &self,
        instance: InstanceId,
        filter: AuditFilter,
    ) -> Result<(Vec<AuditEntry>, u64), StoreError> {
        self.readers.page(&audit_log::list(instance, &filter))
    }

    async fn idempotency_key(
        &self,
        instance: InstanceId,
        key_hash: [u8; 32],
    ) -> Result<Option<IdempotencyKey>, StoreError> {
        self.readers.first(&idempotency::get(instance, key_hash))
    }

    fn record_activity(&self, instance: InstanceId, session: SessionId, at: Moment) {
        self.activity.record((instance, session), at);
    }

    // The process holds an exclusive lock on the data folder, so it is the only writer.
    fn is_shared(&self) -> bool {
        false
    }

    fn forget_activity(&self, instance: InstanceId) {
        self.activity.forget_all(instance);
    }

    async fn flush_activity(&self) -> Result<(), StoreError> {
        self.order(Work::FlushActivity).await.map(drop)
    }

    async fn high_water(&self) -> Result<Option<Timestamp>, StoreError> {
        self.readers.first(&journal::high_water())
    }

    async fn raise_high_water(&self, wall: Timestamp) -> Result<(), StoreError> {
        self.order(Work::RaiseHighWater(wall)).await.map(drop)
    }

    async fn take_lease(
        &self,
        instance: InstanceId,
        name: &'static str,
        holder: &str,
        wall: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let lease = clock::take_lease(instance, name, holder, wall, until);
        Ok(self.order(Work::Changes(vec![lease.into()])).await? > 0)
    }

    async fn purge_sessions(
        &self,
        instance: InstanceId,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        self.order(Work::Changes(sessions::purge(instance, before, limit).map(Statement::from).into())).await
    }

    async fn purge_audit_log(
        &self,
        instance: InstanceId,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        self.order(Work::Changes(vec![audit_log::purge(instance, before, limit).into()])).await
    }

    async fn purge(&self, at: Moment, limit: u32) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            match self.order(Work::Purge { at, limit: limit.max(1) }).await? {
                0 => return Ok(removed),
                gone => removed += gone,
            }
        }
    }

    async fn close(&self) -> Result<(), StoreError> {
        let closed = self.order(Work::Close).await.map(drop);
        self.readers.close();
        self.join();
        closed
    }
}
