//! Tickets that sign one user in, once, or somebody who acts as them. The table
//! has its name from when there was one kind.

use sojourn_core::{
    id::{InstanceId, TicketId},
    time::Timestamp,
};

use super::{
    Load, Row, Step, Unreadable, impersonation, params,
    row::{hash, parsed, time, word},
    statements,
};
use crate::{
    error::StoreError,
    records::{Ticket, TicketStatus},
};

statements! { "sign_in_tokens";
    TICKET = "SELECT id, hash, user_id, status, created_at, updated_at, over_at, actor, own_maximum FROM sign_in_tokens WHERE instance_id = $1 AND id = $2";
    TICKET_BY_HASH = "SELECT id, hash, user_id, status, created_at, updated_at, over_at, actor, own_maximum FROM sign_in_tokens WHERE instance_id = $1 AND hash = $2";
    INSERT_TICKET = "INSERT INTO sign_in_tokens (instance_id, id, hash, user_id, status, created_at, updated_at, over_at, actor, own_maximum) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING";
    SETTLE_TICKET = "UPDATE sign_in_tokens SET status = $3, updated_at = $4 WHERE instance_id = $1 AND id = $2 AND status = 'pending'";
}

fn status(word: &str) -> Option<TicketStatus> {
    [TicketStatus::Pending, TicketStatus::Accepted, TicketStatus::Revoked]
        .into_iter()
        .find(|status| status.as_str() == word)
}

fn ticket(row: &dyn Row) -> Result<Ticket, Unreadable> {
    Ok(Ticket {
        id: parsed(row, 0)?,
        hash: hash(row, 1)?,
        user_id: parsed(row, 2)?,
        status: word(row, 3, status)?,
        created_at: time(row, 4)?,
        updated_at: time(row, 5)?,
        expires_at: time(row, 6)?,
        impersonation: impersonation::read(row, 7)?,
    })
}

pub(crate) fn get(instance: InstanceId, id: TicketId) -> Load<Ticket, 2> {
    Load { sql: &TICKET, params: params![instance, id], read: ticket }
}

pub(crate) fn by_hash(instance: InstanceId, hash: [u8; 32]) -> Load<Ticket, 2> {
    Load { sql: &TICKET_BY_HASH, params: params![instance, hash], read: ticket }
}

pub(crate) fn insert(instance: InstanceId, row: &Ticket) -> Result<Step, StoreError> {
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
    Ok(Step::one(&INSERT_TICKET, params))
}

/// Ends a ticket that has to be pending.
pub(crate) fn set_status(instance: InstanceId, id: TicketId, status: TicketStatus, at: Timestamp) -> Step {
    Step::one(&SETTLE_TICKET, params![instance, id, status.as_str(), at])
}
