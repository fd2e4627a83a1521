//! Stored responses to creations with an `Idempotency-Key`.

use sojourn_core::{id::InstanceId, time::Timestamp};

use super::{
    row::{Row, document, hash, time},
    statement::{Command, Query, Statement, columns, json, statements},
    value::params,
};
use crate::{error::StoreError, records::IdempotencyKey};

columns! { key_columns, column:
    KEY_HASH "key_hash";
    REQUEST_HASH "request_hash";
    ANSWER "answer";
    CREATED_AT "created_at";
}

statements! { "idempotency_keys";
    IDEMPOTENCY_KEY = both concat!("SELECT ", key_columns!(), "
            FROM idempotency_keys WHERE instance_id = $1 AND key_hash = $2");
    INSERT_IDEMPOTENCY_KEY = both "
            INSERT INTO idempotency_keys (instance_id, key_hash, request_hash, answer, created_at)
            VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT DO NOTHING";
    PURGE_IDEMPOTENCY_KEYS = both "
            DELETE FROM idempotency_keys
            WHERE instance_id = $1 AND key_hash IN (
                SELECT key_hash
                FROM idempotency_keys
                WHERE instance_id = $1 AND created_at <= $2
                ORDER BY created_at
                LIMIT $3
            )";
}

pub(crate) fn get(instance: InstanceId, key_hash: [u8; 32]) -> Query<IdempotencyKey, 2> {
    let read = |row: &dyn Row| {
        Ok(IdempotencyKey {
            key_hash: hash(row, column::KEY_HASH)?,
            request_hash: hash(row, column::REQUEST_HASH)?,
            answer: document(row, column::ANSWER)?,
            created_at: time(row, column::CREATED_AT)?,
        })
    };
    Query { sql: &IDEMPOTENCY_KEY, params: params![instance, key_hash], read }
}

/// Inserts a key, which must not exist.
pub(crate) fn insert(instance: InstanceId, key: &IdempotencyKey) -> Result<Statement, StoreError> {
    let answer = json("idempotency_keys", &key.answer)?;
    let params = params![instance, key.key_hash, key.request_hash, answer, key.created_at];
    Ok(Statement::one(&INSERT_IDEMPOTENCY_KEY, params))
}

/// Deletes up to `limit` keys that were created at `before` or earlier.
pub(crate) fn purge(instance: InstanceId, before: Timestamp, limit: u32) -> Command<3> {
    Command { sql: &PURGE_IDEMPOTENCY_KEYS, params: params![instance, before, limit] }
}
