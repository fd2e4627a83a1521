//! Outgoing mails.

use sojourn_core::{
    id::{InstanceId, MailId},
    outgoing_mail::{MailStatus, OutgoingMail},
    time::Timestamp,
};

use super::{
    list::{Conditions, Page},
    row::only_document,
    statement::{Command, Query, Statement, json, statements},
    value::params,
};
use crate::error::StoreError;

statements! { "outgoing_mails";
    OUTGOING_MAIL = both "SELECT document FROM outgoing_mails WHERE instance_id = $1 AND id = $2";
    DUE_MAILS = both "
            SELECT document
            FROM outgoing_mails
            WHERE instance_id = $1 AND due_at <= $2
            ORDER BY due_at
            LIMIT $3";
    INSERT_OUTGOING_MAIL = both "
            INSERT INTO outgoing_mails (instance_id, id, version, status, queued_at, due_at, document)
            VALUES ($1, $2, CAST($3 AS BIGINT) + 1, $4, $5, $6, $7)
            ON CONFLICT DO NOTHING";
    UPDATE_OUTGOING_MAIL = both "
            UPDATE outgoing_mails
            SET version = version + 1, status = $4, queued_at = $5, due_at = $6, document = $7
            WHERE instance_id = $1 AND id = $2 AND version = $3";
    PURGE_OUTGOING_MAILS = both "
            DELETE FROM outgoing_mails
            WHERE instance_id = $1 AND id IN (
                SELECT id
                FROM outgoing_mails
                WHERE instance_id = $1 AND queued_at <= $2
                ORDER BY queued_at
                LIMIT $3
            )";
}

pub(crate) fn get(instance: InstanceId, id: MailId) -> Query<OutgoingMail, 2> {
    Query { sql: &OUTGOING_MAIL, params: params![instance, id], read: only_document }
}

/// Mails with a due step at `wall`, the longest due first.
pub(crate) fn due(instance: InstanceId, wall: Timestamp, limit: u32) -> Query<OutgoingMail, 3> {
    Query { sql: &DUE_MAILS, params: params![instance, wall, limit], read: only_document }
}

/// Mails of one status or all, newest first.
pub(crate) fn list(
    instance: InstanceId,
    status: Option<MailStatus>,
    limit: u32,
    offset: u32,
) -> Page<OutgoingMail> {
    let mut conditions = Conditions::of_instance("instance_id", instance);
    if let Some(status) = status {
        conditions.and("status = $", status.as_str());
    }
    Page {
        table: "outgoing_mails",
        select: "document",
        from: "outgoing_mails",
        conditions,
        order: "queued_at DESC, id DESC".to_owned(),
        limit,
        offset,
        read: only_document,
    }
}

/// Writes the row if the stored version is `row.version`.
pub(crate) fn put(instance: InstanceId, row: &OutgoingMail) -> Result<Statement, StoreError> {
    let statement = if row.version == 0 { &INSERT_OUTGOING_MAIL } else { &UPDATE_OUTGOING_MAIL };
    let stored = OutgoingMail { version: row.version + 1, ..row.clone() };
    let document = json("outgoing_mails", &stored)?;
    let params =
        params![instance, row.id, row.version, row.status.as_str(), row.queued_at, row.due_at, document];
    Ok(Statement::one(statement, params))
}

/// Deletes up to `limit` mails that were queued at `before` or earlier.
pub(crate) fn purge(instance: InstanceId, before: Timestamp, limit: u32) -> Command<3> {
    Command { sql: &PURGE_OUTGOING_MAILS, params: params![instance, before, limit] }
}
