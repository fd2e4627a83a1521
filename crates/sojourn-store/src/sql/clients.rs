//! Browsers.

use sojourn_core::{
    client::{Client, Predecessor, SecretHash},
    id::{ClientId, InstanceId},
};

use super::{
    Load, Row, Step, Unreadable, params,
    row::{hash, number, parsed, parsed_if_any, text_if_any, time},
    statements,
};

statements! { "clients";
    CLIENT = "SELECT id, version, created_at, updated_at, signed_in_set_changed_at, secret, predecessor_secret, predecessor_rotated_at, predecessor_good_until, last_active_session_id, last_authentication_strategy, sign_in_id, sign_up_id, last_origin FROM clients WHERE instance_id = $1 AND id = $2";
    INSERT_CLIENT = "INSERT INTO clients (instance_id, id, version, created_at, updated_at, signed_in_set_changed_at, secret, predecessor_secret, predecessor_rotated_at, predecessor_good_until, last_active_session_id, last_authentication_strategy, sign_in_id, sign_up_id, last_origin) VALUES ($1, $2, CAST($3 AS BIGINT) + 1, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT DO NOTHING";
    UPDATE_CLIENT = "UPDATE clients SET version = version + 1, created_at = $4, updated_at = $5, signed_in_set_changed_at = $6, secret = $7, predecessor_secret = $8, predecessor_rotated_at = $9, predecessor_good_until = $10, last_active_session_id = $11, last_authentication_strategy = $12, sign_in_id = $13, sign_up_id = $14, last_origin = $15 WHERE instance_id = $1 AND id = $2 AND version = $3";
}

fn client(row: &dyn Row) -> Result<Client, Unreadable> {
    let predecessor = match row.bytes(6)? {
        Some(_) => Some(Predecessor {
            secret: SecretHash(hash(row, 6)?),
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
        secret: SecretHash(hash(row, 5)?),
        predecessor,
        last_active_session_id: parsed_if_any(row, 9)?,
        last_authentication_strategy: text_if_any(row, 10)?,
        sign_in_id: parsed_if_any(row, 11)?,
        sign_up_id: parsed_if_any(row, 12)?,
        last_origin: text_if_any(row, 13)?,
    })
}

pub(crate) fn get(instance: InstanceId, id: ClientId) -> Load<Client, 2> {
    Load { sql: &CLIENT, params: params![instance, id], read: client }
}

/// Writes the row if its version is the stored one.
pub(crate) fn put(instance: InstanceId, row: &Client) -> Step {
    let statement = if row.version == 0 { &INSERT_CLIENT } else { &UPDATE_CLIENT };
    let predecessor = row.predecessor;
    let params = params![
        instance,
        row.id,
        row.version,
        row.created_at,
        row.updated_at,
        row.signed_in_set_changed_at,
        row.secret.0,
        predecessor.map(|old| old.secret.0),
        predecessor.map(|old| old.rotated_at),
        predecessor.map(|old| old.good_until),
        row.last_active_session_id,
        row.last_authentication_strategy.clone(),
        row.sign_in_id,
        row.sign_up_id,
        row.last_origin.clone(),
    ];
    Step::one(statement, params)
}
