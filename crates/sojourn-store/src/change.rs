//! The changes of a request as data, so that the store can group, retry and simulate them.

use sojourn_core::{
    audit::{Act, AuditContext, AuditEntry},
    client::{Client, ClientStep},
    event::Event,
    handshake::Handshake,
    id::{CommitId, InstanceId, MailId, Randomness, TicketId, UserId, WebhookEndpointId},
    outgoing_mail::OutgoingMail,
    session::Session,
    settings::Settings,
    sign_in::SignIn,
    sign_up::SignUp,
    test_clock::TestClock,
    time::{Moment, Timestamp},
    user::User,
    webhook::{WebhookDelivery, WebhookEndpoint},
};

use crate::records::{IdempotencyKey, Instance, Mail, SecretKey, SigningKey, StoredWebhookDelivery, Ticket};

/// All changes of one request. The store applies all of them durably, or none.
#[derive(Clone, Debug)]
pub struct ChangeSet {
    /// The tenant; part of every key.
    pub instance_id: InstanceId,
    /// Identifies the commit after a lost response: a set whose id is stored was applied.
    pub id: CommitId,
    /// The time of the decision, on both clocks.
    pub at: Moment,
    /// Rows that the decision read but does not change.
    pub expects: Vec<Expect>,
    pub writes: Vec<Write>,
    /// Written to the outbox in the same transaction.
    pub events: Vec<Event>,
    /// The administrative act that this set is; written in the same transaction. Its `at` is on the
    /// wall clock.
    pub audit: Option<AuditEntry>,
}

/// A row that must be unchanged since the decision. Otherwise the store rejects the set with
/// [`crate::CommitError::Conflict`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The user exists in this version.
    User(UserId, u64),
    /// This is still the newest settings version.
    Settings(u64),
    /// No instance exists. If several nodes start on an empty database at the same time, only one
    /// creates the instance.
    NoInstance,
}

/// One row to write. A row with a `version` is written only if the stored version equals the loaded
/// one; it is stored with the next version. Version 0 means that the row must not exist.
#[derive(Clone, Debug)]
pub enum Write {
    /// Versioned.
    Client(Client),
    /// A new session; its id must not exist.
    InsertSession(Session),
    /// Stores the closing of an open session. Idempotent: a session that is already closed keeps
    /// its closing. A closing for inactivity is rejected with `Conflict` if activity after
    /// `session.last_active_at` is known.
    CloseSession(Session),
    /// Stores `updated_at` and `first_factor_verified_at` of an open session.
    UpdateSession(Session),
    /// Activity that must be durable with this set (a sign-in stores it with `InsertSession`). It
    /// never changes a closed session; the later time wins.
    TouchSession(Session),
    /// Versioned. The addresses are claimed in the same transaction. If another user has an address
    /// or the external id, the set is rejected with `Taken`.
    User(User),
    /// The account and its addresses. The same set must close its sessions.
    DeleteUser(UserId),
    /// Versioned.
    SignIn(SignIn),
    /// Versioned.
    SignUp(SignUp),
    /// The next settings version; its number must not exist.
    Settings(Settings),
    /// A handshake nonce, identified by its SHA-256.
    Handshake([u8; 32], Handshake),
    InsertTicket(Ticket),
    /// Sets a pending ticket to accepted. Single use: rejected with `Conflict` if the ticket is not
    /// pending.
    AcceptTicket(TicketId),
    /// Sets a pending ticket to revoked; otherwise like `AcceptTicket`.
    RevokeTicket(TicketId),
    /// The response to a creation; its idempotency key must not exist.
    IdempotencyKey(IdempotencyKey),
    /// A mail in the mailbox of a development instance.
    Mail(Mail),
    /// Versioned. A mail to deliver.
    OutgoingMail(OutgoingMail),
    DeleteMail(MailId),
    /// Versioned. A receiver of webhooks.
    WebhookEndpoint(WebhookEndpoint),
    /// Rejected with `Conflict` if there is no such endpoint. Its deliveries stay until they are
    /// purged; nothing sends them.
    DeleteWebhookEndpoint(WebhookEndpointId),
    /// A new delivery with its body; its id must not exist.
    InsertWebhookDelivery(StoredWebhookDelivery),
    /// Versioned; the body stays. The later queued deliveries of the same user to the same endpoint
    /// become due when this one is, or at once if it is finished.
    WebhookDelivery(WebhookDelivery),
    /// A reader of the outbox has processed the events up to `seq`. Rejected with `Conflict` unless
    /// its number is still `before`: then another node has processed them.
    AcknowledgeEvents {
        reader: &'static str,
        before: Option<u64>,
        seq: u64,
    },
    ClearMails,
    /// The id must not exist.
    InsertInstance(Instance),
    InsertSigningKey(SigningKey),
    /// Sets when a signing key leaves the key set. Rejected with `Conflict` unless that is still
    /// set to `before`: of two concurrent rotations, one decides again.
    WithdrawSigningKey {
        kid: String,
        until: Timestamp,
        before: Option<Timestamp>,
    },
    /// Replaces the encrypted private key by the same one under another master key.
    ResealSigningKey {
        kid: String,
        sealed_private_key: Vec<u8>,
    },
    InsertSecretKey(SecretKey),
    /// Revokes the secret key with this hash. Rejected with `Conflict` if the key is already
    /// revoked, or if it is the last valid one with the role `full`: nobody could create another.
    RevokeSecretKey([u8; 32]),
    /// Updates the last use of the key with this hash.
    SecretKeyUsed([u8; 32]),
    /// Versioned. The test clock of a development instance.
    TestClock(TestClock),
    /// Moves the times of everything open by this many milliseconds and deletes unfinished attempts
    /// and tickets: a reset of the test clock.
    RebaseOpenSessions(i64),
}

