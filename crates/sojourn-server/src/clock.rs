//! The two clocks of a server: the wall, which never runs backwards, and the
//! session clock, which the test clock of a development instance moves.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicI64, Ordering},
};

use sojourn_core::{
    test_clock::TestClock,
    time::{Moment, Timestamp},
};

/// Where the time comes from: the system's clock in the binary, one that stands
/// still in tests.
pub trait Clock: Send + Sync + 'static {
    /// The time on the wall.
    fn now(&self) -> Timestamp;
}

/// Both clocks of an instance.
pub(crate) struct Clocks {
    wall: Box<dyn Fn() -> Timestamp + Send + Sync>,
    /// The latest time that was told, in milliseconds (SES-12).
    latest: AtomicI64,
    test: Mutex<TestClock>,
}

impl Clocks {
    /// Clocks that tell no earlier time than `high_water`.
    pub(crate) fn new(clock: std::sync::Arc<dyn Clock>, high_water: Timestamp, test: TestClock) -> Self {
        Self {
            wall: Box::new(move || clock.now()),
            latest: AtomicI64::new(high_water.as_millis()),
            test: Mutex::new(test),
        }
    }

    /// The time on the wall. It never runs backwards, not even across restarts.
    fn wall(&self) -> Timestamp {
        let wall = (self.wall)().as_millis();
        let before = self.latest.fetch_max(wall, Ordering::Relaxed);
        Timestamp::from_millis(wall.max(before))
    }

    /// One reading of both.
    pub(crate) fn read(&self) -> Moment {
        self.test().read(self.wall())
    }

    /// The test clock as this node knows it.
    pub(crate) fn test(&self) -> TestClock {
        *self.test.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what is stored, unless something newer is known; gives back
    /// what was known before.
    pub(crate) fn set_test(&self, stored: TestClock) -> TestClock {
        let mut test = self.test.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *test;
        if before.version <= stored.version {
            *test = stored;
        }
        before
    }
}
