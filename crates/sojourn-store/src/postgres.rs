//! The PostgreSQL engine, for any number of stateless nodes on one database. Each load reads from
//! the database, so a commit on one node takes effect on all nodes at once.

pub(crate) mod archive;
mod client_record;
mod connection;
mod failure;
mod flusher;
mod migrate;
mod outside;
mod pool;
mod report;
mod shared;
#[cfg(test)]
#[path = "../tests/support/postgres.rs"]
mod support;
#[cfg(test)]
mod tests;
mod tls;
mod url;

pub use report::ServerReport;
pub use url::ServerUrl;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use sojourn_core::{
    audit::AuditEntry,
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
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};

use self::{client_record::StoredClient, pool::QUERY_TIMEOUT, shared::Shared};
use crate::{
    activity,
    change::ChangeSet,
    engine::Engine,
    error::{CommitError, StoreError},
    records::{
        AuditFilter, ClientRecord, IdempotencyKey, Instance, Mail, OutboxEntry, QueueLengths, SecretKey,
        SessionFilter, SigningKey, StoredWebhookDelivery, Ticket, UserFilter, WebhookDeliveryFilter,
    },
    schema::MigrationMode,
    sql::{
        attempts, audit_log, clock, idempotency, instances, journal, keys, mails, outgoing_mails, purge,
        sessions, statement::Dialect, tickets, users, webhooks,
    },
};

pub(crate) use outside::{migrate, report, schema};

/// The PostgreSQL engine.
#[derive(Debug)]
pub struct PostgresEngine {
    shared: Arc<Shared>,
    /// Stops the background task after it has written the remaining activity.
    stop: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
}

impl PostgresEngine {
    /// Connects to the server. An older schema is migrated or rejected.
    pub(crate) async fn open(server: &ServerUrl, older: MigrationMode) -> Result<Self, StoreError> {
        let (pool, session) = pool::open(server).await?;
        let mut first = pool::first_connection(&pool, server).await?;
        match older {
            MigrationMode::Migrate => drop(migrate::bring_up(&mut first, server).await?),
            MigrationMode::Refuse => migrate::expect_current(&first, server).await?,
        }
        drop(first);
        let shared = Arc::new(Shared::new(pool, session));
        for instance in shared.all(&instances::all()).await? {
            if let Some(settings) = shared.all(&instances::settings(instance.id)).await?.last() {
                shared.activity.set_coarseness(instance.id, activity::coarseness(settings));
            }
        }
        let (stop, stopped) = oneshot::channel();
        let flusher = tokio::spawn(flusher::flush_loop(Arc::clone(&shared), stopped));
        Ok(Self { shared, stop: Mutex::new(Some((stop, flusher))) })
    }

    /// Gives a sequence number to every event that has none.
    async fn number_events(&self, instance: InstanceId) -> Result<(), StoreError> {
        match self.shared.first(&journal::unnumbered(instance)).await? {
            Some(()) => self.shared.with_timeout(|| self.shared.number_events(instance)).await,
            None => Ok(()),
        }
    }

    fn merge(&self, instance: InstanceId, sessions: &mut [Session]) {
        for session in sessions {
            self.shared.activity.merge(instance, session);
        }
    }
}

impl Engine for PostgresEngine {
    async fn commit(&self, changes: ChangeSet) -> Result<(), CommitError> {
        let shared = Arc::clone(&self.shared);
        // In its own task: the commit completes even if the request is cancelled.
        let commit = tokio::spawn(async move { shared.commit(&changes).await });
        commit.await.unwrap_or_else(|_| Err(StoreError::closed().into()))
    }

    async fn was_committed(&self, instance: InstanceId, id: CommitId) -> Result<bool, StoreError> {
        self.shared.first(&journal::is_known(instance, id)).await.map(|known| known.is_some())
    }

    async fn instances(&self) -> Result<Vec<Instance>, StoreError> {
        self.shared.all(&instances::all()).await
    }

