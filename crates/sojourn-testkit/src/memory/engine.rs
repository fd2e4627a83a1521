//! The implementation of the engine trait.

use std::{collections::BTreeMap, sync::atomic::Ordering};

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

use super::{MemoryEngine, apply};
use sojourn_store::{
    AuditFilter, ChangeSet, ClientRecord, CommitError, Engine, IdempotencyKey, Instance, Mail, OutboxEntry,
    QueueLengths, SecretKey, SessionFilter, SigningKey, StoreError, StoredWebhookDelivery, Ticket,
    UserFilter, WebhookDeliveryFilter,
    engine_parts::{Activity, policy_of},
};

impl Engine for MemoryEngine {
    async fn commit(&self, changes: ChangeSet) -> Result<(), CommitError> {
        if changes.wants_all_activity() {
            self.flush_activity().await?;
        }
        let mut state = self.state()?;
        if !state.keys_are_new(&changes) || !state.is_first(&changes) {
            return Err(CommitError::Conflict);
        }
        let in_memory = |session| self.activity.as_ref()?.get(&(changes.instance_id, session));
        let tenant = state.tenants.entry(changes.instance_id).or_default();
        let applied = apply::apply(tenant, &changes, &in_memory);
        if tenant.instance.is_none() {
            state.tenants.remove(&changes.instance_id);
        }
        applied?;
        state.high_water = state.high_water.max(Some(changes.at.wall));
        if let Some(activity) = &self.activity {
            activity.remember(&changes);
        }
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
        keys.sort_by_key(|key| (key.times.created_at, key.kid.clone()));
        Ok(keys)
    }

