//! When each signing key of an instance is published, signs, and is withdrawn.
//!
//! A rotation publishes the new key first and signs with it only when no SDK can hold an older
//! key set any more; the old key stays published until the tokens that it signed have expired
//! (JWT-07). All times are on the wall clock.

use std::time::Duration;

use crate::time::{Timestamp, days, minutes};

/// How long a new key is published before it signs. The Go and Rust SDKs keep a key set for an hour.
/// Compat: clerk/clerk-sdk-go jwks, clerk-rs src/apis/jwks_api.rs
pub const PUBLISH_BEFORE_USE: Duration = minutes(65);

/// How long the old key stays published after its last signature. Tokens that an application
/// asked to live longer than that are refused afterwards.
pub const KEEP_AFTER_USE: Duration = days(31);

/// The longest that a caller may ask for instead of the two above.
pub const MAXIMUM_WAIT: Duration = days(366);

/// The stored times of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningKeyTimes {
    /// When it was made and published.
    pub created_at: Timestamp,
    /// From when on it signs, until a later key does.
    pub signs_from: Timestamp,
    /// When it leaves the key set; no limit as long as no other key replaces it.
    pub published_until: Option<Timestamp>,
}

/// What a key does at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningKeyStatus {
    /// Published, and not signing yet.
    Next,
    /// Signs all tokens.
    Current,
    /// Published for the tokens that it signed.
    Previous,
    /// In no key set; its tokens are refused.
    Withdrawn,
}

impl SigningKeyStatus {
    /// The word in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Current => "current",
            Self::Previous => "previous",
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl SigningKeyTimes {
    /// Those of the first key of an instance: it signs at once.
    pub const fn first(now: Timestamp) -> Self {
        Self { created_at: now, signs_from: now, published_until: None }
    }

    /// Whether the key set contains it at `wall`.
    pub fn is_published(&self, wall: Timestamp) -> bool {
        self.published_until.is_none_or(|until| wall < until)
    }
}

/// The status of each key at `wall`, in the order of `keys`. Exactly one is current as long as
/// one is published: the published key that began to sign last.
pub fn statuses(keys: &[SigningKeyTimes], wall: Timestamp) -> Vec<SigningKeyStatus> {
    let signing = (0..keys.len())
        .filter(|&index| keys[index].is_published(wall) && keys[index].signs_from <= wall)
        .max_by_key(|&index| keys[index].signs_from);
    // A clock that was set back may put every key into the future; one has to sign.
    let current = signing.or_else(|| {
        let published = (0..keys.len()).filter(|&index| keys[index].is_published(wall));
        published.min_by_key(|&index| keys[index].signs_from)
    });
    let status = |(index, key): (usize, &SigningKeyTimes)| match () {
        () if Some(index) == current => SigningKeyStatus::Current,
        () if !key.is_published(wall) => SigningKeyStatus::Withdrawn,
        () if key.signs_from > wall => SigningKeyStatus::Next,
        () => SigningKeyStatus::Previous,
    };
    keys.iter().enumerate().map(status).collect()
}

/// How a key is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// Without a refused token: the new key signs after `wait`, the old one stays published for
    /// `keep` after that.
    Planned { wait: Duration, keep: Duration },
    /// Somebody else may have the private key: all older keys are withdrawn at once, and every
    /// token that is out is refused as soon as its reader fetches the key set again.
    Emergency,
}

/// Why a rotation is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RotationRefused {
    /// The key of the rotation before does not sign yet.
    #[error("a rotation is under way")]
    UnderWay { signs_from: Timestamp },
    /// A duration is above [`MAXIMUM_WAIT`].
    #[error("the wait is too long")]
    TooLong,
}

/// The times of the keys after a rotation at `wall`: those of `keys` in their order, then the new key's.
///
/// # Errors
/// [`RotationRefused`]; an emergency is never refused.
pub fn rotate(
    keys: &[SigningKeyTimes],
    rotation: Rotation,
    wall: Timestamp,
) -> Result<Vec<SigningKeyTimes>, RotationRefused> {
    let (signs_from, until) = match rotation {
        Rotation::Emergency => (wall, wall),
        Rotation::Planned { wait, keep } => {
            if wait.max(keep) > MAXIMUM_WAIT {
                return Err(RotationRefused::TooLong);
            }
            let next = statuses(keys, wall).iter().position(|status| *status == SigningKeyStatus::Next);
            if let Some(next) = next {
                return Err(RotationRefused::UnderWay { signs_from: keys[next].signs_from });
            }
            (wall + wait, wall + wait + keep)
        }
    };
    let withdrawn = |key: &SigningKeyTimes| SigningKeyTimes {
        // Nothing prolongs the life of a key that an earlier rotation withdraws.
        published_until: Some(key.published_until.map_or(until, |earlier| earlier.min(until))),
        ..*key
    };
    let mut after: Vec<_> = keys.iter().map(withdrawn).collect();
    after.push(SigningKeyTimes { created_at: wall, signs_from, published_until: None });
    Ok(after)
}

