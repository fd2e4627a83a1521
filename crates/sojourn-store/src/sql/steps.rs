//! A set as the statements that apply it: the same for both engines, each
//! with what its row count has to be. No step needs what another one read, so
//! that they can be sent without waiting in between.

use sojourn_core::{id::SessionId, time::Timestamp, user::User};

use super::{
    Change, Sql, Value, attempts, clients, clock, idempotency, instances, journal, mails, sessions, tickets,
    users,
};
use crate::{
    change::{ChangeSet, Expect, Write},
    error::CommitError,
    outbox,
    records::TicketStatus,
};

/// One statement of a set.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) sql: &'static Sql,
    pub(crate) params: Vec<Value>,
    pub(crate) want: Want,
}

/// What is wanted of a statement's row count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// Nothing.
    Any,
    /// That there are rows; a conflict otherwise.
    Some,
    /// That there are none; a conflict otherwise.
    None,
    /// That there are rows; the set is applied already otherwise.
    New,
    /// That there are rows; an identifier of this kind belongs to another user otherwise.
    Free(&'static str),
}

/// How it goes on after a step.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// With the next step.
    Next,
    /// The set was applied before: nothing is left to do, nor to keep.
    Applied,
    /// The set is refused.
    Refused(CommitError),
}

impl Want {
    /// What `rows` mean.
    pub(crate) fn judge(self, rows: usize) -> Outcome {
        match (self, rows > 0) {
            (Self::Any, _) | (Self::None, false) => Outcome::Next,
            (Self::Some | Self::New | Self::Free(_), true) => Outcome::Next,
            (Self::New, false) => Outcome::Applied,
            (Self::Free(kind), false) => Outcome::Refused(CommitError::Taken(kind)),
            (Self::Some, false) | (Self::None, true) => Outcome::Refused(CommitError::Conflict),
        }
    }
}

impl Step {
    /// A statement that has to find its row.
    pub(crate) fn one<const N: usize>(sql: &'static Sql, params: [Value; N]) -> Self {
        Self { sql, params: params.into(), want: Want::Some }
    }

    /// A statement that may find nothing to do.
    pub(crate) fn any<const N: usize>(sql: &'static Sql, params: [Value; N]) -> Self {
        Self { sql, params: params.into(), want: Want::Any }
    }
}

impl<const N: usize> From<Change<N>> for Step {
    fn from(change: Change<N>) -> Self {
        Self::any(change.sql, change.params)
    }
}

/// The statements that apply a set, in order. `in_memory` is the newest
/// activity known of a session that may not be stored yet.
pub(crate) fn of(
    changes: &ChangeSet,
    in_memory: impl Fn(SessionId) -> Option<Timestamp>,
) -> Result<Vec<Step>, CommitError> {
    let instance = changes.instance_id;
    let mut steps = Steps { changes, steps: vec![journal::remember(instance, changes.id)] };
    for expect in &changes.expects {
        steps.expect(*expect);
    }
    for write in &changes.writes {
        steps.write(write, &in_memory)?;
    }
    let mut steps = steps.steps;
    steps.push(instances::expect(instance));
    for write in &changes.writes {
        if let Write::DeleteUser(id) = write {
            steps.push(sessions::none_open_of_user(instance, *id));
        }
    }
    for entry in outbox::entries(changes) {
        steps.push(journal::insert_event(instance, &entry)?);
    }
    Ok(steps)
}

struct Steps<'a> {
    changes: &'a ChangeSet,
    steps: Vec<Step>,
}

