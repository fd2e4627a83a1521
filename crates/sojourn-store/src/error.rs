//! Errors of the store.

use sojourn_core::id::CommitId;

/// Storage failed. The request cannot be completed; it changed nothing unless
/// [`crate::Engine::was_committed`] returns true.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database does not respond: it is locked, full or unreachable.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// A row that this version cannot read.
    #[error("a row of {table} cannot be read: {reason}")]
    Corrupt { table: &'static str, reason: String },
    /// The path or address cannot be used as the database. Nothing was changed.
    #[error("{path} cannot be used as the database: {reason}")]
    Unusable {
        path: String,
        /// The problem, and what to do.
        reason: String,
    },
    /// The schema was created by a newer version.
    #[error(
        "the database has schema {found}, this version knows {known}; start the newer version again, or restore a backup"
    )]
    NewerSchema {
        /// The schema version of the database.
        found: u32,
        /// The newest version that this program knows.
        known: u32,
    },
    /// The schema was created by an older version, and [`crate::MigrationMode::Refuse`] was given.
    #[error("the database has schema {found}, this version needs {known}")]
    OlderSchema {
        /// The schema version of the database; 0 without a schema.
        found: u32,
        known: u32,
    },
}

impl StoreError {
    /// The error of every call after [`crate::Engine::close`].
    pub fn closed() -> Self {
        Self::Unavailable("it was closed".to_owned())
    }
}

/// Why a change set was not applied.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// A row has changed since it was loaded: load and decide again.
    #[error("a row has changed since it was loaded")]
    Conflict,
    /// Another user already has an identifier of this kind.
    #[error("{0} belongs to another user")]
    Taken(&'static str),
    /// The response to COMMIT was lost, and the commit id could not be looked up: the set is
    /// applied, will be applied, or never. [`crate::Engine::was_committed`] returns which when the
    /// database responds again; committing the same set again has the same effect.
    #[error("the database did not say whether {commit_id} was applied")]
    OutcomeUnknown { commit_id: CommitId },
    /// Storage failed; the set was not applied.
    #[error(transparent)]
    Store(#[from] StoreError),
}
