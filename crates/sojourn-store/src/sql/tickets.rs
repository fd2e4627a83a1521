//! Tickets: sign-in tokens and actor tokens. The table has its name from the time when only sign-in
//! tokens existed.

use sojourn_core::{
    id::{InstanceId, TicketId},
    time::Timestamp,
};

use super::{
    impersonation,
    row::{Row, Unreadable, hash, parsed, time, word},
    statement::{Query, Statement, columns, statements},
    value::params,
};
use crate::{
    error::StoreError,
    records::{Ticket, TicketStatus},
};

columns! { ticket_columns, column:
    ID "id";
    HASH "hash";
    USER_ID "user_id";
    STATUS "status";
    CREATED_AT "created_at";
    UPDATED_AT "updated_at";
    OVER_AT "over_at";
    ACTOR "actor";
    OWN_MAXIMUM "own_maximum";
}

statements! { "sign_in_tokens";
    TICKET = both concat!("SELECT ", ticket_columns!(), "
            FROM sign_in_tokens WHERE instance_id = $1 AND id = $2");
    TICKET_BY_HASH = both concat!("SELECT ", ticket_columns!(), "
            FROM sign_in_tokens WHERE instance_id = $1 AND hash = $2");
    INSERT_TICKET = both "
            INSERT INTO sign_in_tokens (instance_id, id, hash, user_id, status, created_at,
                updated_at, over_at, actor, own_maximum)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            ON CONFLICT DO NOTHING";
    SETTLE_TICKET = both "
            UPDATE sign_in_tokens
            SET status = $3, updated_at = $4
            WHERE instance_id = $1 AND id = $2 AND status = 'pending'";
}

fn status(word: &str) -> Option<TicketStatus> {
    [TicketStatus::Pending, TicketStatus::Accepted, TicketStatus::Revoked]
        .into_iter()
        .find(|status| status.as_str() == word)
}

fn ticket(row: &dyn Row) -> Result<Ticket, Unreadable> {
    Ok(Ticket {
        id: parsed(row, column::ID)?,
        hash: hash(row, column::HASH)?,
        user_id: parsed(row, column::USER_ID)?,
        status: word(row, column::STATUS, status)?,
        created_at: time(row, column::CREATED_AT)?,
        updated_at: time(row, column::UPDATED_AT)?,
        expires_at: time(row, column::OVER_AT)?,
        impersonation: impersonation::read(row, column::ACTOR, column::OWN_MAXIMUM)?,
    })
}

pub(crate) fn get(instance: InstanceId, id: TicketId) -> Query<Ticket, 2> {
    Query { sql: &TICKET, params: params![instance, id], read: ticket }
}

pub(crate) fn by_hash(instance: InstanceId, hash: [u8; 32]) -> Query<Ticket, 2> {
    Query { sql: &TICKET_BY_HASH, params: params![instance, hash], read: ticket }
}

pub(crate) fn insert(instance: InstanceId, row: &Ticket) -> Result<Statement, StoreError> {
    let [actor, own_maximum] = impersonation::values("sign_in_tokens", row.impersonation.as_ref())?;
    let params = params![
        instance,
        row.id,
        row.hash,
        row.user_id,
        row.status.as_str(),
        row.created_at,
        row.updated_at,
        row.expires_at,
        actor,
        own_maximum,
    ];
    Ok(Statement::one(&INSERT_TICKET, params))
}

/// Changes the status of a ticket, which must be pending.
pub(crate) fn set_status(
    instance: InstanceId,
    id: TicketId,
    status: TicketStatus,
    at: Timestamp,
) -> Statement {
    Statement::one(&SETTLE_TICKET, params![instance, id, status.as_str(), at])
}