    async fn secret_keys(&self, instance: InstanceId) -> Result<Vec<SecretKey>, StoreError> {
        let mut keys: Vec<SecretKey> =
            self.list(instance, |tenant| tenant.secret_keys.values().cloned().collect())?;
        keys.sort_by_key(|key| (key.created_at, key.hash));
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
            Some(tenant) => {
                self.know(instance, tenant);
                tenant.settings()
            }
            None => policy_of(Vec::new()),
        }
    }

    async fn settings_history(&self, instance: InstanceId) -> Result<Vec<Settings>, StoreError> {
        self.list(instance, |tenant| tenant.settings.values().cloned().collect())
    }

    async fn test_clock(&self, instance: InstanceId) -> Result<TestClock, StoreError> {
        self.list(instance, |tenant| tenant.test_clock)
    }

    async fn browser(
        &self,
        instance: InstanceId,
        client: ClientId,
    ) -> Result<Option<ClientRecord>, StoreError> {
        let state = self.state()?;
        let Some(tenant) = state.tenants.get(&instance) else { return Ok(None) };
        self.know(instance, tenant);
        let mut record = tenant.browser(client)?;
        if let Some(ClientRecord { browser, .. }) = &mut record {
            browser.sessions = self.merged(instance, std::mem::take(&mut browser.sessions));
        }
        Ok(record)
    }

    async fn session(&self, instance: InstanceId, id: SessionId) -> Result<Option<Session>, StoreError> {
        let found = self.read(instance, |tenant| tenant.sessions.get(&id).cloned())?;
        Ok(self.merged(instance, found.into_iter().collect()).pop())
    }

    async fn sessions(
        &self,
        instance: InstanceId,
        filter: SessionFilter,
    ) -> Result<(Vec<Session>, u64), StoreError> {
        let (found, total) = self.list(instance, |tenant| tenant.sessions(&filter))?;
        Ok((self.merged(instance, found), total))
    }

    async fn session_page(
        &self,
        instance: InstanceId,
        filter: SessionFilter,
    ) -> Result<Vec<Session>, StoreError> {
        self.sessions(instance, filter).await.map(|(sessions, _)| sessions)
    }

    async fn open_sessions(
        &self,
        instance: InstanceId,
        after: Option<(Timestamp, SessionId)>,
        limit: u32,
    ) -> Result<Vec<Session>, StoreError> {
        let found = self.list(instance, |tenant| tenant.open_sessions(after, limit as usize))?;
        Ok(self.merged(instance, found))
    }

    async fn last_ended_session(
        &self,
        instance: InstanceId,
        client: ClientId,
    ) -> Result<Option<Session>, StoreError> {
        self.read(instance, |tenant| tenant.last_ended_session(client))
    }

    async fn user(&self, instance: InstanceId, id: UserId) -> Result<Option<User>, StoreError> {
        self.read(instance, |tenant| tenant.users.get(&id).cloned())
    }

    async fn user_by_email(&self, instance: InstanceId, email: &Email) -> Result<Option<User>, StoreError> {
        self.read(instance, |tenant| tenant.users.get(tenant.emails.get(email)?).cloned())
    }

    async fn users(&self, instance: InstanceId, filter: UserFilter) -> Result<(Vec<User>, u64), StoreError> {
        if filter.needs_activity() {
            self.flush_activity().await?;
        }
        self.list(instance, |tenant| tenant.users(&filter))
    }

    async fn last_activity(
        &self,
        instance: InstanceId,
        users: Vec<UserId>,
    ) -> Result<BTreeMap<UserId, Timestamp>, StoreError> {
        self.list(instance, |tenant| {
            let newest = |id: UserId| Some((id, tenant.newest_activity(id)?));
            users.into_iter().filter_map(newest).collect()
        })
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

    async fn ticket(&self, instance: InstanceId, hash: [u8; 32]) -> Result<Option<Ticket>, StoreError> {
        self.read(instance, |tenant| tenant.tickets.get(tenant.tickets_by_hash.get(&hash)?).cloned())
    }

    async fn ticket_by_id(&self, instance: InstanceId, id: TicketId) -> Result<Option<Ticket>, StoreError> {
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

    async fn outgoing_mail(
        &self,
        instance: InstanceId,
        id: MailId,
    ) -> Result<Option<OutgoingMail>, StoreError> {
        self.read(instance, |tenant| tenant.outgoing_mails.get(&id).cloned())
    }

    async fn due_mails(
        &self,
        instance: InstanceId,
        wall: Timestamp,
        limit: u32,
    ) -> Result<Vec<OutgoingMail>, StoreError> {
        let mut due: Vec<OutgoingMail> = self.list(instance, |tenant| {
            let is_due = |mail: &&OutgoingMail| mail.due_at.is_some_and(|due_at| due_at <= wall);
            tenant.outgoing_mails.values().filter(is_due).cloned().collect()
        })?;
        due.sort_by_key(|mail| mail.due_at);
        due.truncate(limit as usize);
        Ok(due)
    }

    async fn outgoing_mails(
        &self,
        instance: InstanceId,
        status: Option<MailStatus>,
        limit: u32,
        offset: u32,
    ) -> Result<(Vec<OutgoingMail>, u64), StoreError> {
        let mut mails: Vec<OutgoingMail> = self.list(instance, |tenant| {
            let mails = tenant.outgoing_mails.values();
            mails.filter(|mail| status.is_none_or(|status| mail.status == status)).cloned().collect()
        })?;
        mails.sort_by_key(|mail| std::cmp::Reverse((mail.queued_at, mail.id)));
        let total = mails.len() as u64;
        Ok((mails.into_iter().skip(offset as usize).take(limit as usize).collect(), total))
    }

    async fn outbox(
        &self,
        instance: InstanceId,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        self.list(instance, |tenant| {
            let behind = tenant.outbox.iter().filter(|entry| entry.seq > after.unwrap_or(0));
            behind.take(limit as usize).cloned().collect()
        })
    }

    async fn acknowledge_events(
        &self,
        instance: InstanceId,
        reader: &str,
        seq: u64,
    ) -> Result<(), StoreError> {
        if let Some(tenant) = self.state()?.tenants.get_mut(&instance) {
            let known = tenant.readers.entry(reader.to_owned()).or_insert(seq);
            *known = seq.max(*known);
        }
        Ok(())
    }

    async fn acknowledged_events(
        &self,
        instance: InstanceId,
        reader: &str,
    ) -> Result<Option<u64>, StoreError> {
        self.read(instance, |tenant| tenant.readers.get(reader).copied())
    }

    async fn webhook_endpoints(&self, instance: InstanceId) -> Result<Vec<WebhookEndpoint>, StoreError> {
        self.list(instance, |tenant| tenant.webhook_endpoints())
    }

    async fn webhook_delivery(
        &self,
        instance: InstanceId,
        id: WebhookDeliveryId,
    ) -> Result<Option<StoredWebhookDelivery>, StoreError> {
        self.read(instance, |tenant| tenant.webhook_deliveries.get(&id).cloned())
    }

    async fn due_webhooks(
        &self,
        instance: InstanceId,
        endpoint: WebhookEndpointId,
        wall: Timestamp,
        limit: u32,
    ) -> Result<Vec<StoredWebhookDelivery>, StoreError> {
        self.list(instance, |tenant| tenant.due_webhooks(endpoint, wall, limit as usize))
    }

    async fn webhook_deliveries(
        &self,
        instance: InstanceId,
        filter: WebhookDeliveryFilter,
    ) -> Result<(Vec<WebhookDelivery>, u64), StoreError> {
        self.list(instance, |tenant| tenant.webhook_deliveries(&filter))
    }

    async fn queue_lengths(&self, instance: InstanceId) -> Result<QueueLengths, StoreError> {
        self.read(instance, |tenant| Some(tenant.queue_lengths())).map(Option::unwrap_or_default)
    }

    async fn audit_log(
        &self,
        instance: InstanceId,
        filter: AuditFilter,
    ) -> Result<(Vec<AuditEntry>, u64), StoreError> {
        self.list(instance, |tenant| tenant.audit_log(&filter))
    }

    async fn idempotency_key(
        &self,
        instance: InstanceId,
        key_hash: [u8; 32],
    ) -> Result<Option<IdempotencyKey>, StoreError> {
        self.read(instance, |tenant| tenant.idempotency_keys.get(&key_hash).cloned())
    }

    fn record_activity(&self, instance: InstanceId, session: SessionId, at: Moment) {
        match &self.activity {
            Some(activity) => activity.record((instance, session), at),
            None => {
                if let Ok(mut state) = self.state()
                    && let Some(tenant) = state.tenants.get_mut(&instance)
                {
                    tenant.touch(session, at.now);
                }
            }
        }
    }

    /// Several nodes can use these rows: [`MemoryEngine::node`].
    fn is_shared(&self) -> bool {
        true
    }

    fn forget_activity(&self, instance: InstanceId) {
        // With one node, activity is in the rows, which the reset has moved.
        if let Some(activity) = &self.activity {
            activity.forget_all(instance);
        }
    }

    async fn flush_activity(&self) -> Result<(), StoreError> {
        self.state().map(drop)?;
        self.write_activity(&self.take_activity(true));
        Ok(())
    }

    async fn high_water(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.state()?.high_water.max(self.activity.as_ref().and_then(Activity::newest)))
    }

    async fn raise_high_water(&self, wall: Timestamp) -> Result<(), StoreError> {
        let mut state = self.state()?;
        state.high_water = state.high_water.max(Some(wall));
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
        let mut state = self.state()?;
        let Some(tenant) = state.tenants.get_mut(&instance) else { return Ok(false) };
        let free = tenant.leases.get(name).is_none_or(|(other, end)| other == holder || *end <= wall);
        if free {
            tenant.leases.insert(name, (holder.to_owned(), until));
        }
        Ok(free)
    }

    async fn purge_sessions(
        &self,
        instance: InstanceId,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let mut state = self.state()?;
        Ok(state.tenants.get_mut(&instance).map_or(0, |tenant| tenant.purge_sessions(before, limit as usize)))
    }

    async fn purge_audit_log(
        &self,
        instance: InstanceId,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let mut state = self.state()?;
        let tenant = state.tenants.get_mut(&instance);
        Ok(tenant.map_or(0, |tenant| tenant.purge_audit_log(before, limit as usize)))
    }

    async fn purge(&self, at: Moment, limit: u32) -> Result<u64, StoreError> {
        let mut state = self.state()?;
        let mut removed = 0;
        for tenant in state.tenants.values_mut() {
            loop {
                let gone = tenant.purge(at, limit.max(1) as usize);
                removed += gone;
                if gone == 0 {
                    break;
                }
            }
        }
        Ok(removed)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.flush_activity().await?;
        self.closed.store(true, Ordering::Release);
        Ok(())
    }
}
