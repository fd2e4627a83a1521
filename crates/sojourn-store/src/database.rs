//! A database before it is opened: where it is.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    error::StoreError,
    postgres::{self, PostgresEngine, ServerUrl},
    schema::{Migrated, MigrationMode, Schema},
    sqlite::{self, SqliteEngine},
    store::Store,
};

/// Where a database is. Printed without user and password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// A file of the embedded engine.
    File(PathBuf),
    /// A database of a PostgreSQL server.
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
    /// Opens it; makes it where there is nothing. In a Tokio runtime that
    /// lives as long as the store.
    ///
    /// # Errors
    /// As [`Store::sqlite`] and [`Store::postgres`]; and the schema is older
    /// and shall stay so.
    pub async fn open(&self, older: MigrationMode) -> Result<Store, StoreError> {
        Ok(match self {
            Self::File(path) => Store::Sqlite(Arc::new(SqliteEngine::open(path, older)?)),
            Self::Server(server) => Store::Postgres(Arc::new(PostgresEngine::open(server, older).await?)),
        })
    }

    /// Looks how old the schema is, and changes nothing.
    ///
    /// # Errors
    /// There is something that is no database of ours, or it does not answer.
    pub async fn schema(&self) -> Result<Schema, StoreError> {
        match self {
            Self::File(path) => sqlite::schema(path),
            Self::Server(server) => postgres::schema(server).await,
        }
    }

    /// Brings the schema up to this version. An embedded database that does
    /// not exist yet is left so: opening makes it.
    ///
    /// # Errors
    /// As [`Self::open`]. The schema is as it was then.
    pub async fn migrate(&self) -> Result<Migrated, StoreError> {
        match self {
            Self::File(path) if !is_there(path) => Ok(Migrated::default()),
            Self::File(path) => sqlite::migrate(path),
            Self::Server(server) => postgres::migrate(server).await,
        }
    }
}

fn is_there(path: &Path) -> bool {
    // What cannot be looked at is refused with its reason by whoever opens it.
    !path.try_exists().is_ok_and(|there| !there)
}
