//! Clients.

use sojourn_core::{
    client::{Client, Predecessor, SecretHash},
    id::{ClientId, InstanceId},
};

use super::{
    row::{Row, Unreadable, hash, number, parsed, parsed_if_any, text_if_any, time},
    statement::{Query, Statement, columns, statements},
    value::params,
};

columns! { client_columns, column:
    ID "id";
    VERSION "version";
    CREATED_AT "created_at";
    UPDATED_AT "updated_at";
    SIGNED_IN_SET_CHANGED_AT "signed_in_set_changed_at";
    SECRET "secret";
    PREDECESSOR_SECRET "predecessor_secret";
    PREDECESSOR_ROTATED_AT "predecessor_rotated_at";
    PREDECESSOR_GOOD_UNTIL "predecessor_good_until";
    LAST_ACTIVE_SESSION_ID "last_active_session_id";
    LAST_AUTHENTICATION_STRATEGY "last_authentication_strategy";
    SIGN_IN_ID "sign_in_id";
    SIGN_UP_ID "sign_up_id";
    LAST_ORIGIN "last_origin";
}

statements! { "clients";
    CLIENT = both concat!("SELECT ", client_columns!(), " FROM clients WHERE instance_id = $1 AND id = $2");
    INSERT_CLIENT = both "
            INSERT INTO clients (instance_id, id, version, created_at, updated_at,
                signed_in_set_changed_at, secret, predecessor_secret, predecessor_rotated_at,
                predecessor_good_until, last_active_session_id, last_authentication_strategy,
                sign_in_id, sign_up_id, last_origin)
            VALUES ($1, $2, CAST($3 AS BIGINT) + 1, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
                $14, $15)
            ON CONFLICT DO NOTHING";
    UPDATE_CLIENT = both "
            UPDATE clients
            SET version = version + 1, created_at = $4, updated_at = $5,
                signed_in_set_changed_at = $6, secret = $7, predecessor_secret = $8,
                predecessor_rotated_at = $9, predecessor_good_until = $10,
                last_active_session_id = $11, last_authentication_strategy = $12, sign_in_id = $13,
                sign_up_id = $14, last_origin = $15
            WHERE instance_id = $1 AND id = $2 AND version = $3";
}

fn client(row: &dyn Row) -> Result<Client, Unreadable> {
    let predecessor = match row.bytes(column::PREDECESSOR_SECRET)? {
        Some(_) => Some(Predecessor {
            secret: SecretHash(hash(row, column::PREDECESSOR_SECRET)?),
            rotated_at: time(row, column::PREDECESSOR_ROTATED_AT)?,
            good_until: time(row, column::PREDECESSOR_GOOD_UNTIL)?,
        }),
        None => None,
    };
    Ok(Client {
        id: parsed(row, column::ID)?,
        version: number(row, column::VERSION)?,
        created_at: time(row, column::CREATED_AT)?,
        updated_at: time(row, column::UPDATED_AT)?,
        signed_in_set_changed_at: time(row, column::SIGNED_IN_SET_CHANGED_AT)?,
        secret: SecretHash(hash(row, column::SECRET)?),
        predecessor,
        last_active_session_id: parsed_if_any(row, column::LAST_ACTIVE_SESSION_ID)?,
        last_authentication_strategy: text_if_any(row, column::LAST_AUTHENTICATION_STRATEGY)?,
        sign_in_id: parsed_if_any(row, column::SIGN_IN_ID)?,
        sign_up_id: parsed_if_any(row, column::SIGN_UP_ID)?,
        last_origin: text_if_any(row, column::LAST_ORIGIN)?,
    })
}

pub(crate) fn get(instance: InstanceId, id: ClientId) -> Query<Client, 2> {
    Query { sql: &CLIENT, params: params![instance, id], read: client }
}

/// Writes the row if the stored version is `row.version`.
pub(crate) fn put(instance: InstanceId, row: &Client) -> Statement {
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
    Statement::one(statement, params)
}