impl Steps<'_> {
    fn expect(&mut self, expect: Expect) {
        let instance = self.changes.instance_id;
        let any = |wanted: &dyn Fn(&Write) -> bool| self.changes.writes.iter().any(wanted);
        match expect {
            Expect::User(id, version) => {
                let writes_it = any(&|write| match write {
                    Write::User(user) => user.id == id,
                    Write::DeleteUser(deleted) => *deleted == id,
                    _ => false,
                });
                if writes_it {
                    self.steps.push(users::lock(instance, id));
                }
                self.steps.push(users::expect(instance, id, version));
            }
            Expect::Settings(version) => {
                let alone = any(&|write| matches!(write, Write::Settings(_)));
                self.steps.extend(instances::expect_settings(instance, version, alone));
            }
            Expect::NoInstance => self.steps.extend(instances::expect_none()),
        }
    }

    fn write(
        &mut self,
        write: &Write,
        in_memory: impl Fn(SessionId) -> Option<Timestamp>,
    ) -> Result<(), CommitError> {
        let (at, instance) = (self.changes.at.now, self.changes.instance_id);
        let step = match write {
            Write::Client(row) => clients::put(instance, row),
            Write::InsertSession(row) => {
                self.steps.extend(sessions::insert(instance, row)?);
                return Ok(());
            }
            Write::CloseSession(row) => {
                let closing = row.closed.ok_or(CommitError::Conflict)?;
                self.steps.extend(sessions::close(instance, row, closing, in_memory(row.id)));
                return Ok(());
            }
            Write::UpdateSession(row) => sessions::update(instance, row),
            // Nothing to do is no conflict: later activity is stored, or it is over.
            Write::TouchSession(row) => sessions::touch(instance, row.id, row.last_active_at).into(),
            Write::User(row) => return self.user(row),
            Write::DeleteUser(id) => {
                self.steps.push(users::lock(instance, *id));
                self.steps.push(users::release(instance, *id));
                users::delete(instance, *id)
            }
            Write::SignIn(row) => attempts::put_sign_in(instance, row)?,
            Write::SignUp(row) => attempts::put_sign_up(instance, row)?,
            Write::Settings(row) => {
                let before = row.version.checked_sub(1).ok_or(CommitError::Conflict)?;
                self.steps.extend(instances::expect_settings(instance, before, true));
                instances::insert_settings(instance, row)?
            }
            Write::Handshake(nonce, row) => attempts::insert_handshake(instance, *nonce, row)?,
            Write::InsertTicket(row) => tickets::insert(instance, row)?,
            Write::AcceptTicket(id) => tickets::set_status(instance, *id, TicketStatus::Accepted, at),
            Write::RevokeTicket(id) => tickets::set_status(instance, *id, TicketStatus::Revoked, at),
            Write::IdempotencyKey(key) => idempotency::insert(instance, key)?,
            Write::Mail(row) => mails::insert(instance, row)?,
            Write::DeleteMail(id) => mails::delete(instance, *id),
            Write::ClearMails => mails::clear(instance),
            Write::InsertInstance(row) if row.id != instance => return Err(CommitError::Conflict),
            Write::InsertInstance(row) => instances::insert(row),
            Write::InsertSigningKey(row) => instances::insert_signing_key(instance, row),
            Write::InsertSecretKey(row) => instances::insert_secret_key(instance, row),
            Write::RevokeSecretKey(hash) => {
                let [another, revoke] = instances::revoke_secret_key(instance, *hash, self.changes.at.wall);
                self.steps.push(another);
                revoke
            }
            Write::SecretKeyUsed(hash) => instances::secret_key_used(instance, *hash, self.changes.at.wall),
            Write::TestClock(row) => clock::put(instance, row),
            Write::RebaseOpenSessions(by_ms) => {
                self.steps.extend(clock::shift(instance, *by_ms));
                return Ok(());
            }
        };
        self.steps.push(step);
        Ok(())
    }

    fn user(&mut self, row: &User) -> Result<(), CommitError> {
        let instance = self.changes.instance_id;
        self.steps.push(users::put(instance, row)?);
        self.steps.push(users::release(instance, row.id));
        for address in row.identifying_emails() {
            let email = address.email.as_str();
            self.steps.push(users::claim(instance, row.id, users::EMAIL_ADDRESS, email));
        }
        if let Some(external_id) = &row.external_id {
            self.steps.push(users::claim(instance, row.id, users::EXTERNAL_ID, external_id));
        }
        Ok(())
    }
}