impl Write {
    /// Whether no user and no application does this in the course of signing in and out. Without a
    /// wildcard, so that a new variant is considered here.
    pub const fn is_administrative(&self) -> bool {
        match self {
            Self::Settings(_)
            | Self::InsertTicket(_)
            | Self::RevokeTicket(_)
            | Self::DeleteWebhookEndpoint(_)
            | Self::InsertInstance(_)
            | Self::InsertSigningKey(_)
            | Self::WithdrawSigningKey { .. }
            | Self::ResealSigningKey { .. }
            | Self::InsertSecretKey(_)
            | Self::RevokeSecretKey(_)
            | Self::TestClock(_)
            | Self::RebaseOpenSessions(_) => true,
            // Users do these, too; the use cases of administrators add the entry.
            Self::Client(_)
            | Self::InsertSession(_)
            | Self::CloseSession(_)
            | Self::UpdateSession(_)
            | Self::TouchSession(_)
            | Self::User(_)
            | Self::DeleteUser(_)
            | Self::SignIn(_)
            | Self::SignUp(_)
            | Self::Handshake(..)
            | Self::AcceptTicket(_)
            | Self::IdempotencyKey(_)
            | Self::Mail(_)
            | Self::OutgoingMail(_)
            | Self::DeleteMail(_)
            // Deliveries that fail write it, too.
            | Self::WebhookEndpoint(_)
            | Self::InsertWebhookDelivery(_)
            | Self::WebhookDelivery(_)
            | Self::AcknowledgeEvents { .. }
            | Self::ClearMails
            | Self::SecretKeyUsed(_) => false,
        }
    }
}

impl ChangeSet {
    pub fn new(instance_id: InstanceId, at: Moment, random: &mut dyn Randomness) -> Self {
        let id = CommitId::generate(at.wall, random);
        Self { instance_id, id, at, expects: Vec::new(), writes: Vec::new(), events: Vec::new(), audit: None }
    }

    /// Whether all known activity must be stored before this set is applied: the change is judged
    /// against the activity in the database, so users who were active must count as active.
    pub fn wants_all_activity(&self) -> bool {
        self.writes.iter().any(|write| matches!(write, Write::Settings(_) | Write::RebaseOpenSessions(_)))
    }

    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.events.is_empty() && self.audit.is_none()
    }

    /// Whether the set changes what only administrators and the server may change, and has no entry
    /// for the audit log.
    pub fn lacks_audit_entry(&self) -> bool {
        self.audit.is_none() && self.writes.iter().any(Write::is_administrative)
    }

    #[must_use]
    pub fn write(mut self, write: Write) -> Self {
        self.writes.push(write);
        self
    }

    /// Adds a row that must be unchanged.
    #[must_use]
    pub fn expect(mut self, expect: Expect) -> Self {
        self.expects.push(expect);
        self
    }

    /// Adds the entry of the audit log: a set is one act.
    #[must_use]
    pub fn act(mut self, context: &AuditContext, act: Act) -> Self {
        self.audit = Some(act.entry(context, self.id, self.at.wall));
        self
    }

    #[must_use]
    pub fn event(mut self, event: Event) -> Self {
        self.events.push(event);
        self
    }

    /// Adds the changes of a decision about a client.
    #[must_use]
    pub fn browser(mut self, step: &ClientStep) -> Self {
        if step.client_changed {
            self.writes.push(Write::Client(step.browser.client.clone()));
        }
        self.writes.extend(step.closed.iter().cloned().map(Write::CloseSession));
        let admitted = step.subject.iter().filter(|session| Some(session.id) == step.admitted);
        self.writes.extend(admitted.cloned().map(Write::InsertSession));
        self.events.extend(step.events.iter().cloned());
        self
    }
}
