//! Translates a change set into statements, the same for both engines, each with its expected row
//! count. No statement depends on the result of another one, so that PostgreSQL can pipeline them.

use sojourn_core::{id::SessionId, time::Timestamp, user::User};

use super::{
    attempts, audit_log, clients, clock, idempotency, instances, journal, keys, mails, outgoing_mails,
    sessions, statement::Statement, tickets, users, webhooks,
};
use crate::{
    change::{ChangeSet, Expect, Write},
    error::CommitError,
    outbox,
    records::TicketStatus,
};

/// The statements of a set, in order. `in_memory` returns the newest activity of a session that may
/// not be stored yet.
pub(crate) fn statements(
    changes: &ChangeSet,
    in_memory: impl Fn(SessionId) -> Option<Timestamp>,
) -> Result<Vec<Statement>, CommitError> {
    let instance = changes.instance_id;
    // The commit id comes first: if it is known, no other statement counts.
    let mut statements = Statements { changes, statements: vec![journal::remember(instance, changes.id)] };
    for expect in &changes.expects {
        statements.expect(*expect);
    }
    for write in &changes.writes {
        statements.write(write, &in_memory)?;
    }
    let mut statements = statements.statements;
    // After the writes, because the set may create the instance itself, and has to close the
    // sessions of a user that it deletes.
    statements.push(instances::expect(instance));
    for write in &changes.writes {
        if let Write::DeleteUser(id) = write {
            statements.push(sessions::none_open_of_user(instance, *id));
        }
    }
    for entry in outbox::entries(changes) {
        statements.push(journal::insert_event(instance, &entry)?);
    }
    if let Some(entry) = &changes.audit {
        statements.push(audit_log::insert(instance, entry)?);
    }
    Ok(statements)
}

struct Statements<'a> {
    changes: &'a ChangeSet,
    statements: Vec<Statement>,
}

impl Statements<'_> {
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
                    self.statements.push(users::lock(instance, id));
                }
                self.statements.push(users::expect(instance, id, version));
            }
            Expect::Settings(version) => {
                let alone = any(&|write| matches!(write, Write::Settings(_)));
                self.statements.extend(instances::expect_settings(instance, version, alone));
            }
            Expect::NoInstance => self.statements.extend(instances::expect_none()),
        }
    }

    fn write(
        &mut self,
        write: &Write,
        in_memory: impl Fn(SessionId) -> Option<Timestamp>,
    ) -> Result<(), CommitError> {
        let (at, instance) = (self.changes.at.now, self.changes.instance_id);
        let statement = match write {
            Write::Client(row) => clients::put(instance, row),
            Write::InsertSession(row) => {
                self.statements.extend(sessions::insert(instance, row)?);
                return Ok(());
            }
            Write::CloseSession(row) => {
                let closing = row.closed.ok_or(CommitError::Conflict)?;
                self.statements.extend(sessions::close(instance, row, closing, in_memory(row.id)));
                return Ok(());
            }
            Write::UpdateSession(row) => sessions::update(instance, row),
            // No row to update is not a conflict: later activity is already stored, or the session
            // is closed.
            Write::TouchSession(row) => sessions::touch(instance, row.id, row.last_active_at).into(),
            Write::User(row) => return self.user(row),
            Write::DeleteUser(id) => {
                self.statements.push(users::lock(instance, *id));
                // Identifiers refer to the user's row, so they are deleted first.
                self.statements.push(users::release(instance, *id));
                self.statements.push(audit_log::forget_values(instance, *id));
                users::delete(instance, *id)
            }
            Write::SignIn(row) => attempts::put_sign_in(instance, row)?,
            Write::SignUp(row) => attempts::put_sign_up(instance, row)?,
            Write::Settings(row) => {
                let before = row.version.checked_sub(1).ok_or(CommitError::Conflict)?;
                self.statements.extend(instances::expect_settings(instance, before, true));
                instances::insert_settings(instance, row)?
            }
            Write::Handshake(nonce, row) => attempts::insert_handshake(instance, *nonce, row)?,
            Write::InsertTicket(row) => tickets::insert(instance, row)?,
            Write::AcceptTicket(id) => tickets::set_status(instance, *id, TicketStatus::Accepted, at),
            Write::RevokeTicket(id) => tickets::set_status(instance, *id, TicketStatus::Revoked, at),
            Write::IdempotencyKey(key) => idempotency::insert(instance, key)?,
            Write::Mail(row) => mails::insert(instance, row)?,
            Write::OutgoingMail(row) => outgoing_mails::put(instance, row)?,
            Write::DeleteMail(id) => mails::delete(instance, *id),
            Write::ClearMails => mails::clear(instance),
            Write::WebhookEndpoint(row) => webhooks::put_endpoint(instance, row)?,
            Write::DeleteWebhookEndpoint(id) => webhooks::delete_endpoint(instance, *id),
            Write::InsertWebhookDelivery(row) => webhooks::insert(instance, row)?,
            Write::WebhookDelivery(row) => {
                self.statements.extend(webhooks::update(instance, row, self.changes.at.wall)?);
                return Ok(());
            }
            Write::AcknowledgeEvents { reader, before, seq } => {
                journal::acknowledge_after(instance, reader, *before, *seq)
            }
            Write::InsertInstance(row) if row.id != instance => return Err(CommitError::Conflict),
            Write::InsertInstance(row) => instances::insert(row),
            Write::InsertSigningKey(row) => keys::insert_signing_key(instance, row),
            Write::WithdrawSigningKey { kid, until, before } => {
                keys::withdraw_signing_key(instance, kid, *until, *before)
            }
            Write::ResealSigningKey { kid, sealed_private_key } => {
                keys::reseal_signing_key(instance, kid, sealed_private_key)
            }
            Write::InsertSecretKey(row) => keys::insert_secret_key(instance, row),
            Write::RevokeSecretKey(hash) => {
                let [another, revoke] = keys::revoke_secret_key(instance, *hash, self.changes.at.wall);
                self.statements.push(another);
                revoke
            }
            Write::SecretKeyUsed(hash) => keys::secret_key_used(instance, *hash, self.changes.at.wall),
            Write::TestClock(row) => clock::put(instance, row),
            Write::RebaseOpenSessions(by_ms) => {
                self.statements.extend(clock::shift(instance, *by_ms));
                return Ok(());
            }
        };
        self.statements.push(statement);
        Ok(())
    }

    fn user(&mut self, row: &User) -> Result<(), CommitError> {
        let instance = self.changes.instance_id;
        self.statements.push(users::put(instance, row)?);
        // Before `release`, because the check reads the identifiers that the user has so far.
        for address in row.identifying_emails() {
            self.statements.extend(users::spellings_are_free(instance, row.id, &address.email));
        }
        self.statements.push(users::release(instance, row.id));
        for address in row.identifying_emails() {
            self.statements.extend(users::claim_email(instance, row.id, &address.email));
        }
        if let Some(external_id) = &row.external_id {
            self.statements.push(users::claim(instance, row.id, users::EXTERNAL_ID, external_id));
        }
        Ok(())
    }
}
