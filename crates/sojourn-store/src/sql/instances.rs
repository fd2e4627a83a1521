//! Instances, their keys and their settings.

use sojourn_core::{id::InstanceId, settings::Settings, time::Timestamp};

use super::{
    Load, Row, Step, Unreadable, Want, json, params,
    row::{bytes, document, hash, number, parsed, text, text_if_any, time, time_if_any, word},
    statements,
};
use crate::{
    error::StoreError,
    records::{Environment, Instance, SecretKey, SigningKey},
};

statements! { "instances";
    ALL_INSTANCES = "SELECT id, environment, host, created_at FROM instances ORDER BY created_at, id";
    // SQLite has one writer. In PostgreSQL this is the one row that an empty database has.
    LOCK_SCHEMA = postgres "SELECT 1 FROM schema_version WHERE id = 1 FOR UPDATE";
    INSTANCE_EXISTS = "SELECT 1 FROM instances WHERE id = $1";
    INSERT_INSTANCE = "INSERT INTO instances (id, environment, host, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    SIGNING_KEYS = "SELECT kid, sealed_private_key, created_at FROM signing_keys WHERE instance_id = $1 ORDER BY created_at, kid";
    INSERT_SIGNING_KEY = "INSERT INTO signing_keys (instance_id, kid, sealed_private_key, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    SECRET_KEYS = "SELECT hash, name, created_at, last_used_at, revoked_at FROM secret_keys WHERE instance_id = $1 ORDER BY created_at, hash";
    SECRET_KEY = "SELECT hash, name, created_at, last_used_at, revoked_at FROM secret_keys WHERE instance_id = $1 AND hash = $2";
    INSERT_SECRET_KEY = "INSERT INTO secret_keys (instance_id, hash, name, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    // Of two that take back one key each, none may be left with nothing: PostgreSQL
    // holds the keys that are meant to stay.
    ANOTHER_SECRET_KEY = sqlite "SELECT 1 FROM secret_keys WHERE instance_id = $1 AND hash <> $2 AND revoked_at IS NULL" postgres "SELECT 1 FROM secret_keys WHERE instance_id = $1 AND hash <> $2 AND revoked_at IS NULL FOR UPDATE";
    REVOKE_SECRET_KEY = "UPDATE secret_keys SET revoked_at = $3 WHERE instance_id = $1 AND hash = $2 AND revoked_at IS NULL";
    USE_SECRET_KEY = "UPDATE secret_keys SET last_used_at = $3 WHERE instance_id = $1 AND hash = $2 AND (last_used_at IS NULL OR last_used_at < $3)";
    NEWEST_SETTINGS = "SELECT version, in_force_from FROM settings WHERE instance_id = $1 ORDER BY version DESC LIMIT 1";
    // A row where the number is that of the newest, or 0 and there are none.
    NEWEST_SETTINGS_ARE = "SELECT MAX(version) FROM settings WHERE instance_id = $1 HAVING COALESCE(MAX(version), 0) = $2";
    // SQLite has one writer. PostgreSQL asks for the newest only after it holds the row
    // that whoever adds the next has to hold alone.
    SHARE_SETTINGS = postgres "SELECT 1 FROM settings WHERE instance_id = $1 AND version = $2 FOR SHARE";
    LOCK_SETTINGS = postgres "SELECT 1 FROM settings WHERE instance_id = $1 AND version = $2 FOR UPDATE";
    ALL_SETTINGS = "SELECT document, in_force_from FROM settings WHERE instance_id = $1 ORDER BY version";
    INSERT_SETTINGS = "INSERT INTO settings (instance_id, version, document, in_force_from) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
}

fn environment(word: &str) -> Option<Environment> {
    [Environment::Development, Environment::Production]
        .into_iter()
        .find(|environment| environment.as_str() == word)
}

fn instance(row: &dyn Row) -> Result<Instance, Unreadable> {
    Ok(Instance {
        id: parsed(row, 0)?,
        environment: word(row, 1, environment)?,
        host: text(row, 2)?.to_owned(),
        created_at: time(row, 3)?,
    })
}

pub(crate) fn all() -> Load<Instance, 0> {
    Load { sql: &ALL_INSTANCES, params: [], read: instance }
}

/// There must be none, and none may come until the commit.
pub(crate) fn expect_none() -> [Step; 2] {
    let none = Step { sql: &ALL_INSTANCES, params: Vec::new(), want: Want::None };
    [Step::any(&LOCK_SCHEMA, params![]), none]
}

