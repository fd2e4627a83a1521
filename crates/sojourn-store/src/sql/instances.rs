//! Instances, their keys and their settings.

use sojourn_core::{id::InstanceId, settings::Settings, time::Timestamp};

use super::{
    row::{
        Row, Unreadable, bytes, document, hash, number, parsed, text, text_if_any, time, time_if_any, word,
    },
    statement::{ExpectedRows, Query, Statement, columns, json, statements},
    value::params,
};
use crate::{
    error::StoreError,
    records::{Environment, Instance, SecretKey, SigningKey},
};

columns! { instance_columns, of_instance:
    ID "id";
    ENVIRONMENT "environment";
    HOST "host";
    CREATED_AT "created_at";
}

columns! { signing_key_columns, of_signing_key:
    KID "kid";
    SEALED_PRIVATE_KEY "sealed_private_key";
    CREATED_AT "created_at";
}

columns! { secret_key_columns, of_secret_key:
    HASH "hash";
    NAME "name";
    CREATED_AT "created_at";
    LAST_USED_AT "last_used_at";
    REVOKED_AT "revoked_at";
}

columns! { newest_columns, of_newest:
    VERSION "version";
    IN_FORCE_FROM "in_force_from";
}

columns! { settings_columns, of_settings:
    DOCUMENT "document";
    IN_FORCE_FROM "in_force_from";
}

