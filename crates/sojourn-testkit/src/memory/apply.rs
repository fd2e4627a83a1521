//! Applies a set to the rows of one instance, or leaves them unchanged.

use std::collections::BTreeSet;

use sojourn_core::{
    audit::AuditEntry,
    client::Client,
    email::Email,
    id::{SessionId, TicketId, UserId},
    session::{ClosedStatus, Session},
    signing_key::SigningKeyTimes,
    test_clock::TestClock,
    time::Timestamp,
    user::User,
};

use super::tenant::Tenant;
use sojourn_store::{
    ChangeSet, CommitError, Expect, OutboxEntry, SecretKey, SecretKeyRole, SigningKey, Ticket, TicketStatus,
    Write, engine_parts::entries,
};

/// Reverts one change.
type Undo = Box<dyn FnOnce(&mut Tenant)>;

/// Activity in the node's memory that is not in the rows.
type InMemory<'a> = &'a dyn Fn(SessionId) -> Option<Timestamp>;

struct Application<'a> {
    tenant: &'a mut Tenant,
    in_memory: InMemory<'a>,
    undo: Vec<Undo>,
    deleted: Vec<UserId>,
}

/// Applies `changes` completely, or not at all. A set that is already applied is left unchanged.
pub(super) fn apply(
    tenant: &mut Tenant,
    changes: &ChangeSet,
    in_memory: InMemory<'_>,
) -> Result<(), CommitError> {
    if tenant.commits.contains_key(&changes.id) {
        return Ok(());
    }
    let mut application = Application { tenant, in_memory, undo: Vec::new(), deleted: Vec::new() };
    match application.run(changes) {
        Ok(()) => {
            application.tenant.commits.insert(changes.id, changes.at.wall);
            for entry in entries(changes) {
                let seq = application.tenant.outbox.last().map_or(0, |last| last.seq) + 1;
                application.tenant.outbox.push(OutboxEntry { seq, ..entry });
            }
            if let Some(entry) = &changes.audit {
                application.tenant.append_to_audit_log(entry);
            }
            Ok(())
        }
        Err(error) => {
            let Application { tenant, undo, .. } = application;
            undo.into_iter().rev().for_each(|undo| undo(tenant));
            Err(error)
        }
    }
}

/// Inserts or removes a row of the tenant, and records how to revert that.
macro_rules! put {
    ($self:ident.$map:ident[$key:expr] = $row:expr) => {{
        let (key, row) = ($key, $row);
        let before = $self.tenant.$map.insert(key.clone(), row);
        put!(@undo $self $map key before)
    }};
    ($self:ident.$map:ident.remove($key:expr)) => {{
        let key = $key;
        let before = $self.tenant.$map.remove(&key);
        put!(@undo $self $map key before)
    }};
    (@undo $self:ident $map:ident $key:ident $before:ident) => {{
        let was_there = $before.is_some();
        $self.undo.push(Box::new(move |tenant| {
            match $before {
                Some(row) => tenant.$map.insert($key, row),
                None => tenant.$map.remove(&$key),
            };
        }));
        was_there
    }};
}

fn unless(conflict: bool) -> Result<(), CommitError> {
    if conflict { Err(CommitError::Conflict) } else { Ok(()) }
}