    async fn signing_keys(&self, instance: InstanceId) -> Result<Vec<SigningKey>, StoreError> {
        self.shared.all(&keys::signing_keys(instance)).await
    }

    async fn secret_keys(&self, instance: InstanceId) -> Result<Vec<SecretKey>, StoreError> {
        self.shared.all(&keys::secret_keys(instance)).await
    }

    async fn secret_key(
        &self,
        instance: InstanceId,
        hash: [u8; 32],
    ) -> Result<Option<SecretKey>, StoreError> {
        self.shared.first(&keys::secret_key(instance, hash)).await
    }

    async fn settings(&self, instance: InstanceId) -> Result<(Settings, Policy), StoreError> {
        let newest = self.shared.first(&instances::newest_settings(instance)).await?;
        self.shared.settings_at(instance, newest).await
    }

    async fn settings_history(&self, instance: InstanceId) -> Result<Vec<Settings>, StoreError> {
        self.shared.all(&instances::settings(instance)).await
    }

    async fn test_clock(&self, instance: InstanceId) -> Result<TestClock, StoreError> {
        self.shared.first(&clock::get(instance)).await.map(Option::unwrap_or_default)
    }

    async fn browser(
        &self,
        instance: InstanceId,
        client: ClientId,
    ) -> Result<Option<ClientRecord>, StoreError> {
        let loaded = self.shared.with_timeout(|| client_record::load(&self.shared, instance, client)).await?;
        let Some(StoredClient { mut browser, users, sign_in, sign_up, newest_settings }) = loaded else {
            return Ok(None);
        };
        self.merge(instance, &mut browser.sessions);
        let (settings, policy) = self.shared.settings_at(instance, newest_settings).await?;
        Ok(Some(ClientRecord { browser, users, sign_in, sign_up, settings, policy }))
    }

    async fn session(&self, instance: InstanceId, id: SessionId) -> Result<Option<Session>, StoreError> {
        let mut session = self.shared.first(&sessions::get(instance, id)).await?;
        self.merge(instance, session.as_mut_slice());
        Ok(session)
    }

    async fn sessions(
        &self,
        instance: InstanceId,
        filter: SessionFilter,
    ) -> Result<(Vec<Session>, u64), StoreError> {
        let (mut found, total) = self.shared.page(&sessions::list(instance, &filter)).await?;
        self.merge(instance, &mut found);
        Ok((found, total))
    }

    async fn session_page(
        &self,
        instance: InstanceId,
        filter: SessionFilter,
    ) -> Result<Vec<Session>, StoreError> {
        let mut found = self.shared.listed(&sessions::list(instance, &filter)).await?;
        self.merge(instance, &mut found);
        Ok(found)
    }

    async fn open_sessions(
        &self,
        instance: InstanceId,
        after: Option<(Timestamp, SessionId)>,
        limit: u32,
    ) -> Result<Vec<Session>, StoreError> {
        let mut found = self.shared.all(&sessions::open_after(instance, after, limit)).await?;
        self.merge(instance, &mut found);
        Ok(found)
    }

    async fn last_ended_session(
        &self,
        instance: InstanceId,
        client: ClientId,
    ) -> Result<Option<Session>, StoreError> {
        self.shared.first(&sessions::last_ended_of_client(instance, client)).await
    }

    async fn user(&self, instance: InstanceId, id: UserId) -> Result<Option<User>, StoreError> {
        self.shared.first(&users::get(instance, id)).await
    }

    async fn user_by_email(&self, instance: InstanceId, email: &Email) -> Result<Option<User>, StoreError> {
        self.shared.first(&users::by_email(instance, email)).await
    }

    async fn users(&self, instance: InstanceId, filter: UserFilter) -> Result<(Vec<User>, u64), StoreError> {
        // The statement reads activity from the table, so store what this node has only in memory.
        if filter.needs_activity() {
            self.flush_activity().await?;
        }
        self.shared.page(&users::list(instance, &filter, Dialect::Postgres)).await
    }

