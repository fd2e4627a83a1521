//! Sign-in attempts, sign-up attempts and handshakes: JSON documents with an end time.

use sojourn_core::{
    handshake::Handshake,
    id::{ClientId, InstanceId, SignInId, SignUpId},
    sign_in::SignIn,
    sign_up::SignUp,
};

use super::{
    row::only_document,
    statement::{Query, Statement, json, statements},
    value::params,
};
use crate::error::StoreError;

statements! { "attempts";
    SIGN_IN = both "SELECT document FROM sign_ins WHERE instance_id = $1 AND id = $2";
    // SQLite reads each row by its id, in the same process; PostgreSQL selects by client, to save a
    // round trip.
    SIGN_IN_OF_CLIENT = postgres "
            SELECT a.document
            FROM clients c
            JOIN sign_ins a ON a.instance_id = c.instance_id AND a.id = c.sign_in_id
            WHERE c.instance_id = $1 AND c.id = $2";
    INSERT_SIGN_IN = both "
            INSERT INTO sign_ins (instance_id, id, version, over_at, document)
            VALUES ($1, $2, CAST($3 AS BIGINT) + 1, $4, $5)
            ON CONFLICT DO NOTHING";
    UPDATE_SIGN_IN = both "
            UPDATE sign_ins
            SET version = version + 1, over_at = $4, document = $5
            WHERE instance_id = $1 AND id = $2 AND version = $3";
    SIGN_UP = both "SELECT document FROM sign_ups WHERE instance_id = $1 AND id = $2";
    SIGN_UP_OF_CLIENT = postgres "
            SELECT a.document
            FROM clients c
            JOIN sign_ups a ON a.instance_id = c.instance_id AND a.id = c.sign_up_id
            WHERE c.instance_id = $1 AND c.id = $2";
    INSERT_SIGN_UP = both "
            INSERT INTO sign_ups (instance_id, id, version, over_at, document)
            VALUES ($1, $2, CAST($3 AS BIGINT) + 1, $4, $5)
            ON CONFLICT DO NOTHING";
    UPDATE_SIGN_UP = both "
            UPDATE sign_ups
            SET version = version + 1, over_at = $4, document = $5
            WHERE instance_id = $1 AND id = $2 AND version = $3";
    HANDSHAKE = both "SELECT document FROM handshakes WHERE instance_id = $1 AND nonce = $2";
    INSERT_HANDSHAKE = both "
            INSERT INTO handshakes (instance_id, nonce, over_at, document)
            VALUES ($1, $2, $3, $4)
            ON CONFLICT DO NOTHING";
}

pub(crate) fn sign_in(instance: InstanceId, id: SignInId) -> Query<SignIn, 2> {
    Query { sql: &SIGN_IN, params: params![instance, id], read: only_document }
}

pub(crate) fn sign_in_of_client(instance: InstanceId, client: ClientId) -> Query<SignIn, 2> {
    Query { sql: &SIGN_IN_OF_CLIENT, params: params![instance, client], read: only_document }
}

/// Writes the row if the stored version is `row.version`.
pub(crate) fn put_sign_in(instance: InstanceId, row: &SignIn) -> Result<Statement, StoreError> {
    let statement = if row.version == 0 { &INSERT_SIGN_IN } else { &UPDATE_SIGN_IN };
    let stored = SignIn { version: row.version + 1, ..row.clone() };
    let document = json("sign_ins", &stored)?;
    Ok(Statement::one(statement, params![instance, row.id, row.version, row.abandon_at(), document]))
}

pub(crate) fn sign_up(instance: InstanceId, id: SignUpId) -> Query<SignUp, 2> {
    Query { sql: &SIGN_UP, params: params![instance, id], read: only_document }
}

pub(crate) fn sign_up_of_client(instance: InstanceId, client: ClientId) -> Query<SignUp, 2> {
    Query { sql: &SIGN_UP_OF_CLIENT, params: params![instance, client], read: only_document }
}

/// Writes the row if the stored version is `row.version`.
pub(crate) fn put_sign_up(instance: InstanceId, row: &SignUp) -> Result<Statement, StoreError> {
    let statement = if row.version == 0 { &INSERT_SIGN_UP } else { &UPDATE_SIGN_UP };
    let stored = SignUp { version: row.version + 1, ..row.clone() };
    let document = json("sign_ups", &stored)?;
    Ok(Statement::one(statement, params![instance, row.id, row.version, row.abandon_at(), document]))
}

pub(crate) fn handshake(instance: InstanceId, nonce: [u8; 32]) -> Query<Handshake, 2> {
    Query { sql: &HANDSHAKE, params: params![instance, nonce], read: only_document }
}

pub(crate) fn insert_handshake(
    instance: InstanceId,
    nonce: [u8; 32],
    row: &Handshake,
) -> Result<Statement, StoreError> {
    let document = json("handshakes", row)?;
    Ok(Statement::one(&INSERT_HANDSHAKE, params![instance, nonce, row.expires_at, document]))
}
