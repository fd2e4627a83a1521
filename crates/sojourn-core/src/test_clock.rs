//! The test clock (decision 7): lets days pass for sessions, deadlines and codes
//! without waiting. Development instances only; forward only.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::{Moment, Timestamp, days};

/// How the session clock differs from the one on the wall. Stored, so that all
/// nodes and restarts agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestClock {
    /// Counts every stored change: two changes decided on one version cannot both commit.
    pub version: u64,
    /// Milliseconds by which it is ahead of the wall; negative after it stood still.
    pub offset_ms: i64,
    /// Where it stands still, if it does.
    pub frozen_at: Option<Timestamp>,
    /// Counts resets: what a node remembers from before one is of another time.
    pub resets: u64,
}

/// Farthest that the clock may be ahead: a lifetime has at most ten years.
pub const FARTHEST: Duration = days(36_500);

/// Why the clock is not moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockRefusal {
    /// It would go backwards.
    Backwards,
    /// It would be more than [`FARTHEST`] ahead.
    TooFar,
}

impl TestClock {
    /// Both clocks, when the one on the wall shows `wall`.
    pub fn read(&self, wall: Timestamp) -> Moment {
        let ahead = Timestamp::from_millis(wall.as_millis().saturating_add(self.offset_ms));
        Moment { now: self.frozen_at.unwrap_or(ahead), wall }
    }

    /// Whether it shows what the wall shows.
    pub const fn is_real(&self) -> bool {
        self.offset_ms == 0 && self.frozen_at.is_none()
    }

    /// Standing still from now on.
    #[must_use]
    pub fn freeze(self, wall: Timestamp) -> Self {
        Self { frozen_at: Some(self.read(wall).now), ..self }
    }

    /// Going on from where it stands.
    #[must_use]
    pub fn resume(self, wall: Timestamp) -> Self {
        let offset_ms = self.read(wall).now.as_millis() - wall.as_millis();
        Self { frozen_at: None, offset_ms, ..self }
    }

    /// Showing what the wall shows. The same commit has to move everything that is
    /// still open back by the same span, so that nothing is revived.
    #[must_use]
    pub const fn reset(self) -> Self {
        Self { version: self.version, offset_ms: 0, frozen_at: None, resets: self.resets + 1 }
    }

    /// After `span` has passed; a clock that stands still stands still again.
    ///
    /// # Errors
    /// It would be too far ahead.
    pub fn advance(self, wall: Timestamp, span: Duration) -> Result<Self, ClockRefusal> {
        let to = self.read(wall).now + span;
        self.set(wall, to)
    }

    /// Showing `to`.
    ///
    /// # Errors
    /// It would go backwards, or be too far ahead.
    pub fn set(self, wall: Timestamp, to: Timestamp) -> Result<Self, ClockRefusal> {
        if to < self.read(wall).now {
            return Err(ClockRefusal::Backwards);
        }
        if to > wall + FARTHEST {
            return Err(ClockRefusal::TooFar);
        }
        Ok(match self.frozen_at {
            Some(_) => Self { frozen_at: Some(to), ..self },
            None => Self { offset_ms: to.as_millis() - wall.as_millis(), ..self },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{minutes, seconds};

    const WALL: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn a_clock_that_was_never_moved_shows_the_wall() {
        assert_eq!(TestClock::default().read(WALL), Moment::real(WALL));
    }

    #[test]
    fn an_advanced_clock_runs_on_and_leaves_the_wall_clock_alone() {
        let clock = TestClock::default().advance(WALL, minutes(31)).expect("forward");
        let later = WALL + seconds(5);
        assert_eq!(clock.read(later), Moment { now: later + minutes(31), wall: later });
    }

    #[test]
    fn two_steps_are_as_far_as_one() {
        for clock in [TestClock::default(), TestClock::default().freeze(WALL)] {
            let steps = clock.advance(WALL, minutes(3)).and_then(|clock| clock.advance(WALL, minutes(4)));
            assert_eq!(steps, clock.advance(WALL, minutes(7)));
        }
    }

    #[test]
    fn it_stands_still_and_goes_on_without_a_jump() {
        let still = TestClock::default().freeze(WALL);
        let later = WALL + seconds(60);
        assert_eq!(still.read(later).now, WALL);
        let moving = still.resume(later);
        assert_eq!(moving.read(later).now, WALL);
        assert_eq!(moving.read(later + seconds(1)).now, WALL + seconds(1));
    }

    #[test]
    fn it_never_goes_backwards_nor_beyond_all_bounds() {
        let clock = TestClock::default().advance(WALL, days(1)).expect("forward");
        assert_eq!(clock.set(WALL, WALL), Err(ClockRefusal::Backwards));
        assert_eq!(clock.advance(WALL, Duration::MAX), Err(ClockRefusal::TooFar));
    }
}
