//! The two clocks of a server: the wall clock, which never goes back, and the session clock, which
//! the test clock of a development instance can advance.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicI64, Ordering},
};

use sojourn_core::{
    test_clock::TestClock,
    time::{Moment, Timestamp},
};
use sojourn_store::{CommitError, Engine as _, StoreError, Write};

use crate::{error::MaybeConflict, instance::Service};

/// The source of the time: the system clock in the binary, a fixed clock in tests.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Timestamp;
}

/// Both clocks of an instance.
pub(crate) struct Clocks {
    wall: Box<dyn Fn() -> Timestamp + Send + Sync>,
    /// The latest time that was returned, in milliseconds (SES-12).
    latest: AtomicI64,
    test: Mutex<TestClock>,
}

impl Clocks {
    /// Clocks that never return a time before `high_water`.
    pub(crate) fn new(clock: std::sync::Arc<dyn Clock>, high_water: Timestamp, test: TestClock) -> Self {
        Self {
            wall: Box::new(move || clock.now()),
            latest: AtomicI64::new(high_water.as_millis()),
            test: Mutex::new(test),
        }
    }

    /// The wall clock. It never goes back, not even across restarts.
    fn wall(&self) -> Timestamp {
        let wall = (self.wall)().as_millis();
        let before = self.latest.fetch_max(wall, Ordering::Relaxed);
        Timestamp::from_millis(wall.max(before))
    }

    /// One reading of both clocks.
    pub(crate) fn read(&self) -> Moment {
        self.test().read(self.wall())
    }

    /// The test clock as this node knows it.
    pub(crate) fn test(&self) -> TestClock {
        *self.test.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores the test clock from the database, unless a newer version is known. Returns the
    /// previous value.
    pub(crate) fn set_test(&self, stored: TestClock) -> TestClock {
        let mut test = self.test.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *test;
        if before.version <= stored.version {
            *test = stored;
        }
        before
    }
}

impl Service {
    /// The test clock as this node knows it.
    pub fn test_clock(&self) -> TestClock {
        self.clocks().test()
    }

    /// Loads the test clock. Another node may have changed it: nodes with a shared database load it
    /// for each request of a development instance.
    ///
    /// # Errors
    /// The store fails.
    pub async fn follow_test_clock(&self) -> Result<(), StoreError> {
        let stored = self.store().test_clock(self.instance_id()).await?;
        if self.clocks().set_test(stored).resets < stored.resets {
            self.store().forget_activity(self.instance_id());
        }
        Ok(())
    }

    /// Stores the test clock that `decide` returns, and in the same commit moves everything open by
    /// the milliseconds that `decide` returns.
    ///
    /// # Errors
    /// The errors of `decide` and of the store.
    pub async fn move_test_clock<E: MaybeConflict>(
        &self,
        decide: impl Fn(TestClock, Moment) -> Result<(TestClock, Option<i64>), E>,
    ) -> Result<(), E> {
        self.retry_on_conflict(|| async {
            let stored = self.store().test_clock(self.instance_id()).await.map_err(CommitError::from)?;
            let at = stored.read(self.moment().wall);
            let (next, shift) = decide(stored, at)?;
            let changes = self.changes(at).write(Write::TestClock(next));
            self.commit(match shift {
                Some(by_ms) => changes.write(Write::RebaseOpenSessions(by_ms)),
                None => changes,
            })
            .await
            .map_err(E::from)
        })
        .await?;
        Ok(self.follow_test_clock().await.map_err(CommitError::from)?)
    }

    /// Resets the test clock to the wall clock. Everything that is still open moves by the same
    /// span, so that nothing lives longer and nothing becomes open again.
    ///
    /// # Errors
    /// The store fails.
    pub async fn reset_test_clock(&self) -> Result<(), CommitError> {
        self.move_test_clock(|clock, at| Ok((clock.reset(), Some(at.wall.as_millis() - at.now.as_millis()))))
            .await
    }
}
