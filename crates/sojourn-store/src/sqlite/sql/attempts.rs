//! Attempts to sign in and to sign up, and handshakes: documents with an end.

use rusqlite::{Connection, params};
use sojourn_core::{
    handshake::Handshake,
    id::{InstanceId, SignInId, SignUpId},
    sign_in::SignIn,
    sign_up::SignUp,
};

use super::{document, first, json, run, signed, statements};
use crate::engine::StoreError;

statements! { "attempts";
    SIGN_IN = "SELECT document FROM sign_ins WHERE instance_id = $1 AND id = $2";
    INSERT_SIGN_IN = "INSERT INTO sign_ins (instance_id, id, version, over_at, document) VALUES ($1, $2, $3 + 1, $4, $5) ON CONFLICT DO NOTHING";
    UPDATE_SIGN_IN = "UPDATE sign_ins SET version = $3 + 1, over_at = $4, document = $5 WHERE instance_id = $1 AND id = $2 AND version = $3";
    SIGN_UP = "SELECT document FROM sign_ups WHERE instance_id = $1 AND id = $2";
    INSERT_SIGN_UP = "INSERT INTO sign_ups (instance_id, id, version, over_at, document) VALUES ($1, $2, $3 + 1, $4, $5) ON CONFLICT DO NOTHING";
    UPDATE_SIGN_UP = "UPDATE sign_ups SET version = $3 + 1, over_at = $4, document = $5 WHERE instance_id = $1 AND id = $2 AND version = $3";
    HANDSHAKE = "SELECT document FROM handshakes WHERE instance_id = $1 AND nonce = $2";
    INSERT_HANDSHAKE = "INSERT INTO handshakes (instance_id, nonce, over_at, document) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
}

pub(in crate::sqlite) fn sign_in(
    db: &Connection,
    instance: InstanceId,
    id: SignInId,
) -> Result<Option<SignIn>, StoreError> {
    first(db, &SIGN_IN, [instance.to_string(), id.to_string()], |row| document(row, 0))
}

/// Writes the row if its version is the stored one.
pub(in crate::sqlite) fn put_sign_in(
    db: &Connection,
    instance: InstanceId,
    row: &SignIn,
) -> Result<usize, StoreError> {
    let statement = if row.version == 0 { &INSERT_SIGN_IN } else { &UPDATE_SIGN_IN };
    let stored = SignIn { version: row.version + 1, ..row.clone() };
    let params = params![
        instance.to_string(),
        row.id.to_string(),
        signed(row.version),
        row.abandon_at().as_millis(),
        json("sign_ins", &stored)?,
    ];
    run(db, statement, params)
}

pub(in crate::sqlite) fn sign_up(
    db: &Connection,
    instance: InstanceId,
    id: SignUpId,
) -> Result<Option<SignUp>, StoreError> {
    first(db, &SIGN_UP, [instance.to_string(), id.to_string()], |row| document(row, 0))
}

/// Writes the row if its version is the stored one.
pub(in crate::sqlite) fn put_sign_up(
    db: &Connection,
    instance: InstanceId,
    row: &SignUp,
) -> Result<usize, StoreError> {
    let statement = if row.version == 0 { &INSERT_SIGN_UP } else { &UPDATE_SIGN_UP };
    let stored = SignUp { version: row.version + 1, ..row.clone() };
    let params = params![
        instance.to_string(),
        row.id.to_string(),
        signed(row.version),
        row.abandon_at().as_millis(),
        json("sign_ups", &stored)?,
    ];
    run(db, statement, params)
}

pub(in crate::sqlite) fn handshake(
    db: &Connection,
    instance: InstanceId,
    nonce: [u8; 32],
) -> Result<Option<Handshake>, StoreError> {
    first(db, &HANDSHAKE, params![instance.to_string(), nonce], |row| document(row, 0))
}

pub(in crate::sqlite) fn insert_handshake(
    db: &Connection,
    instance: InstanceId,
    nonce: [u8; 32],
    row: &Handshake,
) -> Result<usize, StoreError> {
    let document = json("handshakes", row)?;
    let params = params![instance.to_string(), nonce, row.expires_at.as_millis(), document];
    run(db, &INSERT_HANDSHAKE, params)
}
