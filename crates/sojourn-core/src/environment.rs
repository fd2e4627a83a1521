//! Whether an instance is for development or for production.

use serde::{Deserialize, Serialize};

/// Development or production: a property of the instance, not of its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// Test codes, mailbox, seconds as durations; loopback only.
    Development,
    /// None of that.
    Production,
}

impl Environment {
    /// The word in the database and in configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Production => "production",
        }
    }
}