impl Application<'_> {
    fn run(&mut self, changes: &ChangeSet) -> Result<(), CommitError> {
        for expect in &changes.expects {
            unless(!self.holds(*expect))?;
        }
        for write in &changes.writes {
            self.write(changes, write)?;
        }
        unless(self.tenant.instance.is_none())?;
        let deleted: BTreeSet<UserId> = self.deleted.drain(..).collect();
        let left_open = |id: &UserId| {
            let sessions = self.tenant.sessions_by_user.get(id);
            sessions
                .into_iter()
                .flatten()
                .any(|id| self.tenant.sessions.get(id).is_some_and(|session| session.closed.is_none()))
        };
        unless(deleted.iter().any(left_open))
    }

    fn holds(&self, expect: Expect) -> bool {
        match expect {
            Expect::User(id, version) => {
                self.tenant.users.get(&id).is_some_and(|user| user.version == version)
            }
            Expect::Settings(version) => self.tenant.settings.keys().next_back() == Some(&version),
            Expect::NoInstance => self.tenant.instance.is_none(),
        }
    }

    fn write(&mut self, changes: &ChangeSet, write: &Write) -> Result<(), CommitError> {
        match write {
            Write::Client(client) => self.client(client),
            Write::InsertSession(session) => self.insert_session(session),
            Write::CloseSession(session) => self.close_session(session),
            Write::UpdateSession(session) => self.update_session(session),
            Write::TouchSession(session) => {
                self.touch_session(session);
                Ok(())
            }
            Write::User(user) => self.user(user),
            Write::DeleteUser(id) => self.delete_user(*id),
            Write::SignIn(row) => {
                let stored = self.tenant.sign_ins.get(&row.id).map_or(0, |row| row.version);
                unless(stored != row.version)?;
                let mut row = row.clone();
                row.version += 1;
                put!(self.sign_ins[row.id] = row);
                Ok(())
            }
            Write::SignUp(row) => {
                let stored = self.tenant.sign_ups.get(&row.id).map_or(0, |row| row.version);
                unless(stored != row.version)?;
                let mut row = row.clone();
                row.version += 1;
                put!(self.sign_ups[row.id] = row);
                Ok(())
            }
            Write::Settings(settings) => {
                let newest = self.tenant.settings.keys().next_back().copied().unwrap_or(0);
                unless(settings.version != newest + 1)?;
                put!(self.settings[settings.version] = settings.clone());
                Ok(())
            }
            Write::Handshake(nonce, handshake) => unless(put!(self.handshakes[*nonce] = handshake.clone())),
            Write::InsertTicket(ticket) => {
                let id_taken = put!(self.tickets[ticket.id] = ticket.clone());
                let hash_taken = put!(self.tickets_by_hash[ticket.hash] = ticket.id);
                unless(id_taken || hash_taken)
            }
            Write::AcceptTicket(id) => self.ticket(changes, *id, TicketStatus::Accepted),
            Write::RevokeTicket(id) => self.ticket(changes, *id, TicketStatus::Revoked),
            Write::IdempotencyKey(key) => unless(put!(self.idempotency_keys[key.key_hash] = key.clone())),
            Write::Mail(mail) => unless(put!(self.mails[mail.id] = mail.clone())),
            Write::OutgoingMail(row) => {
                let stored = self.tenant.outgoing_mails.get(&row.id).map_or(0, |row| row.version);
                unless(stored != row.version)?;
                let mut row = row.clone();
                row.version += 1;
                put!(self.outgoing_mails[row.id] = row);
                Ok(())
            }
            Write::DeleteMail(id) => {
                put!(self.mails.remove(*id));
                Ok(())
            }
            Write::ClearMails => {
                let ids: Vec<_> = self.tenant.mails.keys().copied().collect();
                for id in ids {
                    put!(self.mails.remove(id));
                }
                Ok(())
            }
            Write::WebhookEndpoint(row) => {
                let stored = self.tenant.webhook_endpoints.get(&row.id).map_or(0, |row| row.version);
                unless(stored != row.version)?;
                let mut row = row.clone();
                row.version += 1;
                put!(self.webhook_endpoints[row.id] = row);
                Ok(())
            }
            Write::DeleteWebhookEndpoint(id) => unless(!put!(self.webhook_endpoints.remove(*id))),
            Write::InsertWebhookDelivery(row) => {
                let row = self.tenant.new_delivery(row);
                unless(put!(self.webhook_deliveries[row.delivery.id] = row))
            }
            Write::WebhookDelivery(row) => {
                for row in
                    self.tenant.changed_deliveries(row, changes.at.wall).ok_or(CommitError::Conflict)?
                {
                    put!(self.webhook_deliveries[row.delivery.id] = row);
                }
                Ok(())
            }
            Write::AcknowledgeEvents { reader, before, seq } => {
                unless(self.tenant.readers.get(*reader) != before.as_ref())?;
                put!(self.readers[(*reader).to_owned()] = *seq);
                Ok(())
            }
            Write::InsertInstance(instance) => {
                unless(instance.id != changes.instance_id || self.tenant.instance.is_some())?;
                self.tenant.instance = Some(instance.clone());
                self.undo.push(Box::new(|tenant| tenant.instance = None));
                Ok(())
            }
            Write::InsertSigningKey(key) => unless(put!(self.signing_keys[key.kid.clone()] = key.clone())),
            Write::InsertSecretKey(key) => unless(put!(self.secret_keys[key.hash] = key.clone())),
            Write::WithdrawSigningKey { kid, until, before } => {
                let stored = self.tenant.signing_keys.get(kid).cloned().ok_or(CommitError::Conflict)?;
                unless(stored.times.published_until != *before)?;
                let times = SigningKeyTimes { published_until: Some(*until), ..stored.times };
                put!(self.signing_keys[kid.clone()] = SigningKey { times, ..stored });
                Ok(())
            }
            Write::ResealSigningKey { kid, sealed_private_key } => {
                let stored = self.tenant.signing_keys.get(kid).cloned().ok_or(CommitError::Conflict)?;
                let sealed_private_key = sealed_private_key.clone();
                put!(self.signing_keys[kid.clone()] = SigningKey { sealed_private_key, ..stored });
                Ok(())
            }
            Write::RevokeSecretKey(hash) => {
                let wall = changes.at.wall;
                let is_left = |key: &SecretKey| {
                    key.hash != *hash && key.is_good(wall) && key.role == SecretKeyRole::Full
                };
                unless(!self.tenant.secret_keys.values().any(is_left))?;
                let stored =
                    self.tenant.secret_keys.get(hash).filter(|key| key.revoked_at.is_none()).cloned();
                let key = SecretKey { revoked_at: Some(wall), ..stored.ok_or(CommitError::Conflict)? };
                put!(self.secret_keys[key.hash] = key);
                Ok(())
            }
            Write::SecretKeyUsed(hash) => {
                if let Some(stored) = self.tenant.secret_keys.get(hash).cloned() {
                    let last_used_at = stored.last_used_at.max(Some(changes.at.wall));
                    put!(self.secret_keys[stored.hash] = SecretKey { last_used_at, ..stored });
                }
                Ok(())
            }
            Write::TestClock(clock) => {
                let before = self.tenant.test_clock;
                unless(before.version != clock.version)?;
                self.tenant.test_clock = TestClock { version: clock.version + 1, ..*clock };
                self.undo.push(Box::new(move |tenant| tenant.test_clock = before));
                Ok(())
            }
            Write::RebaseOpenSessions(by_ms) => {
                self.shift_open(*by_ms);
                Ok(())
            }
        }
    }

    fn shift_open(&mut self, by_ms: i64) {
        let moved = |at: Timestamp| Timestamp::from_millis(at.as_millis() + by_ms);
        let open = self.tenant.sessions.values().filter(|session| session.closed.is_none());
        for mut session in open.cloned().collect::<Vec<_>>() {
            session.created_at = moved(session.created_at);
            session.first_factor_verified_at = moved(session.first_factor_verified_at);
            session.last_active_at = moved(session.last_active_at);
            put!(self.sessions[session.id] = session);
        }
        for mut client in self.tenant.clients.values().cloned().collect::<Vec<_>>() {
            client.version += 1;
            if let Some(old) = &mut client.predecessor {
                old.rotated_at = moved(old.rotated_at);
                old.good_until = moved(old.good_until);
            }
            put!(self.clients[client.id] = client);
        }
        for mut settings in self.tenant.settings.values().cloned().collect::<Vec<_>>() {
            settings.in_force_from = moved(settings.in_force_from);
            put!(self.settings[settings.version] = settings);
        }
        macro_rules! void {
            ($map:ident) => {
                for key in self.tenant.$map.keys().copied().collect::<Vec<_>>() {
                    put!(self.$map.remove(key));
                }
            };
        }
        void!(sign_ins);
        void!(sign_ups);
        void!(handshakes);
        void!(tickets);
        void!(tickets_by_hash);
    }

    fn client(&mut self, client: &Client) -> Result<(), CommitError> {
        let stored = self.tenant.clients.get(&client.id).map_or(0, |row| row.version);
        unless(stored != client.version)?;
        let mut client = client.clone();
        client.version += 1;
        put!(self.clients[client.id] = client);
        Ok(())
    }

    fn insert_session(&mut self, session: &Session) -> Result<(), CommitError> {
        unless(self.tenant.sessions.contains_key(&session.id))?;
        let (id, client_id, user_id) = (session.id, session.client_id, session.user_id);
        self.tenant.sessions_by_client.entry(client_id).or_default().push(id);
        self.tenant.sessions_by_user.entry(user_id).or_default().push(id);
        self.undo.push(Box::new(move |tenant| {
            tenant.sessions_by_client.entry(client_id).or_default().retain(|other| *other != id);
            tenant.sessions_by_user.entry(user_id).or_default().retain(|other| *other != id);
        }));
        put!(self.sessions[id] = session.clone());
        Ok(())
    }

    fn close_session(&mut self, session: &Session) -> Result<(), CommitError> {
        let Some(mut stored) = self.tenant.sessions.get(&session.id).cloned() else {
            return Err(CommitError::Conflict);
        };
        let Some(closing) = session.closed else {
            return Err(CommitError::Conflict);
        };
        if stored.closed.is_some() {
            return Ok(());
        }
        let newest = stored.last_active_at.max((self.in_memory)(session.id).unwrap_or(stored.last_active_at));
        unless(closing.status == ClosedStatus::Abandoned && newest > session.last_active_at)?;
        stored.closed = Some(closing);
        stored.updated_at = stored.updated_at.max(session.updated_at);
        stored.last_active_at = newest.max(session.last_active_at);
        put!(self.sessions[session.id] = stored);
        Ok(())
    }

    fn update_session(&mut self, session: &Session) -> Result<(), CommitError> {
        let open = self.tenant.sessions.get(&session.id).filter(|stored| stored.closed.is_none());
        let Some(mut stored) = open.cloned() else {
            return Err(CommitError::Conflict);
        };
        stored.updated_at = stored.updated_at.max(session.updated_at);
        stored.first_factor_verified_at =
            stored.first_factor_verified_at.max(session.first_factor_verified_at);
        put!(self.sessions[session.id] = stored);
        Ok(())
    }

    fn touch_session(&mut self, session: &Session) {
        let open = self.tenant.sessions.get(&session.id).filter(|stored| stored.closed.is_none());
        if let Some(mut stored) = open.cloned() {
            stored.last_active_at = stored.last_active_at.max(session.last_active_at);
            put!(self.sessions[session.id] = stored);
        }
    }

    fn user(&mut self, user: &User) -> Result<(), CommitError> {
        let stored = self.tenant.users.get(&user.id).cloned();
        unless(stored.as_ref().map_or(0, |row| row.version) != user.version)?;
        if let Some(stored) = &stored {
            self.release(stored);
        }
        let emails: BTreeSet<Email> =
            user.identifying_emails().map(|address| address.email.clone()).collect();
        for email in emails {
            if put!(self.emails[email] = user.id) {
                return Err(CommitError::Taken("email_address"));
            }
        }
        if let Some(external_id) = &user.external_id
            && put!(self.external_ids[external_id.clone()] = user.id)
        {
            return Err(CommitError::Taken("external_id"));
        }
        let mut user = user.clone();
        user.version += 1;
        put!(self.users[user.id] = user);
        Ok(())
    }

    fn delete_user(&mut self, id: UserId) -> Result<(), CommitError> {
        let Some(user) = self.tenant.users.get(&id).cloned() else {
            return Err(CommitError::Conflict);
        };
        self.release(&user);
        put!(self.users.remove(id));
        let object_id = id.to_string();
        let about: Vec<_> = self
            .tenant
            .audit_log
            .iter()
            .filter(|(_, entry)| entry.object_id == object_id)
            .map(|(key, entry)| (*key, AuditEntry { changes: None, ..entry.clone() }))
            .collect();
        for (key, entry) in about {
            put!(self.audit_log[key] = entry);
        }
        self.deleted.push(id);
        Ok(())
    }

    /// Deletes the identifiers of a user.
    fn release(&mut self, user: &User) {
        for address in user.identifying_emails() {
            put!(self.emails.remove(address.email.clone()));
        }
        if let Some(external_id) = &user.external_id {
            put!(self.external_ids.remove(external_id.clone()));
        }
    }

    fn ticket(&mut self, changes: &ChangeSet, id: TicketId, status: TicketStatus) -> Result<(), CommitError> {
        match self.tenant.tickets.get(&id) {
            Some(ticket) if ticket.status == TicketStatus::Pending => {
                let ticket = Ticket { status, updated_at: changes.at.now, ..ticket.clone() };
                put!(self.tickets[id] = ticket);
                Ok(())
            }
            _ => Err(CommitError::Conflict),
        }
    }
}
