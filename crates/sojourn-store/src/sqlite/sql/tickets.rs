//! Tickets that sign one user in, once.

use rusqlite::{Connection, Row, params};
use sojourn_core::{
    id::{InstanceId, SignInTokenId},
    time::Timestamp,
};

use super::{first, parsed, run, statements, time, word};
use crate::{
    engine::StoreError,
    records::{SignInToken, SignInTokenStatus},
};

statements! { "sign_in_tokens";
    TICKET = "SELECT id, hash, user_id, status, created_at, updated_at, over_at FROM sign_in_tokens WHERE instance_id = $1 AND id = $2";
    TICKET_BY_HASH = "SELECT id, hash, user_id, status, created_at, updated_at, over_at FROM sign_in_tokens WHERE instance_id = $1 AND hash = $2";
    INSERT_TICKET = "INSERT INTO sign_in_tokens (instance_id, id, hash, user_id, status, created_at, updated_at, over_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
    SETTLE_TICKET = "UPDATE sign_in_tokens SET status = $3, updated_at = $4 WHERE instance_id = $1 AND id = $2 AND status = 'pending'";
}

fn status(word: &str) -> Option<SignInTokenStatus> {
    [SignInTokenStatus::Pending, SignInTokenStatus::Accepted, SignInTokenStatus::Revoked]
        .into_iter()
        .find(|status| status.as_str() == word)
}

fn ticket(row: &Row<'_>) -> rusqlite::Result<SignInToken> {
    Ok(SignInToken {
        id: parsed(row, 0)?,
        hash: row.get(1)?,
        user_id: parsed(row, 2)?,
        status: word(row, 3, status)?,
        created_at: time(row, 4)?,
        updated_at: time(row, 5)?,
        expires_at: time(row, 6)?,
    })
}

pub(in crate::sqlite) fn get(
    db: &Connection,
    instance: InstanceId,
    id: SignInTokenId,
) -> Result<Option<SignInToken>, StoreError> {
    first(db, &TICKET, [instance.to_string(), id.to_string()], ticket)
}

pub(in crate::sqlite) fn by_hash(
    db: &Connection,
    instance: InstanceId,
    hash: [u8; 32],
) -> Result<Option<SignInToken>, StoreError> {
    first(db, &TICKET_BY_HASH, params![instance.to_string(), hash], ticket)
}

pub(in crate::sqlite) fn insert(
    db: &Connection,
    instance: InstanceId,
    row: &SignInToken,
) -> Result<usize, StoreError> {
    let params = params![
        instance.to_string(),
        row.id.to_string(),
        row.hash,
        row.user_id.to_string(),
        row.status.as_str(),
        row.created_at.as_millis(),
        row.updated_at.as_millis(),
        row.expires_at.as_millis(),
    ];
    run(db, &INSERT_TICKET, params)
}

/// Ends a pending ticket; 0 when it is not pending any more.
pub(in crate::sqlite) fn settle(
    db: &Connection,
    instance: InstanceId,
    id: SignInTokenId,
    status: SignInTokenStatus,
    at: Timestamp,
) -> Result<usize, StoreError> {
    let params = params![instance.to_string(), id.to_string(), status.as_str(), at.as_millis()];
    run(db, &SETTLE_TICKET, params)
}
