//! The test clock (decision 7): it advances sessions, deadlines and codes without waiting.
//! Development instances only; it never goes back except by a reset.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::{Moment, Timestamp, days};

/// The difference between the session clock and the wall clock. It is stored, so that all nodes use
/// the same clock, also after a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestClock {
    /// Incremented by every stored change: of two changes that were decided on the same version,
    /// only one can commit.
    pub version: u64,
    /// Milliseconds that the session clock is ahead of the wall clock; negative after the clock was
    /// frozen.
    pub offset_ms: i64,
    /// The time at which the clock is frozen.
    pub frozen_at: Option<Timestamp>,
    /// The number of resets. A node uses it to discard cached times from before a reset.
    pub resets: u64,
}

/// The maximum time that the clock may be ahead of the wall clock. It exceeds the longest session
/// lifetime of ten years.
pub const FARTHEST: Duration = days(36_500);

/// Why the clock is not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockRefusal {
    Backwards,
    /// The clock would be more than [`FARTHEST`] ahead.
    TooFar,
}

impl TestClock {
    /// Both clocks when the wall clock shows `wall`.
    pub fn read(&self, wall: Timestamp) -> Moment {
        let ahead = Timestamp::from_millis(wall.as_millis().saturating_add(self.offset_ms));
        Moment { now: self.frozen_at.unwrap_or(ahead), wall }
    }

    /// Whether the session clock equals the wall clock.
    pub const fn is_real(&self) -> bool {
        self.offset_ms == 0 && self.frozen_at.is_none()
    }

    /// Freezes the clock.
    #[must_use]
    pub fn freeze(self, wall: Timestamp) -> Self {
        Self { frozen_at: Some(self.read(wall).now), ..self }
    }

    /// Lets a frozen clock run again, from the time at which it was frozen.
    #[must_use]
    pub fn resume(self, wall: Timestamp) -> Self {
        let offset_ms = self.read(wall).now.as_millis() - wall.as_millis();
        Self { frozen_at: None, offset_ms, ..self }
    }

    /// Sets the clock to the wall clock. The same commit must move the times of all open sessions
    /// and attempts back by the same span, so that an ended session does not become open again.
    #[must_use]
    pub const fn reset(self) -> Self {
        Self { version: self.version, offset_ms: 0, frozen_at: None, resets: self.resets + 1 }
    }

    /// Advances the clock by `span`. A frozen clock stays frozen.
    ///
    /// # Errors
    /// [`ClockRefusal::TooFar`].
    pub fn advance(self, wall: Timestamp, span: Duration) -> Result<Self, ClockRefusal> {
        let to = self.read(wall).now + span;
        self.set(wall, to)
    }

    /// Sets the clock to `to`. A frozen clock stays frozen.
    ///
    /// # Errors
    /// [`ClockRefusal`].
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
    fn an_unchanged_test_clock_equals_the_wall_clock() {
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
    fn a_frozen_clock_resumes_without_a_jump() {
        let still = TestClock::default().freeze(WALL);
        let later = WALL + seconds(60);
        assert_eq!(still.read(later).now, WALL);
        let moving = still.resume(later);
        assert_eq!(moving.read(later).now, WALL);
        assert_eq!(moving.read(later + seconds(1)).now, WALL + seconds(1));
    }

    #[test]
    fn the_clock_never_goes_back_and_has_an_upper_bound() {
        let clock = TestClock::default().advance(WALL, days(1)).expect("forward");
        assert_eq!(clock.set(WALL, WALL), Err(ClockRefusal::Backwards));
        assert_eq!(clock.advance(WALL, Duration::MAX), Err(ClockRefusal::TooFar));
    }
}
