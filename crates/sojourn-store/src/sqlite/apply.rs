//! Applies a set inside the writer's transaction. Whoever calls it takes the
//! savepoint back when it fails.

use rusqlite::Connection;
use sojourn_core::{
    id::UserId,
    session::{ClosedStatus, Session},
    user::User,
};

use super::{
    activity::Activity,
    sql::{attempts, clients, instances, journal, mails, sessions, tickets, users},
};
use crate::{
    change::{ChangeSet, Expect, Write},
    engine::CommitError,
    outbox,
    records::SignInTokenStatus,
};

/// Applies `changes`; one that is known already stays applied.
pub(super) fn apply(db: &Connection, activity: &Activity, changes: &ChangeSet) -> Result<(), CommitError> {
    let instance = changes.instance_id;
    if journal::remember(db, instance, changes.id)? == 0 {
        return Ok(());
    }
    let set = Set { db, activity, changes };
    for expect in &changes.expects {
        set.expect(*expect)?;
    }
    let mut deleted = Vec::new();
    for write in &changes.writes {
        set.write(write)?;
        if let Write::DeleteUser(id) = write {
            deleted.push(*id);
        }
    }
    unless(!instances::exists(db, instance)?)?;
    for id in deleted {
        unless(sessions::any_open_of_user(db, instance, id)?)?;
    }
    for entry in outbox::entries(changes) {
        journal::insert_event(db, instance, &entry)?;
    }
    Ok(())
}

struct Set<'a> {
    db: &'a Connection,
    activity: &'a Activity,
    changes: &'a ChangeSet,
}

fn unless(conflict: bool) -> Result<(), CommitError> {
    if conflict { Err(CommitError::Conflict) } else { Ok(()) }
}

/// A conditional write that found no row to write is a conflict.
fn one(rows: usize) -> Result<(), CommitError> {
    unless(rows == 0)
}

impl Set<'_> {
    fn expect(&self, expect: Expect) -> Result<(), CommitError> {
        let instance = self.changes.instance_id;
        let holds = match expect {
            Expect::User(id, version) => users::version(self.db, instance, id)? == Some(version),
            Expect::Settings(version) => instances::newest_settings(self.db, instance)? == version,
        };
        unless(!holds)
    }

    fn write(&self, write: &Write) -> Result<(), CommitError> {
        let (db, at, instance) = (self.db, self.changes.at, self.changes.instance_id);
        let rows = match write {
            Write::Client(row) => clients::put(db, instance, row)?,
            Write::InsertSession(row) => sessions::insert(db, instance, row)?,
            Write::CloseSession(row) => return self.close_session(row),
            Write::UpdateSession(row) => sessions::update(db, instance, row)?,
            Write::TouchSession(row) => {
                // Nothing to do is no conflict: later activity is stored, or it is over.
                sessions::touch(db, instance, row.id, row.last_active_at)?;
                return Ok(());
            }
            Write::User(row) => return self.user(row),
            Write::DeleteUser(id) => {
                users::release(db, instance, *id)?;
                users::delete(db, instance, *id)?
            }
            Write::SignIn(row) => attempts::put_sign_in(db, instance, row)?,
            Write::SignUp(row) => attempts::put_sign_up(db, instance, row)?,
            Write::Settings(row) => {
                unless(instances::newest_settings(db, instance)? + 1 != row.version)?;
                instances::insert_settings(db, instance, row)?
            }
            Write::Handshake(nonce, row) => attempts::insert_handshake(db, instance, *nonce, row)?,
            Write::InsertSignInToken(row) => tickets::insert(db, instance, row)?,
            Write::AcceptSignInToken(id) => {
                tickets::settle(db, instance, *id, SignInTokenStatus::Accepted, at)?
            }
            Write::RevokeSignInToken(id) => {
                tickets::settle(db, instance, *id, SignInTokenStatus::Revoked, at)?
            }
            Write::Mail(row) => mails::insert(db, instance, row)?,
            Write::DeleteMail(id) => {
                mails::delete(db, instance, *id)?;
                return Ok(());
            }
            Write::ClearMails => {
                mails::clear(db, instance)?;
                return Ok(());
            }
            Write::InsertInstance(row) => {
                unless(row.id != instance)?;
                instances::insert(db, row)?
            }
            Write::InsertSigningKey(row) => instances::insert_signing_key(db, instance, row)?,
            Write::InsertSecretKey(row) => instances::insert_secret_key(db, instance, row)?,
        };
        one(rows)
    }

    fn close_session(&self, row: &Session) -> Result<(), CommitError> {
        let (db, instance) = (self.db, self.changes.instance_id);
        let (Some(stored), Some(closing)) = (sessions::get(db, instance, row.id)?, row.closed) else {
            return Err(CommitError::Conflict);
        };
        if stored.closed.is_some() {
            return Ok(());
        }
        // Consults what is in memory only, as well: nobody is ended for
        // inactivity who was just seen.
        let in_memory = self.activity.get(&(instance, row.id));
        let newest = in_memory.map_or(stored.last_active_at, |at| at.max(stored.last_active_at));
        unless(closing.status == ClosedStatus::Abandoned && newest > row.last_active_at)?;
        // Last, exactly: later batches do not touch a closed session.
        sessions::touch(db, instance, row.id, newest.max(row.last_active_at))?;
        one(sessions::close(db, instance, row, closing)?)
    }

    fn user(&self, row: &User) -> Result<(), CommitError> {
        let (db, instance) = (self.db, self.changes.instance_id);
        one(users::put(db, instance, row)?)?;
        users::release(db, instance, row.id)?;
        for address in row.identifying_emails() {
            self.claim(row.id, users::EMAIL_ADDRESS, address.email.as_str())?;
        }
        match &row.external_id {
            Some(external_id) => self.claim(row.id, users::EXTERNAL_ID, external_id),
            None => Ok(()),
        }
    }

    fn claim(&self, id: UserId, kind: &'static str, value: &str) -> Result<(), CommitError> {
        if users::claim(self.db, self.changes.instance_id, id, kind, value)? {
            Ok(())
        } else {
            Err(CommitError::Taken(kind))
        }
    }
}
