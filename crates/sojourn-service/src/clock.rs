//! The two clocks of a server: the wall clock, which never goes back, and the session clock, which
//! the test clock of a development instance can advance.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use sojourn_core::{
    audit::{Act, Action, AuditContext},
    session::Session,
    test_clock::{ClockRefusal, TestClock},
    time::{Moment, Timestamp},
};
use sojourn_store::{CommitError, Engine as _, StoreError, Write};

use crate::{
    error::MaybeConflict,
    instance::Service,
    jobs::{purge, sweep},
    outcome::{Failure, Reason},
};

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

/// How the test clock of a development instance is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockMove {
    Freeze,
    Resume,
    Advance(Duration),
    Set(Timestamp),
    /// Back to the wall. Revives nothing: open sessions keep the time they have left, because
    /// their times are moved along.
    Reset,
}

impl ClockMove {
    const fn action(self) -> Action {
        match self {
            Self::Freeze => Action::TestClockFrozen,
            Self::Resume => Action::TestClockResumed,
            Self::Advance(_) => Action::TestClockAdvanced,
            Self::Set(_) => Action::TestClockSet,
            Self::Reset => Action::TestClockReset,
        }
    }
}

impl Reason for ClockRefusal {}

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

    /// Moves the test clock, and does what is due by it then. Gives back the sessions that this
    /// ended, oldest end first; `None` for a move that makes nothing due.
    ///
    /// # Errors
    /// [`ClockRefusal`]; the store does not answer.
    pub async fn move_test_clock(
        &self,
        context: &AuditContext,
        by: ClockMove,
    ) -> Result<Option<Vec<Session>>, Failure<ClockRefusal>> {
        // What is due by the clock as it is now is recorded with the time it was due at.
        let closed = if by == ClockMove::Reset { Some(self.do_what_is_due().await?) } else { None };
        let decide = |clock: TestClock, wall| -> Result<_, Failure<ClockRefusal>> {
            Ok(match by {
                ClockMove::Freeze => clock.freeze(wall),
                ClockMove::Resume => clock.resume(wall),
                ClockMove::Advance(span) => clock.advance(wall, span)?,
                ClockMove::Set(to) => clock.set(wall, to)?,
                ClockMove::Reset => clock.reset(),
            })
        };
        self.store_test_clock(context, by.action(), decide).await?;
        match by {
            ClockMove::Advance(_) | ClockMove::Set(_) => Ok(Some(self.do_what_is_due().await?)),
            _ => Ok(closed),
        }
    }

    /// Sets the test clock back to the wall.
    pub(crate) async fn reset_test_clock(&self, context: &AuditContext) -> Result<(), CommitError> {
        self.store_test_clock(context, Action::TestClockReset, |clock, _| Ok(clock.reset())).await
    }

    /// Stores what `decide` makes of the test clock. Everything that is still open moves along with
    /// one that goes back to the wall, in the same commit.
    async fn store_test_clock<E: MaybeConflict>(
        &self,
        context: &AuditContext,
        action: Action,
        decide: impl Fn(TestClock, Timestamp) -> Result<TestClock, E>,
    ) -> Result<(), E> {
        self.retry_on_conflict(|| async {
            let stored = self.store().test_clock(self.instance_id()).await.map_err(CommitError::from)?;
            let at = stored.read(self.moment().wall);
            let next = decide(stored, at.wall)?;
            let (before, after) = (at.now.as_millis(), next.read(at.wall).now.as_millis());
            let act = Act::on(action, self.instance_id()).field("now", before, after);
            let mut changes = self.act(at, context, act).write(Write::TestClock(next));
            if next.resets > stored.resets {
                let shift_ms = at.wall.as_millis() - at.now.as_millis();
                changes = changes.write(Write::RebaseOpenSessions(shift_ms));
            }
            self.commit(changes).await.map_err(E::from)
        })
        .await?;
        Ok(self.follow_test_clock().await.map_err(CommitError::from)?)
    }

    async fn do_what_is_due(&self) -> Result<Vec<Session>, CommitError> {
        let at = self.moment();
        let mut closed = sweep::pass(self, at, true).await?.closed;
        purge(self, at).await?;
        closed.sort_by_key(|session| (session.closed.map(|closing| closing.at), session.id));
        Ok(closed)
    }
}
