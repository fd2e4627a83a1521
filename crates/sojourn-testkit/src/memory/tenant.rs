//! The rows of one instance, and queries on them.

use std::{collections::BTreeMap, sync::Arc};

use sojourn_core::{
    audit::AuditEntry,
    client::{Client, ClientWithSessions},
    email::Email,
    handshake::Handshake,
    id::{
        ClientId, CommitId, EventId, MailId, Randomness, SessionId, SignInId, SignUpId, TicketId, UserId,
        WebhookDeliveryId, WebhookEndpointId,
    },
    outgoing_mail::OutgoingMail,
    policy::Policy,
    session::Session,
    settings::Settings,
    sign_in::SignIn,
    sign_up::SignUp,
    test_clock::TestClock,
    time::{Moment, Timestamp},
    user::User,
    webhook::WebhookEndpoint,
};

use sojourn_store::{
    ClientRecord, IdempotencyKey, Instance, Mail, OutboxEntry, SecretKey, SessionFilter, SessionOrder,
    SigningKey, Span, StoreError, StoredStatus, StoredWebhookDelivery, Ticket, UserFilter, UserOrder,
    UserSortKey,
    engine_parts::{policy_of, search_text, users_of},
    retention,
};

/// The rows of one instance.
#[derive(Debug, Default)]
pub(super) struct Tenant {
    pub(super) instance: Option<Instance>,
    pub(super) signing_keys: BTreeMap<String, SigningKey>,
    pub(super) secret_keys: BTreeMap<[u8; 32], SecretKey>,
    pub(super) settings: BTreeMap<u64, Settings>,
    pub(super) clients: BTreeMap<ClientId, Client>,
    pub(super) sessions: BTreeMap<SessionId, Session>,
    /// The equivalent of an index.
    pub(super) sessions_by_client: BTreeMap<ClientId, Vec<SessionId>>,
    pub(super) sessions_by_user: BTreeMap<UserId, Vec<SessionId>>,
    pub(super) users: BTreeMap<UserId, User>,
    pub(super) emails: BTreeMap<Email, UserId>,
    pub(super) external_ids: BTreeMap<String, UserId>,
    pub(super) sign_ins: BTreeMap<SignInId, SignIn>,
    pub(super) sign_ups: BTreeMap<SignUpId, SignUp>,
    pub(super) handshakes: BTreeMap<[u8; 32], Handshake>,
    pub(super) tickets: BTreeMap<TicketId, Ticket>,
    pub(super) tickets_by_hash: BTreeMap<[u8; 32], TicketId>,
    pub(super) idempotency_keys: BTreeMap<[u8; 32], IdempotencyKey>,
    pub(super) mails: BTreeMap<MailId, Mail>,
    pub(super) outgoing_mails: BTreeMap<MailId, OutgoingMail>,
    pub(super) webhook_endpoints: BTreeMap<WebhookEndpointId, WebhookEndpoint>,
    pub(super) webhook_deliveries: BTreeMap<WebhookDeliveryId, StoredWebhookDelivery>,
    /// By time and order of insertion.
    pub(super) audit_log: BTreeMap<(Timestamp, u64), AuditEntry>,
    pub(super) outbox: Vec<OutboxEntry>,
    /// The acknowledged sequence number of each reader of the outbox.
    pub(super) readers: BTreeMap<String, u64>,
    /// With the wall-clock time of the commit.
    pub(super) commits: BTreeMap<CommitId, Timestamp>,
    pub(super) test_clock: TestClock,
    /// The holder of each lease and its end.
    pub(super) leases: BTreeMap<&'static str, (String, Timestamp)>,
}

impl Tenant {
    pub(super) fn settings(&self) -> Result<(Settings, Policy), StoreError> {
        policy_of(self.settings.values().cloned().collect())
    }

    /// Records activity of an open session; the later time wins.
    pub(super) fn touch(&mut self, session: SessionId, at: Timestamp) {
        if let Some(session) = self.sessions.get_mut(&session)
            && session.closed.is_none()
        {
            session.last_active_at = session.last_active_at.max(at);
        }
    }

    /// A superset of the sessions that match `filter`.
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

