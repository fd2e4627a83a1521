//! Why storage did not do what it was asked.

use sojourn_core::id::CommitId;

/// Storage failed; the request cannot be answered, and nothing was changed by
/// it unless [`crate::Engine::was_committed`] says so.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database does not answer: locked, full, gone.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// A row that this version did not write.
    #[error("a row of {table} cannot be read: {reason}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// There is something at the path that cannot be the database, or not be
    /// opened; it was left as it is.
    #[error("{path} cannot be used as the database: {reason}")]
    Unusable {
        /// Where.
        path: String,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// The database was written by a newer version.
    #[error(
        "the database has schema {found}, this version knows {known}; start the newer version again, or restore a backup"
    )]
    NewerSchema {
        /// What the database says.
        found: u32,
        /// The newest that this version knows.
        known: u32,
    },
    /// The database was written by an older version, and shall not be changed
    /// by opening it.
    #[error("the database has schema {found}, this version needs {known}")]
    OlderSchema {
        /// What the database says; 0 where there is nothing yet.
        found: u32,
        /// What this version needs.
        known: u32,
    },
}

impl StoreError {
    /// What every call gets after [`crate::Engine::close`].
    pub fn closed() -> Self {
        Self::Unavailable("it was closed".to_owned())
    }
}

/// A change set was not applied.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// A row has changed since it was loaded: load and decide again.
    #[error("a row has changed since it was loaded")]
    Conflict,
    /// An identifier belongs to another user already.
    #[error("{0} belongs to another user")]
    Taken(&'static str),
    /// The answer to COMMIT was not received, and the commit id could not be looked up:
    /// the set is applied, or will be, or never. [`crate::Engine::was_committed`] says
    /// so once the database answers again; committing the same set finds out as well.
    #[error("the database did not say whether {commit_id} was applied")]
    OutcomeUnknown {
        /// The id of the set.
        commit_id: CommitId,
    },
    /// Storage failed; the set was not applied.
    #[error(transparent)]
    Store(#[from] StoreError),
}