    async fn last_activity(
        &self,
        instance: InstanceId,
        users: Vec<UserId>,
    ) -> Result<BTreeMap<UserId, Timestamp>, StoreError> {
        if users.is_empty() {
            return Ok(BTreeMap::new());
        }
        let listed = self.shared.listed(&sessions::last_activity(instance, users)).await?;
        Ok(listed.into_iter().collect())
    }

    async fn sign_in(&self, instance: InstanceId, id: SignInId) -> Result<Option<SignIn>, StoreError> {
        self.shared.first(&attempts::sign_in(instance, id)).await
    }

    async fn sign_up(&self, instance: InstanceId, id: SignUpId) -> Result<Option<SignUp>, StoreError> {
        self.shared.first(&attempts::sign_up(instance, id)).await
    }

    async fn handshake(
        &self,
        instance: InstanceId,
        nonce: [u8; 32],
    ) -> Result<Option<Handshake>, StoreError> {
        self.shared.first(&attempts::handshake(instance, nonce)).await
    }

    async fn ticket(&self, instance: InstanceId, hash: [u8; 32]) -> Result<Option<Ticket>, StoreError> {
        self.shared.first(&tickets::by_hash(instance, hash)).await
    }

    async fn ticket_by_id(&self, instance: InstanceId, id: TicketId) -> Result<Option<Ticket>, StoreError> {
        self.shared.first(&tickets::get(instance, id)).await
    }

