//! Instances, their keys and their settings.

use rusqlite::{Connection, Row, params};
use sojourn_core::{id::InstanceId, settings::Settings};

use super::{all, document, first, json, number, parsed, run, signed, statements, time, word};
use crate::{
    engine::StoreError,
    records::{Environment, Instance, SecretKey, SigningKey},
};

statements! { "instances";
    ALL_INSTANCES = "SELECT id, environment, host, created_at FROM instances ORDER BY created_at, id";
    INSTANCE_EXISTS = "SELECT 1 FROM instances WHERE id = $1";
    INSERT_INSTANCE = "INSERT INTO instances (id, environment, host, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    SIGNING_KEYS = "SELECT kid, sealed_private_key, created_at FROM signing_keys WHERE instance_id = $1 ORDER BY created_at, kid";
    INSERT_SIGNING_KEY = "INSERT INTO signing_keys (instance_id, kid, sealed_private_key, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    SECRET_KEY = "SELECT hash, created_at FROM secret_keys WHERE instance_id = $1 AND hash = $2";
    INSERT_SECRET_KEY = "INSERT INTO secret_keys (instance_id, hash, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    NEWEST_SETTINGS = "SELECT COALESCE(MAX(version), 0) FROM settings WHERE instance_id = $1";
    ALL_SETTINGS = "SELECT document FROM settings WHERE instance_id = $1 ORDER BY version";
    INSERT_SETTINGS = "INSERT INTO settings (instance_id, version, document) VALUES ($1, $2, $3)";
}

fn environment(word: &str) -> Option<Environment> {
    [Environment::Development, Environment::Production]
        .into_iter()
        .find(|environment| environment.as_str() == word)
}

fn instance(row: &Row<'_>) -> rusqlite::Result<Instance> {
    Ok(Instance {
        id: parsed(row, 0)?,
        environment: word(row, 1, environment)?,
        host: row.get(2)?,
        created_at: time(row, 3)?,
    })
}

pub(in crate::sqlite) fn list(db: &Connection) -> Result<Vec<Instance>, StoreError> {
    all(db, &ALL_INSTANCES, [], instance)
}

pub(in crate::sqlite) fn exists(db: &Connection, id: InstanceId) -> Result<bool, StoreError> {
    first(db, &INSTANCE_EXISTS, [id.to_string()], |_| Ok(())).map(|row| row.is_some())
}

pub(in crate::sqlite) fn insert(db: &Connection, row: &Instance) -> Result<usize, StoreError> {
    let Instance { id, environment, host, created_at } = row;
    let created_at = created_at.as_millis();
    run(db, &INSERT_INSTANCE, params![id.to_string(), environment.as_str(), host, created_at])
}

pub(in crate::sqlite) fn signing_keys(
    db: &Connection,
    instance: InstanceId,
) -> Result<Vec<SigningKey>, StoreError> {
    all(db, &SIGNING_KEYS, [instance.to_string()], |row| {
        Ok(SigningKey { kid: row.get(0)?, sealed_private_key: row.get(1)?, created_at: time(row, 2)? })
    })
}

pub(in crate::sqlite) fn insert_signing_key(
    db: &Connection,
    instance: InstanceId,
    key: &SigningKey,
) -> Result<usize, StoreError> {
    let SigningKey { kid, sealed_private_key, created_at } = key;
    let created_at = created_at.as_millis();
    let params = params![instance.to_string(), kid, sealed_private_key, created_at];
    run(db, &INSERT_SIGNING_KEY, params)
}

pub(in crate::sqlite) fn secret_key(
    db: &Connection,
    instance: InstanceId,
    hash: [u8; 32],
) -> Result<Option<SecretKey>, StoreError> {
    first(db, &SECRET_KEY, params![instance.to_string(), hash], |row| {
        Ok(SecretKey { hash: row.get(0)?, created_at: time(row, 1)? })
    })
}

pub(in crate::sqlite) fn insert_secret_key(
    db: &Connection,
    instance: InstanceId,
    key: &SecretKey,
) -> Result<usize, StoreError> {
    let params = params![instance.to_string(), key.hash, key.created_at.as_millis()];
    run(db, &INSERT_SECRET_KEY, params)
}

/// The number of the newest settings; 0 where there are none.
pub(in crate::sqlite) fn newest_settings(db: &Connection, instance: InstanceId) -> Result<u64, StoreError> {
    let version = first(db, &NEWEST_SETTINGS, [instance.to_string()], |row| number(row, 0))?;
    Ok(version.unwrap_or(0))
}

/// All versions, oldest first.
pub(in crate::sqlite) fn settings(
    db: &Connection,
    instance: InstanceId,
) -> Result<Vec<Settings>, StoreError> {
    all(db, &ALL_SETTINGS, [instance.to_string()], |row| document(row, 0))
}

pub(in crate::sqlite) fn insert_settings(
    db: &Connection,
    instance: InstanceId,
    settings: &Settings,
) -> Result<usize, StoreError> {
    let document = json("settings", settings)?;
    let params = params![instance.to_string(), signed(settings.version), document];
    run(db, &INSERT_SETTINGS, params)
}
