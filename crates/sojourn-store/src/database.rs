//! A database before it is opened: where it is, and how old its schema is.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    engine::{Store, StoreError},
    postgres::{self, PostgresEngine, ServerUrl},
    sqlite::{self, SqliteEngine},
};

/// Where a database is. Printed without user and password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// A file of the embedded engine.
    File(PathBuf),
    /// A database of a PostgreSQL server.
    Server(ServerUrl),
}

/// What happens to a schema that is older than this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationMode {
    /// It is brought up to this version.
    Migrate,
    /// The database is refused with [`StoreError::OlderSchema`].
    Refuse,
}

/// How old a schema is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The version of the database; 0 where there is nothing yet.
    pub found: u32,
    /// The newest version that this program knows.
    pub known: u32,
    /// Copies of the file from before it was migrated, oldest first.
    pub copies: Vec<PathBuf>,
}

/// What a migration did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migrated {
    /// The version before.
    pub from: u32,
    /// The version now.
    pub to: u32,
    /// The copy that was made of the file before it was changed.
    pub copy: Option<PathBuf>,
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
