//! Errors of archives, and how one is loaded.

use sojourn_core::{audit::AuditEntry, id::InstanceId, time::Moment};

use crate::error::StoreError;

/// Why an archive was not written or not loaded. The target of a load is unchanged then.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The archive could not be read or written. A failed decryption is reported here, too.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("it is not an archive of Sojourn: {0}")]
    Foreign(String),
    #[error("it ends before its last line")]
    Truncated,
    /// It was changed, or contains rows that do not fit its schema.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// A newer version wrote it.
    #[error("it has {what} {found}, and this version knows {known}")]
    Newer {
        /// "format" or "schema".
        what: &'static str,
        found: u32,
        known: u32,
    },
    /// The target contains data.
    #[error("{0}")]
    NotEmpty(String),
}

/// How to load an archive.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// End all sessions, and revoke pending tickets and attempts, in the same transaction: what
    /// ended after the archive was written must not be open again. The moment is the time of the
    /// load.
    pub end_sessions: Option<Moment>,
    /// Added to the audit log of each instance, in the same transaction.
    pub audit: Vec<(InstanceId, AuditEntry)>,
}
