//! The schema: brought up to this version in one transaction, by one node.

use deadpool_postgres::Object;
use tokio_postgres::{Error, error::SqlState};

use super::failure::{failed, told};
use crate::engine::StoreError;

/// The schema, one step per version. A step is never changed once it was
/// released; N and N−1 have to run on one schema (MIG-01).
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/postgres/0001_initial.sql"),
    include_str!("../../migrations/postgres/0002_ends_and_clock.sql"),
];

/// How often a start that met another one tries again.
const TRIES: u32 = 5;

/// Makes the schema that of this version, or refuses what is newer.
pub(super) async fn migrate(client: &mut Object, name: &str) -> Result<(), StoreError> {
    let refused = |error: &Error| match failed(error) {
        super::failure::Failure::Store(_) if error.as_db_error().is_some() => {
            StoreError::Unusable { path: name.to_owned(), reason: told(error) }
        }
        other => other.into(),
    };
    let known = MIGRATIONS.len() as u32;
    let found = match version(client, "SELECT version FROM schema_version WHERE id = 1").await {
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => 0,
        other => other.map_err(|error| refused(&error))?,
    };
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    if found == known {
        return Ok(());
    }
    // Two that make the first table at once are both told that it cannot be
    // made, or that it is there: the second time it is.
    for _ in 1..TRIES {
        match apply(client, known).await {
            Err(error) if met_another(&error) => {}
            other => return other.map_err(|error| refused(&error)),
        }
    }
    apply(client, known).await.map_err(|error| refused(&error))
}

fn met_another(error: &Error) -> bool {
    let codes = [
        SqlState::UNIQUE_VIOLATION,
        SqlState::DUPLICATE_TABLE,
        SqlState::DUPLICATE_OBJECT,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
    ];
    error.code().is_some_and(|code| codes.contains(code))
}

async fn version(client: &Object, select: &str) -> Result<u32, Error> {
    let row = client.query_opt(select, &[]).await?;
    let version: i64 = row.map(|row| row.try_get(0)).transpose()?.unwrap_or(0);
    Ok(u32::try_from(version).unwrap_or(u32::MAX))
}

async fn apply(client: &mut Object, known: u32) -> Result<(), Error> {
    let transaction = client.transaction().await?;
    // Whoever comes second waits here, and then finds nothing left to do.
    transaction
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS schema_version (id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1), version BIGINT NOT NULL);
             INSERT INTO schema_version (id, version) VALUES (1, 0) ON CONFLICT DO NOTHING",
        )
        .await?;
    let select = "SELECT version FROM schema_version WHERE id = 1 FOR UPDATE";
    let found: i64 = transaction.query_one(select, &[]).await?.try_get(0)?;
    let found = usize::try_from(found).unwrap_or(usize::MAX);
    for step in MIGRATIONS.iter().skip(found) {
        transaction.batch_execute(step).await?;
    }
    if found < MIGRATIONS.len() {
        let update = "UPDATE schema_version SET version = $1 WHERE id = 1";
        transaction.execute(update, &[&i64::from(known)]).await?;
    }
    transaction.commit().await
}
