//! The environment of an instance: development or production.

use serde::{Deserialize, Serialize};

/// A property of the instance, not of its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// Test codes, a mailbox, and durations of seconds; loopback addresses only.
    Development,
    /// Without these features.
    Production,
}

impl Environment {
    /// The value in the database and in configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Production => "production",
        }
    }
}