    async fn mails(
        &self,
        instance: InstanceId,
        to: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Mail>, StoreError> {
        match to {
            None => self.shared.all(&mails::all(instance, limit)).await,
            Some(to) => self.shared.all(&mails::to(instance, to, limit)).await,
        }
    }

    async fn outgoing_mail(
        &self,
        instance: InstanceId,
        id: MailId,
    ) -> Result<Option<OutgoingMail>, StoreError> {
        self.shared.first(&outgoing_mails::get(instance, id)).await
    }

    async fn due_mails(
        &self,
        instance: InstanceId,
        wall: Timestamp,
        limit: u32,
    ) -> Result<Vec<OutgoingMail>, StoreError> {
        self.shared.all(&outgoing_mails::due(instance, wall, limit)).await
    }

    async fn outgoing_mails(
        &self,
        instance: InstanceId,
        status: Option<MailStatus>,
        limit: u32,
        offset: u32,
    ) -> Result<(Vec<OutgoingMail>, u64), StoreError> {
        self.shared.page(&outgoing_mails::list(instance, status, limit, offset)).await
    }

    async fn outbox(
        &self,
        instance: InstanceId,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        self.number_events(instance).await?;
        self.shared.all(&journal::events(instance, after.unwrap_or(0), limit)).await
    }

    async fn acknowledge_events(
        &self,
        instance: InstanceId,
        reader: &str,
        seq: u64,
    ) -> Result<(), StoreError> {
        self.shared.execute(&journal::acknowledge(instance, reader, seq)).await.map(drop)
    }

    async fn acknowledged_events(
        &self,
        instance: InstanceId,
        reader: &str,
    ) -> Result<Option<u64>, StoreError> {
        self.shared.first(&journal::acknowledged(instance, reader)).await
    }

    async fn webhook_endpoints(&self, instance: InstanceId) -> Result<Vec<WebhookEndpoint>, StoreError> {
        self.shared.all(&webhooks::endpoints(instance)).await
    }

    async fn webhook_delivery(
        &self,
        instance: InstanceId,
        id: WebhookDeliveryId,
    ) -> Result<Option<StoredWebhookDelivery>, StoreError> {
        self.shared.first(&webhooks::get(instance, id)).await
    }

    async fn due_webhooks(
        &self,
        instance: InstanceId,
        endpoint: WebhookEndpointId,
        wall: Timestamp,
        limit: u32,
    ) -> Result<Vec<StoredWebhookDelivery>, StoreError> {
        self.shared.all(&webhooks::due(instance, endpoint, wall, limit)).await
    }

    async fn webhook_deliveries(
        &self,
        instance: InstanceId,
        filter: WebhookDeliveryFilter,
    ) -> Result<(Vec<WebhookDelivery>, u64), StoreError> {
        self.shared.page(&webhooks::list(instance, &filter)).await
    }

    async fn queue_lengths(&self, instance: InstanceId) -> Result<QueueLengths, StoreError> {
        self.shared.first(&webhooks::queue_lengths(instance)).await.map(Option::unwrap_or_default)
    }

    async fn audit_log(
        &self,
        instance: InstanceId,
        filter: AuditFilter,
    ) -> Result<(Vec<AuditEntry>, u64), StoreError> {
        self.shared.page(&audit_log::list(instance, &filter)).await
    }

    async fn idempotency_key(
        &self,
        instance: InstanceId,
        key_hash: [u8; 32],
    ) -> Result<Option<IdempotencyKey>, StoreError> {
        self.shared.first(&idempotency::get(instance, key_hash)).await
    }

    fn record_activity(&self, instance: InstanceId, session: SessionId, at: Moment) {
        self.shared.activity.record((instance, session), at);
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn forget_activity(&self, instance: InstanceId) {
        self.shared.activity.forget_all(instance);
    }

    async fn flush_activity(&self) -> Result<(), StoreError> {
        if self.shared.is_closed() {
            return Err(StoreError::closed());
        }
        let shared = Arc::clone(&self.shared);
        // In its own task, like a commit: entries that were taken from memory must be written, even
        // if the caller is cancelled.
        let flush = tokio::spawn(async move { shared.flush(true).await.map(drop) });
        flush.await.unwrap_or_else(|_| Err(StoreError::closed()))
    }

    async fn high_water(&self) -> Result<Option<Timestamp>, StoreError> {
        // The times that this node has seen are stored within a second.
        Ok(self.shared.first(&journal::high_water()).await?.max(self.shared.activity.newest()))
    }

    async fn raise_high_water(&self, wall: Timestamp) -> Result<(), StoreError> {
        self.shared.raise_high_water(wall).await?;
        self.shared.activity.saw(wall);
        Ok(())
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
        Ok(self.shared.execute(&lease).await? > 0)
    }

    async fn purge_sessions(
        &self,
        instance: InstanceId,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let mut gone = 0;
        for command in sessions::purge(instance, before, limit) {
            if command.sql.for_postgres().is_some() {
                gone += self.shared.execute(&command).await?;
            }
        }
        Ok(gone)
    }

    async fn purge_audit_log(
        &self,
        instance: InstanceId,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        self.shared.execute(&audit_log::purge(instance, before, limit)).await
    }

    async fn purge(&self, at: Moment, limit: u32) -> Result<u64, StoreError> {
        let limit = limit.max(1);
        let mut removed = 0;
        loop {
            let mut gone = 0;
            for command in purge::everywhere(at, limit) {
                gone += self.shared.execute(&command).await?;
            }
            for instance in self.shared.all(&instances::all()).await? {
                // PURGE_EVENTS compares sequence numbers, so events without one would never be purged.
                self.number_events(instance.id).await?;
                for command in purge::of_instance(instance.id, at, limit) {
                    gone += self.shared.execute(&command).await?;
                }
            }
            if gone == 0 {
                return Ok(removed);
            }
            removed += gone;
        }
    }

    async fn close(&self) -> Result<(), StoreError> {
        let flushed = self.flush_activity().await;
        if !self.shared.close() {
            return Err(StoreError::closed());
        }
        let stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((stop, flusher)) = stop {
            // The task ends when the sender is dropped.
            drop(stop);
            if timeout(QUERY_TIMEOUT, flusher).await.is_err() {
                tracing::warn!("stopped while the last activity was being written");
            }
        }
        self.shared.pool.close();
        flushed
    }
}
