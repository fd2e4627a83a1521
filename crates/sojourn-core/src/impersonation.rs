//! Impersonation: a staff member signs in as a user. The session names the staff member, has its
//! own short limits, and cannot use operations that are reserved for the account owner (SES-21).

use std::time::Duration;

use serde_json::{Map, Value};

use crate::{
    lifetime::Lifetime,
    time::{days, minutes},
};

/// The actor of an impersonation session and its maximum lifetime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impersonation {
    /// The `act` claim of the session's tokens. `sub` identifies the staff member; the application
    /// defines the other members.
    pub actor: Map<String, Value>,
    /// The maximum lifetime of the session, independent of the settings.
    pub maximum: Duration,
}

/// The inactivity timeout of an impersonation session.
/// Source: clerk-docs guides/users/impersonation.mdx
pub const INACTIVITY: Duration = minutes(10);

/// The maximum lifetime if the request gives none.
/// Source: bapi-2026-05-12.yml, /actor_tokens `session_max_duration_in_seconds`
pub const DEFAULT_MAXIMUM: Duration = minutes(30);

/// The upper bound of the maximum lifetime. It stops a typing error from creating a session that
/// lasts for years.
pub const LONGEST_MAXIMUM: Duration = days(30);

/// The maximum size of the actor as JSON, in bytes. Every token of the session contains the actor,
/// and browsers drop cookies above 4 KB (COK-04).
pub const MAX_ACTOR_BYTES: usize = 1024;

/// Why an impersonation is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImpersonationError {
    /// The actor has no `sub`.
    #[error("the actor has no sub")]
    Nobody,
    /// `sub` is not a string, or has control characters and cannot be logged safely.
    #[error("the actor's sub is not a text of letters, digits and marks")]
    SubInvalid,
    /// The actor is larger than [`MAX_ACTOR_BYTES`].
    #[error("the actor has {0} bytes, {MAX_ACTOR_BYTES} are allowed")]
    ActorTooLarge(usize),
    /// The maximum lifetime is less than a second or more than [`LONGEST_MAXIMUM`].
    #[error("the longest time is not from a second to 30 days")]
    MaximumOutOfBounds,
}

impl Impersonation {
    /// Checks the actor and the maximum lifetime.
    ///
    /// # Errors
    /// The first rule that the arguments break.
    pub fn new(actor: Map<String, Value>, maximum: Duration) -> Result<Self, ImpersonationError> {
        match actor.get("sub") {
            None | Some(Value::Null) => return Err(ImpersonationError::Nobody),
            Some(Value::String(sub)) if sub.trim().is_empty() => return Err(ImpersonationError::Nobody),
            Some(Value::String(sub)) if !sub.contains(char::is_control) => {}
            Some(_) => return Err(ImpersonationError::SubInvalid),
        }
        let bytes = bytes(&actor);
        if bytes > MAX_ACTOR_BYTES {
            return Err(ImpersonationError::ActorTooLarge(bytes));
        }
        if !(Duration::from_secs(1)..=LONGEST_MAXIMUM).contains(&maximum) {
            return Err(ImpersonationError::MaximumOutOfBounds);
        }
        Ok(Self { actor, maximum })
    }

    /// The staff member's id.
    pub fn sub(&self) -> &str {
        self.actor.get("sub").and_then(Value::as_str).unwrap_or_default()
    }

    /// The size of the actor in a token.
    pub(crate) fn bytes(&self) -> usize {
        bytes(&self.actor)
    }

    /// The limits of the session. They do not depend on the settings.
    pub const fn lifetime(&self) -> Lifetime {
        Lifetime::Both { inactivity: INACTIVITY, maximum: self.maximum }
    }
}

fn bytes(actor: &Map<String, Value>) -> usize {
    serde_json::to_string(actor).map_or(usize::MAX, |text| text.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn actor(value: Value) -> Map<String, Value> {
        let Value::Object(actor) = value else { panic!("no object: {value}") };
        actor
    }

    fn refused(value: Value) -> ImpersonationError {
        Impersonation::new(actor(value), DEFAULT_MAXIMUM).expect_err("refused")
    }

    #[test]
    fn ses_21_an_impersonation_without_an_actor_is_refused() {
        for nobody in [json!({}), json!({"sub": null}), json!({"sub": " "}), json!({"name": "Sam"})] {
            assert_eq!(refused(nobody), ImpersonationError::Nobody);
        }
        for unsayable in [json!({"sub": 7}), json!({"sub": {}}), json!({"sub": "sam\nadmin signed in"})] {
            assert_eq!(refused(unsayable), ImpersonationError::SubInvalid);
        }
        let sam = Impersonation::new(actor(json!({"sub": "cli:sam@example.com"})), DEFAULT_MAXIMUM);
        assert_eq!(sam.expect("accepted").sub(), "cli:sam@example.com");
    }

    #[test]
    fn an_actor_fits_into_a_cookie() {
        let padded = |bytes: usize| json!({"sub": "sam", "note": "x".repeat(bytes - 23)});
        let largest = Impersonation::new(actor(padded(MAX_ACTOR_BYTES)), DEFAULT_MAXIMUM).expect("accepted");
        assert_eq!(largest.bytes(), MAX_ACTOR_BYTES);
        let larger = MAX_ACTOR_BYTES + 1;
        assert_eq!(refused(padded(larger)), ImpersonationError::ActorTooLarge(larger));
    }

    #[test]
    fn an_impersonation_lives_from_a_second_to_thirty_days() {
        let of = |maximum| Impersonation::new(actor(json!({"sub": "sam"})), maximum).map(|own| own.maximum);
        let out = Err(ImpersonationError::MaximumOutOfBounds);
        assert_eq!(of(Duration::from_secs(1)), Ok(Duration::from_secs(1)));
        assert_eq!(of(days(30)), Ok(days(30)));
        assert_eq!(of(Duration::from_millis(999)), out);
        assert_eq!(of(days(30) + Duration::from_secs(1)), out);
    }
}