/// The instance has to be there.
pub(crate) fn expect(id: InstanceId) -> Step {
    Step::one(&INSTANCE_EXISTS, params![id])
}

pub(crate) fn insert(row: &Instance) -> Step {
    let Instance { id, environment, host, created_at } = row;
    Step::one(&INSERT_INSTANCE, params![*id, environment.as_str(), host, *created_at])
}

pub(crate) fn signing_keys(instance: InstanceId) -> Load<SigningKey, 1> {
    let read = |row: &dyn Row| {
        Ok(SigningKey {
            kid: text(row, 0)?.to_owned(),
            sealed_private_key: bytes(row, 1)?.to_owned(),
            created_at: time(row, 2)?,
        })
    };
    Load { sql: &SIGNING_KEYS, params: params![instance], read }
}

pub(crate) fn insert_signing_key(instance: InstanceId, key: &SigningKey) -> Step {
    let SigningKey { kid, sealed_private_key, created_at } = key;
    Step::one(&INSERT_SIGNING_KEY, params![instance, kid, sealed_private_key.clone(), *created_at])
}

fn key(row: &dyn Row) -> Result<SecretKey, Unreadable> {
    Ok(SecretKey {
        hash: hash(row, 0)?,
        name: text_if_any(row, 1)?,
        created_at: time(row, 2)?,
        last_used_at: time_if_any(row, 3)?,
        revoked_at: time_if_any(row, 4)?,
    })
}

/// All of them, oldest first.
pub(crate) fn secret_keys(instance: InstanceId) -> Load<SecretKey, 1> {
    Load { sql: &SECRET_KEYS, params: params![instance], read: key }
}

pub(crate) fn secret_key(instance: InstanceId, sha256: [u8; 32]) -> Load<SecretKey, 2> {
    Load { sql: &SECRET_KEY, params: params![instance, sha256], read: key }
}

pub(crate) fn insert_secret_key(instance: InstanceId, key: &SecretKey) -> Step {
    Step::one(&INSERT_SECRET_KEY, params![instance, key.hash, key.name.clone(), key.created_at])
}

/// Takes a key back, if another one is left.
pub(crate) fn revoke_secret_key(instance: InstanceId, sha256: [u8; 32], wall: Timestamp) -> [Step; 2] {
    let another = Step::one(&ANOTHER_SECRET_KEY, params![instance, sha256]);
    [another, Step::one(&REVOKE_SECRET_KEY, params![instance, sha256, wall])]
}

/// Notes that a key was used; the later time wins.
pub(crate) fn secret_key_used(instance: InstanceId, sha256: [u8; 32], wall: Timestamp) -> Step {
    Step::any(&USE_SECRET_KEY, params![instance, sha256, wall])
}

/// Which settings are the newest: their number, and from when they are in force,
/// which the test clock's reset moves.
pub(crate) type Newest = (u64, Option<Timestamp>);

/// Which settings are the newest.
pub(crate) fn newest_settings(instance: InstanceId) -> Load<Newest, 1> {
    let read = |row: &dyn Row| Ok((number(row, 0)?, time_if_any(row, 1)?));
    Load { sql: &NEWEST_SETTINGS, params: params![instance], read }
}

/// All versions, oldest first.
pub(crate) fn settings(instance: InstanceId) -> Load<Settings, 1> {
    let read = |row: &dyn Row| {
        let settings: Settings = document(row, 0)?;
        let in_force_from = time_if_any(row, 1)?.unwrap_or(settings.in_force_from);
        Ok(Settings { in_force_from, ..settings })
    };
    Load { sql: &ALL_SETTINGS, params: params![instance], read }
}

/// These have to be the newest settings, and to stay so until the commit.
/// A set that adds the next takes them for itself at once.
pub(crate) fn expect_settings(instance: InstanceId, version: u64, alone: bool) -> [Step; 2] {
    let lock = if alone { &LOCK_SETTINGS } else { &SHARE_SETTINGS };
    let params = params![instance, version];
    [Step::any(lock, params.clone()), Step::one(&NEWEST_SETTINGS_ARE, params)]
}

/// The next settings.
pub(crate) fn insert_settings(instance: InstanceId, settings: &Settings) -> Result<Step, StoreError> {
    let document = json("settings", settings)?;
    Ok(Step::one(&INSERT_SETTINGS, params![instance, settings.version, document, settings.in_force_from]))
}
