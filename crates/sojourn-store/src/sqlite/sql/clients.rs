//! Browsers.

use rusqlite::{Connection, Row, params};
use sojourn_core::{
    client::{Client, Predecessor, SecretHash},
    id::{ClientId, InstanceId},
    time::Timestamp,
};

use super::{first, number, parsed, parsed_if_any, run, signed, statements, time};
use crate::engine::StoreError;

statements! { "clients";
    CLIENT = "SELECT id, version, created_at, updated_at, signed_in_set_changed_at, secret, predecessor_secret, predecessor_rotated_at, predecessor_good_until, last_active_session_id, last_authentication_strategy, sign_in_id, sign_up_id, last_origin FROM clients WHERE instance_id = $1 AND id = $2";
    INSERT_CLIENT = "INSERT INTO clients (instance_id, id, version, created_at, updated_at, signed_in_set_changed_at, secret, predecessor_secret, predecessor_rotated_at, predecessor_good_until, last_active_session_id, last_authentication_strategy, sign_in_id, sign_up_id, last_origin) VALUES ($1, $2, $3 + 1, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT DO NOTHING";
    UPDATE_CLIENT = "UPDATE clients SET version = version + 1, created_at = $4, updated_at = $5, signed_in_set_changed_at = $6, secret = $7, predecessor_secret = $8, predecessor_rotated_at = $9, predecessor_good_until = $10, last_active_session_id = $11, last_authentication_strategy = $12, sign_in_id = $13, sign_up_id = $14, last_origin = $15 WHERE instance_id = $1 AND id = $2 AND version = $3";
}

fn client(row: &Row<'_>) -> rusqlite::Result<Client> {
    let predecessor = match row.get(6)? {
        Some(secret) => Some(Predecessor {
            secret: SecretHash(secret),
            rotated_at: time(row, 7)?,
            good_until: time(row, 8)?,
        }),
        None => None,
    };
    Ok(Client {
        id: parsed(row, 0)?,
        version: number(row, 1)?,
        created_at: time(row, 2)?,
        updated_at: time(row, 3)?,
        signed_in_set_changed_at: time(row, 4)?,
        secret: SecretHash(row.get(5)?),
        predecessor,
        last_active_session_id: parsed_if_any(row, 9)?,
        last_authentication_strategy: row.get(10)?,
        sign_in_id: parsed_if_any(row, 11)?,
        sign_up_id: parsed_if_any(row, 12)?,
        last_origin: row.get(13)?,
    })
}

pub(in crate::sqlite) fn get(
    db: &Connection,
    instance: InstanceId,
    id: ClientId,
) -> Result<Option<Client>, StoreError> {
    first(db, &CLIENT, [instance.to_string(), id.to_string()], client)
}

/// Writes the row if its version is the stored one.
pub(in crate::sqlite) fn put(
    db: &Connection,
    instance: InstanceId,
    row: &Client,
) -> Result<usize, StoreError> {
    let statement = if row.version == 0 { &INSERT_CLIENT } else { &UPDATE_CLIENT };
    let predecessor = row.predecessor;
    let params = params![
        instance.to_string(),
        row.id.to_string(),
        signed(row.version),
        row.created_at.as_millis(),
        row.updated_at.as_millis(),
        row.signed_in_set_changed_at.as_millis(),
        row.secret.0,
        predecessor.map(|old| old.secret.0),
        predecessor.map(|old| old.rotated_at).map(Timestamp::as_millis),
        predecessor.map(|old| old.good_until).map(Timestamp::as_millis),
        row.last_active_session_id.map(|id| id.to_string()),
        row.last_authentication_strategy,
        row.sign_in_id.map(|id| id.to_string()),
        row.sign_up_id.map(|id| id.to_string()),
        row.last_origin,
    ];
    run(db, statement, params)
}