statements! { "instances";
    ALL_INSTANCES = both concat!("SELECT ", instance_columns!(), " FROM instances ORDER BY created_at, id");
    // SQLite has a single writer. In PostgreSQL this is the only row of an empty database, so it
    // serves as the lock.
    LOCK_SCHEMA = postgres "SELECT 1 FROM schema_version WHERE id = 1 FOR UPDATE";
    INSTANCE_EXISTS = both "SELECT 1 FROM instances WHERE id = $1";
    INSERT_INSTANCE = both "
            INSERT INTO instances (id, environment, host, created_at)
            VALUES ($1, $2, $3, $4)
            ON CONFLICT DO NOTHING";
    SIGNING_KEYS = both concat!("SELECT ", signing_key_columns!(), "
            FROM signing_keys WHERE instance_id = $1 ORDER BY created_at, kid");
    INSERT_SIGNING_KEY = both "
            INSERT INTO signing_keys (instance_id, kid, sealed_private_key, created_at)
            VALUES ($1, $2, $3, $4)
            ON CONFLICT DO NOTHING";
    SECRET_KEYS = both concat!("SELECT ", secret_key_columns!(), "
            FROM secret_keys WHERE instance_id = $1 ORDER BY created_at, hash");
    SECRET_KEY = both concat!("SELECT ", secret_key_columns!(), "
            FROM secret_keys WHERE instance_id = $1 AND hash = $2");
    INSERT_SECRET_KEY = both "
            INSERT INTO secret_keys (instance_id, hash, name, created_at)
            VALUES ($1, $2, $3, $4)
            ON CONFLICT DO NOTHING";
    // Two concurrent revocations of different keys must not leave the instance without a key:
    // PostgreSQL locks the keys that remain.
    ANOTHER_SECRET_KEY =
        sqlite "SELECT 1 FROM secret_keys WHERE instance_id = $1 AND hash <> $2 AND revoked_at IS NULL",
        postgres "
            SELECT 1
            FROM secret_keys
            WHERE instance_id = $1 AND hash <> $2 AND revoked_at IS NULL
            FOR UPDATE";
    REVOKE_SECRET_KEY = both "
            UPDATE secret_keys
            SET revoked_at = $3
            WHERE instance_id = $1 AND hash = $2 AND revoked_at IS NULL";
    USE_SECRET_KEY = both "
            UPDATE secret_keys
            SET last_used_at = $3
            WHERE instance_id = $1 AND hash = $2 AND (last_used_at IS NULL OR last_used_at < $3)";
    NEWEST_SETTINGS = both concat!("SELECT ", newest_columns!(), "
            FROM settings WHERE instance_id = $1 ORDER BY version DESC LIMIT 1");
    // One row if $2 is the newest version, or if $2 is 0 and there are no settings.
    NEWEST_SETTINGS_ARE = both "
            SELECT MAX(version)
            FROM settings
            WHERE instance_id = $1
            HAVING COALESCE(MAX(version), 0) = $2";
    // SQLite has a single writer. PostgreSQL reads the newest version only after it holds a lock on
    // the row that a writer of the next version locks exclusively.
    SHARE_SETTINGS = postgres "SELECT 1 FROM settings WHERE instance_id = $1 AND version = $2 FOR SHARE";
    LOCK_SETTINGS = postgres "SELECT 1 FROM settings WHERE instance_id = $1 AND version = $2 FOR UPDATE";
    ALL_SETTINGS = both concat!("SELECT ", settings_columns!(), "
            FROM settings WHERE instance_id = $1 ORDER BY version");
    INSERT_SETTINGS = both "
            INSERT INTO settings (instance_id, version, document, in_force_from)
            VALUES ($1, $2, $3, $4)
            ON CONFLICT DO NOTHING";
}

fn environment(word: &str) -> Option<Environment> {
    [Environment::Development, Environment::Production]
        .into_iter()
        .find(|environment| environment.as_str() == word)
}

fn instance(row: &dyn Row) -> Result<Instance, Unreadable> {
    Ok(Instance {
        id: parsed(row, of_instance::ID)?,
        environment: word(row, of_instance::ENVIRONMENT, environment)?,
        host: text(row, of_instance::HOST)?.to_owned(),
        created_at: time(row, of_instance::CREATED_AT)?,
    })
}

pub(crate) fn all() -> Query<Instance, 0> {
    Query { sql: &ALL_INSTANCES, params: [], read: instance }
}

/// No instance may exist until the commit.
pub(crate) fn expect_none() -> [Statement; 2] {
    let none = Statement { sql: &ALL_INSTANCES, params: Vec::new(), expected_rows: ExpectedRows::None };
    [Statement::any(&LOCK_SCHEMA, params![]), none]
}

/// The instance must exist.
pub(crate) fn expect(id: InstanceId) -> Statement {
    Statement::one(&INSTANCE_EXISTS, params![id])
}

pub(crate) fn insert(row: &Instance) -> Statement {
    let Instance { id, environment, host, created_at } = row;
    Statement::one(&INSERT_INSTANCE, params![*id, environment.as_str(), host, *created_at])
}

pub(crate) fn signing_keys(instance: InstanceId) -> Query<SigningKey, 1> {
    let read = |row: &dyn Row| {
        Ok(SigningKey {
            kid: text(row, of_signing_key::KID)?.to_owned(),
            sealed_private_key: bytes(row, of_signing_key::SEALED_PRIVATE_KEY)?.to_owned(),
            created_at: time(row, of_signing_key::CREATED_AT)?,
        })
    };
    Query { sql: &SIGNING_KEYS, params: params![instance], read }
}

pub(crate) fn insert_signing_key(instance: InstanceId, key: &SigningKey) -> Statement {
    let SigningKey { kid, sealed_private_key, created_at } = key;
    Statement::one(&INSERT_SIGNING_KEY, params![instance, kid, sealed_private_key.clone(), *created_at])
}

fn key(row: &dyn Row) -> Result<SecretKey, Unreadable> {
    Ok(SecretKey {
        hash: hash(row, of_secret_key::HASH)?,
        name: text_if_any(row, of_secret_key::NAME)?,
        created_at: time(row, of_secret_key::CREATED_AT)?,
        last_used_at: time_if_any(row, of_secret_key::LAST_USED_AT)?,
        revoked_at: time_if_any(row, of_secret_key::REVOKED_AT)?,
    })
}

/// Including revoked ones, oldest first.
pub(crate) fn secret_keys(instance: InstanceId) -> Query<SecretKey, 1> {
    Query { sql: &SECRET_KEYS, params: params![instance], read: key }
}

pub(crate) fn secret_key(instance: InstanceId, sha256: [u8; 32]) -> Query<SecretKey, 2> {
    Query { sql: &SECRET_KEY, params: params![instance, sha256], read: key }
}

pub(crate) fn insert_secret_key(instance: InstanceId, key: &SecretKey) -> Statement {
    Statement::one(&INSERT_SECRET_KEY, params![instance, key.hash, key.name.clone(), key.created_at])
}

/// Revokes a key if another valid one exists.
pub(crate) fn revoke_secret_key(instance: InstanceId, sha256: [u8; 32], wall: Timestamp) -> [Statement; 2] {
    let another = Statement::one(&ANOTHER_SECRET_KEY, params![instance, sha256]);
    [another, Statement::one(&REVOKE_SECRET_KEY, params![instance, sha256, wall])]
}

/// Records the use of a key; the later time wins.
pub(crate) fn secret_key_used(instance: InstanceId, sha256: [u8; 32], wall: Timestamp) -> Statement {
    Statement::any(&USE_SECRET_KEY, params![instance, sha256, wall])
}

/// The newest settings: the version, and the time from which it is in force. A reset of the test
/// clock changes the time but not the version.
pub(crate) type Newest = (u64, Option<Timestamp>);

pub(crate) fn newest_settings(instance: InstanceId) -> Query<Newest, 1> {
    let read =
        |row: &dyn Row| Ok((number(row, of_newest::VERSION)?, time_if_any(row, of_newest::IN_FORCE_FROM)?));
    Query { sql: &NEWEST_SETTINGS, params: params![instance], read }
}

/// All versions, oldest first.
pub(crate) fn settings(instance: InstanceId) -> Query<Settings, 1> {
    let read = |row: &dyn Row| {
        let settings: Settings = document(row, of_settings::DOCUMENT)?;
        let in_force_from = time_if_any(row, of_settings::IN_FORCE_FROM)?.unwrap_or(settings.in_force_from);
        Ok(Settings { in_force_from, ..settings })
    };
    Query { sql: &ALL_SETTINGS, params: params![instance], read }
}

/// `version` must be the newest settings version until the commit. `alone` locks it exclusively,
/// for a set that adds the next version.
pub(crate) fn expect_settings(instance: InstanceId, version: u64, alone: bool) -> [Statement; 2] {
    let lock = if alone { &LOCK_SETTINGS } else { &SHARE_SETTINGS };
    let params = params![instance, version];
    [Statement::any(lock, params.clone()), Statement::one(&NEWEST_SETTINGS_ARE, params)]
}

/// Inserts the next version.
pub(crate) fn insert_settings(instance: InstanceId, settings: &Settings) -> Result<Statement, StoreError> {
    let document = json("settings", settings)?;
    Ok(Statement::one(
        &INSERT_SETTINGS,
        params![instance, settings.version, document, settings.in_force_from],
    ))
}
