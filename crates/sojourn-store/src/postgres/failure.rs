//! What a failure of PostgreSQL means.

use tokio_postgres::{Error, error::SqlState};

use crate::{
    error::{CommitError, StoreError},
    sql::row::Unreadable,
};

/// Something was not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// Others were in the way; nothing was changed, and it may go well next time.
    InTheWay,
    /// The connection is gone; a commit under way may have been done or not.
    Lost(String),
    /// Everything else.
    Store(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::InTheWay => Self::Unavailable("others are in the way".to_owned()),
            Failure::Lost(reason) => Self::Unavailable(reason),
            Failure::Store(error) => error,
        }
    }
}

impl From<Failure> for CommitError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::InTheWay => Self::Conflict,
            other => Self::Store(other.into()),
        }
    }
}

/// What a failure of a statement means.
pub(super) fn failed(error: &Error) -> Failure {
    let gone = [
        &SqlState::ADMIN_SHUTDOWN,
        &SqlState::CRASH_SHUTDOWN,
        &SqlState::CANNOT_CONNECT_NOW,
        &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    ];
    match error.code() {
        Some(&(SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED)) => Failure::InTheWay,
        Some(code) if gone.contains(&code) || code.code().starts_with("08") => Failure::Lost(told(error)),
        Some(_) => Failure::Store(StoreError::Unavailable(told(error))),
        None => Failure::Lost(told(error)),
    }
}

/// A row that this version did not write.
pub(super) fn corrupt(table: &'static str) -> impl Fn(Unreadable) -> Failure {
    move |Unreadable(reason)| Failure::Store(StoreError::Corrupt { table, reason })
}

/// The failure in words; without the server's detail, which may quote rows.
pub(super) fn told(error: &Error) -> String {
    if let Some(error) = error.as_db_error() {
        return format!("{} ({})", error.message(), error.code().code());
    }
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
