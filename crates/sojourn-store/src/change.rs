//! What a request writes: data, so that it can be grouped, retried and simulated.

use sojourn_core::{
    client::{Client, ClientStep},
    event::Event,
    handshake::Handshake,
    id::{CommitId, InstanceId, MailId, Randomness, TicketId, UserId},
    outgoing_mail::OutgoingMail,
    session::Session,
    settings::Settings,
    sign_in::SignIn,
    sign_up::SignUp,
    test_clock::TestClock,
    time::Moment,
    user::User,
};

use crate::records::{IdempotencyKey, Instance, Mail, SecretKey, SigningKey, Ticket};

/// All that one request changes: applied whole and durably, or refused.
#[derive(Clone, Debug)]
pub struct ChangeSet {
    /// The tenant; part of every key.
    pub instance_id: InstanceId,
    /// Settles a lost answer to COMMIT: a set whose id is known was applied.
    pub id: CommitId,
    /// When it was decided, by both clocks.
    pub at: Moment,
    /// Rows the decision rested on without changing them.
    pub expects: Vec<Expect>,
    /// Rows to write, in order.
    pub writes: Vec<Write>,
    /// For the outbox, in the same transaction.
    pub events: Vec<Event>,
}

/// A row that has to be as it was when the decision was taken; the set is
/// refused with [`crate::CommitError::Conflict`] otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The user exists at this version.
    User(UserId, u64),
    /// These are still the newest settings.
    Settings(u64),
    /// There is no instance yet. Of nodes that start at once on an empty
    /// database one makes the instance.
    NoInstance,
}

/// One row to write. Rows with a `version` are written only if the stored
/// version is still the one they were loaded with, and stored with the next;
/// version 0 means that the row must not exist yet.
#[derive(Clone, Debug)]
pub enum Write {
    /// Versioned.
    Client(Client),
    /// A new session; its id must be free.
    InsertSession(Session),
    /// Stores the `closed` of a session that is stored as open. Idempotent: a
    /// session that is closed already stays as it ended. A closing for
    /// inactivity is refused with `Conflict` when newer activity is known than
    /// `session.last_active_at`.
    CloseSession(Session),
    /// Stores `updated_at` and `first_factor_verified_at` of an open session.
    UpdateSession(Session),
    /// Activity that has to be durable with this set (a sign-in has its own in
    /// `InsertSession`). Never touches a closed session; the later time wins.
    TouchSession(Session),
    /// Versioned. Its addresses are claimed in the same transaction; an
    /// address or external id of another user refuses the set with `Taken`.
    User(User),
    /// The account and its addresses; its sessions have to be closed in the same set.
    DeleteUser(UserId),
    /// Versioned.
    SignIn(SignIn),
    /// Versioned.
    SignUp(SignUp),
    /// The next version of the settings; its number must be free.
    Settings(Settings),
    /// A nonce, by the SHA-256 of its text.
    Handshake([u8; 32], Handshake),
    /// A new ticket.
    InsertTicket(Ticket),
    /// Pending to accepted. Single use: refused with `Conflict` when it is not
    /// pending any more.
    AcceptTicket(TicketId),
    /// Pending to revoked, as above.
    RevokeTicket(TicketId),
    /// What a creation answered; its key must be free.
    IdempotencyKey(IdempotencyKey),
    /// A mail for the mailbox of a development instance.
    Mail(Mail),
    /// Versioned. A mail on its way out.
    OutgoingMail(OutgoingMail),
    /// Removes one mail.
    DeleteMail(MailId),
    /// Removes all mails.
    ClearMails,
    /// The instance itself; its id must be free.
    InsertInstance(Instance),
    /// A key of the instance.
    InsertSigningKey(SigningKey),
    /// A key of the application's server.
    InsertSecretKey(SecretKey),
    /// Takes back the key with this hash. Refused with `Conflict` when it was taken
    /// back before, or is the last that is good: nobody could make another.
    RevokeSecretKey([u8; 32]),
    /// The key with this hash was used.
    SecretKeyUsed([u8; 32]),
    /// Versioned. The test clock of a development instance.
    TestClock(TestClock),
    /// Moves the times of everything that is still open by so many milliseconds,
    /// and voids unfinished attempts and tickets: a reset of the test clock.
    RebaseOpenSessions(i64),
}

impl ChangeSet {
    /// A set that changes nothing yet.
    pub fn new(instance_id: InstanceId, at: Moment, random: &mut dyn Randomness) -> Self {
        let id = CommitId::generate(at.wall, random);
        Self { instance_id, id, at, expects: Vec::new(), writes: Vec::new(), events: Vec::new() }
    }

    /// Whether all activity that is known has to be stored before this set is
    /// applied: those who were active are judged so by what changes.
    pub fn wants_all_activity(&self) -> bool {
        self.writes.iter().any(|write| matches!(write, Write::Settings(_) | Write::RebaseOpenSessions(_)))
    }

    /// Whether there is anything to commit.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.events.is_empty()
    }

    /// Adds a row to write.
    #[must_use]
    pub fn write(mut self, write: Write) -> Self {
        self.writes.push(write);
        self
    }

    /// Adds a row that must not have changed.
    #[must_use]
    pub fn expect(mut self, expect: Expect) -> Self {
        self.expects.push(expect);
        self
    }

    /// Adds an event.
    #[must_use]
    pub fn event(mut self, event: Event) -> Self {
        self.events.push(event);
        self
    }

    /// Adds what a decision about a browser changes.
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
