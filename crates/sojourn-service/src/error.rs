//! What the errors of all use cases have in common.

use sojourn_store::CommitError;

/// An error that may stand for a lost race: see [`crate::Service::retry_on_conflict`].
pub trait MaybeConflict: From<CommitError> {
    /// Whether a row has changed since it was loaded, so that the same may succeed now.
    fn is_conflict(&self) -> bool;
}

impl MaybeConflict for CommitError {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict)
    }
}
