//! The keys of an instance: those that sign tokens, and the secret keys of applications.

use sojourn_core::{id::InstanceId, signing_key::SigningKeyTimes, time::Timestamp};

use super::{
    row::{Row, Unreadable, bytes, hash, text, text_if_any, time, time_if_any, word},
    statement::{Query, Statement, columns, statements},
    value::params,
};
use crate::records::{SecretKey, SecretKeyRole, SigningKey};

columns! { signing_key_columns, of_signing_key:
    KID "kid";
    SEALED_PRIVATE_KEY "sealed_private_key";
    CREATED_AT "created_at";
    SIGNS_FROM "signs_from";
    PUBLISHED_UNTIL "published_until";
}

columns! { secret_key_columns, of_secret_key:
    HASH "hash";
    NAME "name";
    ROLE "role";
    CREATED_AT "created_at";
    EXPIRES_AT "expires_at";
    LAST_USED_AT "last_used_at";
    REVOKED_AT "revoked_at";
}

statements! { "keys";
    SIGNING_KEYS = both concat!("SELECT ", signing_key_columns!(), "
            FROM signing_keys WHERE instance_id = $1 ORDER BY created_at, kid");
    INSERT_SIGNING_KEY = both "
            INSERT INTO signing_keys
                (instance_id, kid, sealed_private_key, created_at, signs_from, published_until)
            VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT DO NOTHING";
    // Of two rotations that read the same keys, the second finds another time here.
    WITHDRAW_SIGNING_KEY = both "
            UPDATE signing_keys
            SET published_until = $3
            WHERE instance_id = $1 AND kid = $2 AND COALESCE(published_until, 0) = $4";
    RESEAL_SIGNING_KEY = both "
            UPDATE signing_keys
            SET sealed_private_key = $3
            WHERE instance_id = $1 AND kid = $2";
    SECRET_KEYS = both concat!("SELECT ", secret_key_columns!(), "
            FROM secret_keys WHERE instance_id = $1 ORDER BY created_at, hash");
    SECRET_KEY = both concat!("SELECT ", secret_key_columns!(), "
            FROM secret_keys WHERE instance_id = $1 AND hash = $2");
    INSERT_SECRET_KEY = both "
            INSERT INTO secret_keys (instance_id, hash, name, role, created_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT DO NOTHING";
    // A key is revoked only if another one is left that can create keys. PostgreSQL locks
    // those that are left, so that two transactions do not revoke the last two.
    ANOTHER_SECRET_KEY =
        sqlite "
            SELECT 1
            FROM secret_keys
            WHERE instance_id = $1 AND hash <> $2 AND revoked_at IS NULL
                AND role = 'full' AND (expires_at IS NULL OR expires_at > $3)",
        postgres "
            SELECT 1
            FROM secret_keys
            WHERE instance_id = $1 AND hash <> $2 AND revoked_at IS NULL
                AND role = 'full' AND (expires_at IS NULL OR expires_at > $3)
            FOR UPDATE";
    REVOKE_SECRET_KEY = both "
            UPDATE secret_keys
            SET revoked_at = $3
            WHERE instance_id = $1 AND hash = $2 AND revoked_at IS NULL";
    USE_SECRET_KEY = both "
            UPDATE secret_keys
            SET last_used_at = $3
            WHERE instance_id = $1 AND hash = $2 AND (last_used_at IS NULL OR last_used_at < $3)";
}

/// All signing keys, oldest first.
pub(crate) fn signing_keys(instance: InstanceId) -> Query<SigningKey, 1> {
    let read = |row: &dyn Row| {
        let created_at = time(row, of_signing_key::CREATED_AT)?;
        Ok(SigningKey {
            kid: text(row, of_signing_key::KID)?.to_owned(),
            sealed_private_key: bytes(row, of_signing_key::SEALED_PRIVATE_KEY)?.to_owned(),
            times: SigningKeyTimes {
                created_at,
                // Absent in rows from before migration 0006: there was one key, and it signed.
                signs_from: time_if_any(row, of_signing_key::SIGNS_FROM)?.unwrap_or(created_at),
                published_until: time_if_any(row, of_signing_key::PUBLISHED_UNTIL)?,
            },
        })
    };
    Query { sql: &SIGNING_KEYS, params: params![instance], read }
}

pub(crate) fn insert_signing_key(instance: InstanceId, key: &SigningKey) -> Statement {
    let SigningKey { kid, sealed_private_key, times } = key;
    let SigningKeyTimes { created_at, signs_from, published_until } = *times;
    let sealed = sealed_private_key.clone();
    Statement::one(
        &INSERT_SIGNING_KEY,
        params![instance, kid, sealed, created_at, signs_from, published_until],
    )
}

/// Sets when a key leaves the key set, if that is still set to `before`.
pub(crate) fn withdraw_signing_key(
    instance: InstanceId,
    kid: &str,
    until: Timestamp,
    before: Option<Timestamp>,
) -> Statement {
    let before = before.unwrap_or(Timestamp::from_millis(0));
    Statement::one(&WITHDRAW_SIGNING_KEY, params![instance, kid.to_owned(), until, before])
}

/// Replaces the sealed private key by the same one under another master key.
pub(crate) fn reseal_signing_key(instance: InstanceId, kid: &str, sealed: &[u8]) -> Statement {
    Statement::one(&RESEAL_SIGNING_KEY, params![instance, kid.to_owned(), sealed.to_owned()])
}

fn key(row: &dyn Row) -> Result<SecretKey, Unreadable> {
    Ok(SecretKey {
        hash: hash(row, of_secret_key::HASH)?,
        name: text_if_any(row, of_secret_key::NAME)?,
        role: word(row, of_secret_key::ROLE, SecretKeyRole::from_word)?,
        created_at: time(row, of_secret_key::CREATED_AT)?,
        expires_at: time_if_any(row, of_secret_key::EXPIRES_AT)?,
        last_used_at: time_if_any(row, of_secret_key::LAST_USED_AT)?,
        revoked_at: time_if_any(row, of_secret_key::REVOKED_AT)?,
    })
}

/// All secret keys, oldest first.
pub(crate) fn secret_keys(instance: InstanceId) -> Query<SecretKey, 1> {
    Query { sql: &SECRET_KEYS, params: params![instance], read: key }
}

pub(crate) fn secret_key(instance: InstanceId, sha256: [u8; 32]) -> Query<SecretKey, 2> {
    Query { sql: &SECRET_KEY, params: params![instance, sha256], read: key }
}

pub(crate) fn insert_secret_key(instance: InstanceId, key: &SecretKey) -> Statement {
    let SecretKey { hash, name, role, created_at, expires_at, last_used_at: _, revoked_at: _ } = key;
    Statement::one(
        &INSERT_SECRET_KEY,
        params![instance, *hash, name.clone(), role.as_str(), *created_at, *expires_at],
    )
}

/// Revokes a key, if another one is left that can create keys.
pub(crate) fn revoke_secret_key(instance: InstanceId, sha256: [u8; 32], wall: Timestamp) -> [Statement; 2] {
    let another = Statement::one(&ANOTHER_SECRET_KEY, params![instance, sha256, wall]);
    [another, Statement::one(&REVOKE_SECRET_KEY, params![instance, sha256, wall])]
}

/// Records that a key was used; the later time wins.
pub(crate) fn secret_key_used(instance: InstanceId, sha256: [u8; 32], wall: Timestamp) -> Statement {
    Statement::any(&USE_SECRET_KEY, params![instance, sha256, wall])
}
