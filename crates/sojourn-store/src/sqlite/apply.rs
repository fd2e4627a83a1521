//! Applies a change set inside the writer's transaction. The caller rolls back the savepoint if it
//! fails.

use rusqlite::Connection;

use super::db;
use crate::{
    activity::Activity,
    change::ChangeSet,
    error::CommitError,
    sql::{change_set, statement::Outcome},
};

/// Applies `changes`. A set that is already applied is left unchanged.
pub(super) fn apply(db: &Connection, activity: &Activity, changes: &ChangeSet) -> Result<(), CommitError> {
    let instance = changes.instance_id;
    let in_memory = |session| activity.get(&(instance, session));
    for statement in change_set::statements(changes, in_memory)? {
        if statement.sql.for_sqlite().is_none() {
            continue;
        }
        match statement.expected_rows.check(db::rows(db, statement.sql, &statement.params)?) {
            Outcome::Next => {}
            Outcome::Applied => return Ok(()),
            Outcome::Refused(refusal) => return Err(refusal),
        }
    }
    Ok(())
}
