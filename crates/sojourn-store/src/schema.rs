//! The version of a database schema, and the result of a migration.

use std::path::PathBuf;

/// How to open a database whose schema is older than this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationMode {
    /// Migrate it to this version.
    Migrate,
    /// Fail with [`crate::StoreError::OlderSchema`].
    Refuse,
}

/// The schema version of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The version in the database; 0 without a schema.
    pub found: u32,
    /// The newest version that this program knows.
    pub known: u32,
    /// Copies of the database file from before earlier migrations, oldest first.
    pub copies: Vec<PathBuf>,
}

/// The result of a migration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migrated {
    pub from: u32,
    pub to: u32,
    /// The copy of the database file from before the migration.
    pub copy: Option<PathBuf>,
}
