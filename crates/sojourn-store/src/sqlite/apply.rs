//! Applies a set inside the writer's transaction. Whoever calls it takes the
//! savepoint back when it fails.

use rusqlite::Connection;

use super::db;
use crate::{
    activity::Activity,
    change::ChangeSet,
    error::CommitError,
    sql::{change_set, statement::Outcome},
};

/// Applies `changes`; one that is known already stays applied.
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
