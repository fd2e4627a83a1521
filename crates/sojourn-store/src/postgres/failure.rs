//! Maps errors of PostgreSQL.

use tokio_postgres::{Error, error::SqlState};

use crate::{
    error::{CommitError, StoreError},
    sql::row::Unreadable,
};

/// Why an operation failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// A serialization failure or a deadlock: nothing was changed, and a retry may succeed.
    InTheWay,
    /// The connection is lost; a running commit may or may not have been applied.
    Lost(String),
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

/// Maps an error of a statement.
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

/// A row that this version cannot read.
pub(super) fn corrupt(table: &'static str) -> impl Fn(Unreadable) -> Failure {
    move |Unreadable(reason)| Failure::Store(StoreError::Corrupt { table, reason })
}

/// The error as text, without the server's detail, which may contain values of rows.
pub(super) fn told(error: &Error) -> String {
    if let Some(error) = error.as_db_error() {
        return format!("{} ({})", error.message(), error.code().code());
    }
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
