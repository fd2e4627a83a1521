//! The schema: brought up to this version in one transaction, by one node.

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

/// The schema, one step per version. A step is never changed once it was
/// released; N and N−1 have to run on one schema (MIG-01).
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/postgres/0001_initial.sql"),
    include_str!("../../migrations/postgres/0002_ends_and_clock.sql"),
    include_str!("../../migrations/postgres/0003_ends_of_all_and_secret_keys.sql"),
    include_str!("../../migrations/postgres/0004_idempotency_and_outbox.sql"),
    include_str!("../../migrations/postgres/0005_outgoing_mails.sql"),
];

/// How often a start that met another one tries again.
const TRIES: u32 = 5;

/// Makes the schema that of this version, or refuses what is newer.
pub(super) async fn bring_up(client: &mut Object, server: &ServerUrl) -> Result<Migrated, StoreError> {
    migrate(client, server, MIGRATIONS).await
}

/// Refuses a schema that is not that of this version.
pub(super) async fn expect_current(client: &Object, server: &ServerUrl) -> Result<(), StoreError> {
    let Schema { found, known, .. } = schema(client, server).await?;
    match found.cmp(&known) {
        Ordering::Less => Err(StoreError::OlderSchema { found, known }),
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(StoreError::NewerSchema { found, known }),
    }
}

/// How old the schema is.
pub(super) async fn schema(client: &Object, server: &ServerUrl) -> Result<Schema, StoreError> {
    let found = version(client).await.map_err(|error| refused(server, &error))?;
    Ok(Schema { found, known: MIGRATIONS.len() as u32, copies: Vec::new() })
}

/// Applies the steps that the database does not have yet, all or none.
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
    // Two that make the first table at once are both told that it cannot be
    // made, or that it is there: the second time it is.
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

/// 0 where there is no schema.
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
    // A step takes as long as it takes. Whoever comes second waits for the row, and
    // then finds nothing left to do.
    transaction
        .batch_execute(
            "SET LOCAL statement_timeout = 0;
             CREATE TABLE IF NOT EXISTS schema_version (id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1), version BIGINT NOT NULL);
             INSERT INTO schema_version (id, version) VALUES (1, 0) ON CONFLICT DO NOTHING",
        )
        .await?;
    let select = "SELECT version FROM schema_version WHERE id = 1 FOR UPDATE";
    let found: i64 = transaction.query_typed_one(select, &[]).await?.try_get(0)?;
    let missing = steps.get(usize::try_from(found).unwrap_or(usize::MAX)..).unwrap_or_default();
    // Whoever waits for a table has everybody else wait behind it: rather give up, and tell.
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
