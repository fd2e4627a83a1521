//! The audit log.

use sojourn_core::{
    audit::{Action, AuditEntry},
    id::{InstanceId, UserId},
    time::Timestamp,
};

use super::{
    list::{Conditions, Page},
    row::{Row, Unreadable, document, text_if_any},
    statement::{Command, Statement, json, statements},
    value::params,
};
use crate::{error::StoreError, records::AuditFilter};

statements! { "audit_log";
    INSERT_ENTRY = both "
            INSERT INTO audit_log (instance_id, id, acted_at, place, actor, action, object_id, document, changes)
            VALUES ($1, $2, $3, (
                SELECT COALESCE(MAX(place), 0) + 1
                FROM audit_log
                WHERE instance_id = $1 AND acted_at = $3
            ), $4, $5, $6, $7, $8)";
    FORGET_VALUES = both "
            UPDATE audit_log
            SET changes = NULL
            WHERE instance_id = $1 AND object_id = $2";
    PURGE_ENTRIES = both "
            DELETE FROM audit_log
            WHERE instance_id = $1 AND id IN (
                SELECT id
                FROM audit_log
                WHERE instance_id = $1 AND acted_at <= $2
                ORDER BY acted_at
                LIMIT $3
            )";
}

/// Stores an entry.
pub(crate) fn insert(instance: InstanceId, entry: &AuditEntry) -> Result<Statement, StoreError> {
    let (document, changes) = (json("audit_log", entry)?, json("audit_log", &entry.changes)?);
    let (actor, action) = (entry.context.actor.key(), entry.action.as_str());
    let params = params![instance, entry.id, entry.at, actor, action, &entry.object_id, document, changes];
    Ok(Statement::one(&INSERT_ENTRY, params))
}

/// Deletes the values in the entries about a user, and leaves the entries.
pub(crate) fn forget_values(instance: InstanceId, user: UserId) -> Statement {
    Statement::any(&FORGET_VALUES, params![instance, user])
}

fn entry(row: &dyn Row) -> Result<AuditEntry, Unreadable> {
    let entry: AuditEntry = document(row, 0)?;
    let changes = text_if_any(row, 1)?;
    let changes = changes.map(|text| serde_json::from_str(&text)).transpose().map_err(Unreadable::new)?;
    Ok(AuditEntry { changes, ..entry })
}

/// The entries of a filter, newest first.
pub(crate) fn list(instance: InstanceId, filter: &AuditFilter) -> Page<AuditEntry> {
    let mut conditions = Conditions::of_instance("instance_id", instance);
    if let Some(actor) = &filter.actor {
        conditions.and("actor = $", actor);
    }
    if let Some(object_id) = &filter.object_id {
        conditions.and("object_id = $", object_id);
    }
    conditions.and_one_of("action IN ($)", filter.actions.iter().copied().map(Action::as_str));
    if let Some(from) = filter.acted.from {
        conditions.and("acted_at >= $", from);
    }
    if let Some(before) = filter.acted.before {
        conditions.and("acted_at < $", before);
    }
    Page {
        table: "audit_log",
        select: "document, changes",
        from: "audit_log",
        conditions,
        order: "acted_at DESC, place DESC, id DESC".to_owned(),
        limit: filter.limit,
        offset: filter.offset,
        read: entry,
    }
}

/// Deletes up to `limit` entries from `before` or earlier.
pub(crate) fn purge(instance: InstanceId, before: Timestamp, limit: u32) -> Command<3> {
    Command { sql: &PURGE_ENTRIES, params: params![instance, before, limit] }
}