/// Whether the schedule asks for a rotation at `wall`: the current key has signed for `every`, and
/// no other key is about to.
pub fn is_due(keys: &[SigningKeyTimes], every: Duration, wall: Timestamp) -> bool {
    let statuses = statuses(keys, wall);
    let current = statuses.iter().position(|status| *status == SigningKeyStatus::Current);
    !statuses.contains(&SigningKeyStatus::Next)
        && current.is_some_and(|current| wall >= keys[current].signs_from + every)
}

#[cfg(test)]
mod tests {
    use super::{SigningKeyStatus::*, *};
    use crate::time::seconds;

    const START: Timestamp = Timestamp::from_secs(1_800_000_000);
    const PLANNED: Rotation = Rotation::Planned { wait: PUBLISH_BEFORE_USE, keep: KEEP_AFTER_USE };

    #[test]
    fn a_planned_rotation_publishes_waits_signs_and_withdraws() {
        let first = [SigningKeyTimes::first(START)];
        let keys = rotate(&first, PLANNED, START + days(1)).expect("nothing is under way");
        let signs = START + days(1) + PUBLISH_BEFORE_USE;
        let just_before = |at: Timestamp| Timestamp::from_millis(at.as_millis() - 1);
        assert_eq!(statuses(&keys, START + days(1)), [Current, Next]);
        assert_eq!(statuses(&keys, just_before(signs)), [Current, Next]);
        assert_eq!(statuses(&keys, signs), [Previous, Current]);
        assert_eq!(statuses(&keys, just_before(signs + KEEP_AFTER_USE)), [Previous, Current]);
        assert_eq!(statuses(&keys, signs + KEEP_AFTER_USE), [Withdrawn, Current]);
    }

    #[test]
    fn a_second_rotation_waits_for_the_first() {
        let keys = rotate(&[SigningKeyTimes::first(START)], PLANNED, START).expect("nothing is under way");
        let signs_from = START + PUBLISH_BEFORE_USE;
        assert_eq!(
            rotate(&keys, PLANNED, START + minutes(64)),
            Err(RotationRefused::UnderWay { signs_from })
        );
        let third = rotate(&keys, PLANNED, signs_from).expect("the second key signs");
        assert_eq!(statuses(&third, signs_from), [Previous, Current, Next]);
        // The first key's time is not prolonged.
        assert_eq!(third[0].published_until, Some(signs_from + KEEP_AFTER_USE));
    }

    #[test]
    fn an_emergency_withdraws_every_older_key_at_once() {
        let keys = rotate(&[SigningKeyTimes::first(START)], PLANNED, START).expect("nothing is under way");
        let now = START + minutes(1);
        let keys = rotate(&keys, Rotation::Emergency, now).expect("never refused");
        assert_eq!(statuses(&keys, now), [Withdrawn, Withdrawn, Current]);
    }

    #[test]
    fn the_schedule_counts_from_the_first_use_of_the_current_key() {
        let keys = [SigningKeyTimes::first(START)];
        assert!(!is_due(&keys, days(30), START + days(30) - seconds(1)));
        assert!(is_due(&keys, days(30), START + days(30)));
        let keys = rotate(&keys, PLANNED, START + days(30)).expect("due");
        assert!(!is_due(&keys, days(30), START + days(30)), "one is under way");
        assert!(!is_due(&keys, days(30), START + days(59)));
        assert!(is_due(&keys, days(30), START + days(61)));
    }

    #[test]
    fn waits_of_more_than_a_year_are_refused() {
        let keys = [SigningKeyTimes::first(START)];
        let rotation = Rotation::Planned { wait: seconds(0), keep: MAXIMUM_WAIT + seconds(1) };
        assert_eq!(rotate(&keys, rotation, START), Err(RotationRefused::TooLong));
    }

    #[test]
    fn a_clock_that_was_set_back_leaves_a_key_that_signs() {
        let keys = [SigningKeyTimes::first(START)];
        assert_eq!(statuses(&keys, START - days(1)), [Current]);
    }
}