    pub(super) fn sessions(&self, filter: &SessionFilter) -> (Vec<Session>, u64) {
        let mut found = self.candidates(filter);
        found.retain(|session| {
            filter.client_id.is_none_or(|id| session.client_id == id)
                && filter.user_id.is_none_or(|id| session.user_id == id)
                && (filter.ids.is_empty() || filter.ids.contains(&session.id))
                && filter.after.is_none_or(|after| match filter.order {
                    SessionOrder::NewestFirst => (session.created_at, session.id) < after,
                    SessionOrder::OldestFirst => (session.created_at, session.id) > after,
                })
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

    pub(super) fn users(&self, filter: &UserFilter) -> (Vec<User>, u64) {
        let contains = |text: &str, query: &str| text.to_lowercase().contains(&query.to_lowercase());
        let has_email = |user: &User, wanted: &dyn Fn(&str) -> bool| {
            user.identifying_emails().any(|address| {
                wanted(address.email.as_str())
                    || address.email.other_spellings().iter().any(|other| wanted(other))
            })
        };
        let mut found: Vec<&User> = self.users.values().collect();
        found.retain(|user| {
            (filter.ids.is_empty() || filter.ids.contains(&user.id))
                && (filter.emails.is_empty()
                    || user.identifying_emails().any(|address| filter.emails.contains(&address.email)))
                && (filter.external_ids.is_empty()
                    || user.external_id.as_ref().is_some_and(|id| filter.external_ids.contains(id)))
                && filter.banned.is_none_or(|banned| user.banned == banned)
                && filter.query.as_ref().is_none_or(|query| contains(&search_text(user), query))
                && filter
                    .email_query
                    .as_ref()
                    .is_none_or(|query| has_email(user, &|own| contains(own, query)))
                && filter
                    .name_query
                    .as_ref()
                    .is_none_or(|query| user.full_name().is_some_and(|name| contains(&name, query)))
                && is_within(filter.created, Some(user.created_at))
                && is_within(filter.last_sign_in, user.last_sign_in_at)
                && is_within(filter.last_active, self.last_active_at(user))
        });
        let UserOrder { by, descending } = filter.order;
        found.sort_by_cached_key(|user| (self.sort_key(by, user), user.id));
        if descending {
            found.reverse();
        }
        page(found, filter.offset, filter.limit)
    }

    /// A text for text keys, otherwise a time.
    fn sort_key(&self, by: UserSortKey, user: &User) -> (String, Option<Timestamp>) {
        let text = |text: Option<&str>| (text.unwrap_or_default().to_ascii_lowercase(), None);
        match by {
            UserSortKey::CreatedAt => (String::new(), Some(user.created_at)),
            UserSortKey::UpdatedAt => (String::new(), Some(user.updated_at)),
            UserSortKey::LastSignInAt => (String::new(), user.last_sign_in_at),
            UserSortKey::LastActiveAt => (String::new(), self.last_active_at(user)),
            UserSortKey::EmailAddress => text(user.primary_email().map(|address| address.email.as_str())),
            UserSortKey::FirstName => text(user.first_name.as_deref()),
            UserSortKey::LastName => text(user.last_name.as_deref()),
        }
    }

    fn last_active_at(&self, user: &User) -> Option<Timestamp> {
        self.newest_activity(user.id).or(user.last_sign_in_at)
    }

    /// The newest activity over the user's sessions that still exist.
    pub(super) fn newest_activity(&self, user: UserId) -> Option<Timestamp> {
        let ids = self.sessions_by_user.get(&user).into_iter().flatten();
        ids.filter_map(|id| self.sessions.get(id)).map(|session| session.last_active_at).max()
    }

    pub(super) fn browser(&self, client: ClientId) -> Result<Option<ClientRecord>, StoreError> {
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
        let users = users_of(&sessions);
        let (settings, policy) = self.settings()?;
        Ok(Some(ClientRecord {
            users: users.iter().filter_map(|id| self.users.get(id)).cloned().map(Arc::new).collect(),
            sign_in: client.sign_in_id.and_then(|id| self.sign_ins.get(&id)).cloned(),
            sign_up: client.sign_up_id.and_then(|id| self.sign_ups.get(&id)).cloned(),
            browser: ClientWithSessions { client, sessions },
            settings,
            policy,
        }))
    }

    /// Sessions that are stored as open, oldest first, starting behind `after`.
    pub(super) fn open_sessions(&self, after: Option<(Timestamp, SessionId)>, limit: usize) -> Vec<Session> {
        let place = |session: &Session| (session.created_at, session.id);
        let open = self.sessions.values().filter(|session| session.closed.is_none());
        let mut found: Vec<&Session> =
            open.filter(|session| after.is_none_or(|after| place(session) > after)).collect();
        found.sort_by_key(|session| place(session));
        found.into_iter().take(limit).cloned().collect()
    }

    pub(super) fn last_ended_session(&self, client: ClientId) -> Option<Session> {
        let ids = self.sessions_by_client.get(&client).into_iter().flatten();
        let ended = ids.filter_map(|id| self.sessions.get(id)).filter(|session| session.closed.is_some());
        ended.max_by_key(|session| (session.closed.map(|closing| closing.at), session.id)).cloned()
    }

    /// Deletes up to `limit` sessions that ended at `before` or earlier.
    pub(super) fn purge_sessions(&mut self, before: Timestamp, limit: usize) -> u64 {
        let over = |session: &Session| session.closed.is_some_and(|closing| closing.at <= before);
        let gone = remove(&mut self.sessions, limit, over);
        let Self { sessions, sessions_by_client, sessions_by_user, .. } = self;
        for ids in sessions_by_client.values_mut().chain(sessions_by_user.values_mut()) {
            ids.retain(|id| sessions.contains_key(id));
        }
        gone
    }

    /// Deletes up to `limit` rows of each kind after their retention.
    pub(super) fn purge(&mut self, at: Moment, limit: usize) -> u64 {
        let (before, wall) = (at.now - retention::ATTEMPTS, at.wall);
        let mut removed = remove(&mut self.sign_ins, limit, |row| row.abandon_at() <= before);
        removed += remove(&mut self.sign_ups, limit, |row| row.abandon_at() <= before);
        removed += remove(&mut self.handshakes, limit, |row| row.expires_at <= before);
        removed += remove(&mut self.tickets, limit, |row| row.expires_at <= before);
        let Self { tickets, tickets_by_hash, .. } = self;
        tickets_by_hash.retain(|_, id| tickets.contains_key(id));
        removed += remove(&mut self.commits, limit, |at| *at + retention::COMMIT_IDS <= wall);
        removed += remove(&mut self.idempotency_keys, limit, |key| {
            key.created_at + retention::IDEMPOTENCY_KEYS <= wall
        });
        removed += remove(&mut self.mails, limit, |mail| mail.received_at + retention::MAILS <= at.now);
        let mut newest: Vec<_> = self.mails.values().map(|mail| (mail.received_at, mail.id)).collect();
        newest.sort_unstable_by(|one, other| other.cmp(one));
        for (_, id) in newest.iter().skip(retention::NEWEST_MAILS as usize).take(limit) {
            removed += u64::from(self.mails.remove(id).is_some());
        }
        removed += remove(&mut self.outgoing_mails, limit, |mail| {
            mail.queued_at + retention::OUTGOING_MAILS <= wall
        });
        removed += remove(&mut self.webhook_deliveries, limit, |row| {
            row.delivery.queued_at + retention::WEBHOOK_DELIVERIES <= wall
        });
        removed + self.purge_events(wall, limit)
    }

    // The next sequence number is the maximum plus one, so the newest event stays.
    fn purge_events(&mut self, wall: Timestamp, limit: usize) -> u64 {
        let least = EventId::generate(wall - retention::EVENTS, &mut Zeros);
        let newest = self.outbox.last().map(|entry| entry.id);
        let mut left = limit;
        let before = self.outbox.len();
        self.outbox.retain(|entry| {
            let goes = left > 0 && entry.id < least && Some(entry.id) != newest;
            left -= usize::from(goes);
            !goes
        });
        (before - self.outbox.len()) as u64
    }
}

/// Generates the smallest id of a second.
struct Zeros;

impl Randomness for Zeros {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// Deletes up to `limit` rows that are `over`.
pub(super) fn remove<K: Ord + Copy, V>(
    rows: &mut BTreeMap<K, V>,
    limit: usize,
    over: impl Fn(&V) -> bool,
) -> u64 {
    let gone: Vec<K> = rows.iter().filter(|(_, row)| over(row)).map(|(key, _)| *key).take(limit).collect();
    for key in &gone {
        rows.remove(key);
    }
    gone.len() as u64
}

pub(super) fn is_within(span: Span, at: Option<Timestamp>) -> bool {
    span.is_always()
        || at.is_some_and(|at| {
            span.from.is_none_or(|from| at >= from) && span.before.is_none_or(|before| at < before)
        })
}

/// Up to `limit` rows behind `offset`, and the total number.
pub(super) fn page<T: Clone>(found: Vec<&T>, offset: u32, limit: u32) -> (Vec<T>, u64) {
    let total = found.len() as u64;
    let rows = found.into_iter().skip(offset as usize).take(limit as usize).cloned();
    (rows.collect(), total)
}
