//! Migrates the schema in one transaction, on one node at a time.

use std::cmp::Ordering;

use deadpool_postgres::Object;
use tokio_postgres::{Error, error::SqlState, types::Type};

use super::{
    failure::{Failure, failed, told},
    url::ServerUrl,
};
use crate::{
    error::StoreError,
    schema::{Migrated, Schema},
};

/// One step per schema version. A released step must never change; versions N and N−1 of the
/// program must run on the same schema (MIG-01).
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/postgres/0001_initial.sql"),
    include_str!("../../migrations/postgres/0002_ends_and_clock.sql"),
    include_str!("../../migrations/postgres/0003_ends_of_all_and_secret_keys.sql"),
    include_str!("../../migrations/postgres/0004_idempotency_and_outbox.sql"),
    include_str!("../../migrations/postgres/0005_outgoing_mails.sql"),
    include_str!("../../migrations/postgres/0006_key_rotation.sql"),
    include_str!("../../migrations/postgres/0007_webhooks.sql"),
    include_str!("../../migrations/postgres/0008_audit_log_and_failed_webhooks.sql"),
];

/// Creates the table of the schema version, with version 0.
pub(super) const SCHEMA_VERSION: &str = "
    CREATE TABLE IF NOT EXISTS schema_version (id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1), version BIGINT NOT NULL);
    INSERT INTO schema_version (id, version) VALUES (1, 0) ON CONFLICT DO NOTHING";

/// The number of attempts if another node migrates at the same time.
const TRIES: u32 = 5;

/// Migrates the schema to this version, or fails if it is newer.
pub(super) async fn bring_up(client: &mut Object, server: &ServerUrl) -> Result<Migrated, StoreError> {
    migrate(client, server, MIGRATIONS).await
}

/// Fails if the schema does not have this version.
pub(super) async fn expect_current(client: &Object, server: &ServerUrl) -> Result<(), StoreError> {
    let Schema { found, known, .. } = schema(client, server).await?;
    match found.cmp(&known) {
        Ordering::Less => Err(StoreError::OlderSchema { found, known }),
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(StoreError::NewerSchema { found, known }),
    }
}

/// The schema version.
pub(super) async fn schema(client: &Object, server: &ServerUrl) -> Result<Schema, StoreError> {
    let found = version(client).await.map_err(|error| refused(server, &error))?;
    Ok(Schema { found, known: MIGRATIONS.len() as u32, copies: Vec::new() })
}

/// Applies the missing steps, all or none.
pub(super) async fn migrate(
    client: &mut Object,
    server: &ServerUrl,
    steps: &[&str],
) -> Result<Migrated, StoreError> {
    let refused = |error: Error| refused(server, &error);
    let known = steps.len() as u32;
    let found = version(client).await.map_err(refused)?;
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    if found == known {
        return Ok(Migrated { from: found, to: known, copy: None });
    }
    // If two nodes create the first table at the same time, both can get an error, although IF NOT
    // EXISTS is given. The table exists at the next attempt.
    for _ in 1..TRIES {
        match apply(client, steps).await {
            Err(error) if met_another(&error) => {}
            other => return other.map_err(refused),
        }
    }
    apply(client, steps).await.map_err(refused)
}

fn refused(server: &ServerUrl, error: &Error) -> StoreError {
    match failed(error) {
        Failure::Store(_) if error.as_db_error().is_some() => {
            StoreError::Unusable { path: server.to_string(), reason: told(error) }
        }
        other => other.into(),
    }
}

fn met_another(error: &Error) -> bool {
    let codes = [
        SqlState::UNIQUE_VIOLATION,
        SqlState::DUPLICATE_TABLE,
        SqlState::DUPLICATE_OBJECT,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::LOCK_NOT_AVAILABLE,
    ];
    error.code().is_some_and(|code| codes.contains(code))
}

/// 0 without a schema.
async fn version(client: &Object) -> Result<u32, Error> {
    let row = match client.query_typed_opt("SELECT version FROM schema_version WHERE id = 1", &[]).await {
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => return Ok(0),
        other => other?,
    };
    let version: i64 = row.map(|row| row.try_get(0)).transpose()?.unwrap_or(0);
    Ok(u32::try_from(version).unwrap_or(u32::MAX))
}

async fn apply(client: &mut Object, steps: &[&str]) -> Result<Migrated, Error> {
    let transaction = client.transaction().await?;
    // A step has no time limit. A second node waits for the lock on the row, and then finds no
    // missing step.
    transaction.batch_execute("SET LOCAL statement_timeout = 0").await?;
    transaction.batch_execute(SCHEMA_VERSION).await?;
    let select = "SELECT version FROM schema_version WHERE id = 1 FOR UPDATE";
    let found: i64 = transaction.query_typed_one(select, &[]).await?.try_get(0)?;
    let missing = steps.get(usize::try_from(found).unwrap_or(usize::MAX)..).unwrap_or_default();
    // A migration that waits for a table lock blocks all later queries on that table, so it fails
    // after 5 s instead.
    transaction.batch_execute("SET LOCAL lock_timeout = 5000").await?;
    for step in missing {
        transaction.batch_execute(step).await?;
    }
    let known = steps.len() as u32;
    if !missing.is_empty() {
        let update = "UPDATE schema_version SET version = $1 WHERE id = 1";
        transaction.execute_typed(update, &[(&i64::from(known), Type::INT8)]).await?;
    }
    transaction.commit().await?;
    let from = u32::try_from(found).unwrap_or(u32::MAX);
    if !missing.is_empty() && from > 0 {
        tracing::info!(from, to = known, "schema migrated");
    }
    Ok(Migrated { from, to: known, copy: None })
}

#[cfg(test)]
#[path = "migrate_tests.rs"]
mod tests;
