//! What is asked of a server, or done to its schema, without an engine.

use super::{
    migrate::{bring_up, schema as schema_of},
    pool::{first_connection, open},
    report::{ServerReport, read},
    url::ServerUrl,
};
use crate::{
    error::StoreError,
    schema::{Migrated, Schema},
};

/// The version of the schema on the server.
pub(crate) async fn schema(server: &ServerUrl) -> Result<Schema, StoreError> {
    let (pool, _) = open(server).await?;
    schema_of(&first_connection(&pool, server).await?, server).await
}

/// What the server says of itself.
pub(crate) async fn report(server: &ServerUrl) -> Result<ServerReport, StoreError> {
    let (pool, _) = open(server).await?;
    read(&first_connection(&pool, server).await?, server).await
}

/// Migrates the schema on the server to this version.
pub(crate) async fn migrate(server: &ServerUrl) -> Result<Migrated, StoreError> {
    let (pool, _) = open(server).await?;
    let mut connection = first_connection(&pool, server).await?;
    bring_up(&mut connection, server).await
}
