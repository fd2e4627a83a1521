//! The age of a schema, and what a migration did to it.

use std::path::PathBuf;

/// What happens to a schema that is older than this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationMode {
    /// It is brought up to this version.
    Migrate,
    /// The database is refused with [`crate::StoreError::OlderSchema`].
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
