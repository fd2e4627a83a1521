//! The common interface of errors.

use sojourn_store::CommitError;

/// An error that may be a conflict: see [`crate::Service::retry_on_conflict`].
pub trait MaybeConflict: From<CommitError> {
    /// Whether a row has changed since it was loaded, so that a retry may succeed.
    fn is_conflict(&self) -> bool;
}

impl MaybeConflict for CommitError {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict)
    }
}
