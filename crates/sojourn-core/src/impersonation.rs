//! Somebody of the application's staff signed in as an account: a session that
//! says who really acts, and lives under short limits of its own.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::{lifetime::Lifetime, time::minutes};

/// Who acts as the account, and for how long at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impersonation {
    /// The claim `act` of the session's tokens: who really acts. `sub` names
    /// them, the rest is the application's own.
    pub actor: Map<String, Value>,
    /// The longest that the session lives, whatever the settings of the instance.
    pub maximum: Duration,
}

/// Longest time without activity. Source: clerk-docs guides/users/impersonation.mdx
pub const INACTIVITY: Duration = minutes(10);

/// The longest that it lives where nothing else is asked for.
/// Source: bapi-2026-05-12.yml, /actor_tokens `session_max_duration_in_seconds`
pub const DEFAULT_MAXIMUM: Duration = minutes(30);

impl Impersonation {
    /// The limits of the session, independent of the settings.
    pub const fn lifetime(&self) -> Lifetime {
        Lifetime::Both { inactivity: INACTIVITY, maximum: self.maximum }
    }
}
