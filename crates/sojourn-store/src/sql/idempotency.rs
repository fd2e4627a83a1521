//! Answers of creations that were asked for with an `Idempotency-Key`.

use sojourn_core::{id::InstanceId, time::Timestamp};

use super::{
    Change, Load, Step, json, params,
    row::{document, hash, time},
    statements,
};
use crate::{error::StoreError, records::IdempotencyKey};

statements! { "idempotency_keys";
    IDEMPOTENCY_KEY = "SELECT key_hash, request_hash, answer, created_at FROM idempotency_keys WHERE instance_id = $1 AND key_hash = $2";
    INSERT_IDEMPOTENCY_KEY = "INSERT INTO idempotency_keys (instance_id, key_hash, request_hash, answer, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    PURGE_IDEMPOTENCY_KEYS = "DELETE FROM idempotency_keys WHERE instance_id = $1 AND key_hash IN (SELECT key_hash FROM idempotency_keys WHERE instance_id = $1 AND created_at <= $2 ORDER BY created_at LIMIT $3)";
}

pub(crate) fn get(instance: InstanceId, key_hash: [u8; 32]) -> Load<IdempotencyKey, 2> {
    let read = |row: &dyn super::Row| {
        Ok(IdempotencyKey {
            key_hash: hash(row, 0)?,
            request_hash: hash(row, 1)?,
            answer: document(row, 2)?,
            created_at: time(row, 3)?,
        })
    };
    Load { sql: &IDEMPOTENCY_KEY, params: params![instance, key_hash], read }
}

/// A new key, which has to be free.
pub(crate) fn insert(instance: InstanceId, key: &IdempotencyKey) -> Result<Step, StoreError> {
    let answer = json("idempotency_keys", &key.answer)?;
    let params = params![instance, key.key_hash, key.request_hash, answer, key.created_at];
    Ok(Step::one(&INSERT_IDEMPOTENCY_KEY, params))
}

/// Removes up to `limit` keys that are from `before` or earlier.
pub(crate) fn purge(instance: InstanceId, before: Timestamp, limit: u32) -> Change<3> {
    Change { sql: &PURGE_IDEMPOTENCY_KEYS, params: params![instance, before, limit] }
}
