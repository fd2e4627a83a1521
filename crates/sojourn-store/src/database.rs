//! The address of a database, before it is opened.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    error::StoreError,
    postgres::{self, PostgresEngine, ServerReport, ServerUrl},
    schema::{Migrated, MigrationMode, Schema},
    sqlite::{self, SqliteEngine},
    store::Store,
};

/// The address of a database. Printed without user and password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// A file of the embedded engine.
    File(PathBuf),
    /// A database on a PostgreSQL server.
    Server(ServerUrl),
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Server(server) => server.fmt(f),
        }
    }
}

impl Database {
    /// Opens the database, and creates it if it does not exist. Call it in a Tokio runtime that
    /// lives as long as the store.
    ///
    /// # Errors
    /// As [`Store::sqlite`] and [`Store::postgres`]; and [`StoreError::OlderSchema`] for
    /// [`MigrationMode::Refuse`].
    pub async fn open(&self, older: MigrationMode) -> Result<Store, StoreError> {
        Ok(match self {
            Self::File(path) => Store::Sqlite(Arc::new(SqliteEngine::open(path, older)?)),
            Self::Server(server) => Store::Postgres(Arc::new(PostgresEngine::open(server, older).await?)),
        })
    }

    /// Reads the schema version without changing anything.
    ///
    /// # Errors
    /// The address is not a database of Sojourn, or it does not respond.
    pub async fn schema(&self) -> Result<Schema, StoreError> {
        match self {
            Self::File(path) => sqlite::schema(path),
            Self::Server(server) => postgres::schema(server).await,
        }
    }

    /// What a PostgreSQL server says of itself; `None` for an embedded database.
    ///
    /// # Errors
    /// The server does not respond.
    pub async fn server_report(&self) -> Result<Option<ServerReport>, StoreError> {
        match self {
            Self::File(_) => Ok(None),
            Self::Server(server) => postgres::report(server).await.map(Some),
        }
    }

    /// Migrates the schema to this version. An embedded database that does not exist is not
    /// created.
    ///
    /// # Errors
    /// As [`Self::open`]. The schema is unchanged then.
    pub async fn migrate(&self) -> Result<Migrated, StoreError> {
        match self {
            Self::File(path) if !is_there(path) => Ok(Migrated::default()),
            Self::File(path) => sqlite::migrate(path),
            Self::Server(server) => postgres::migrate(server).await,
        }
    }
}

fn is_there(path: &Path) -> bool {
    // If the path cannot be examined, opening it reports the reason.
    !path.try_exists().is_ok_and(|there| !there)
}
