//! A clock that only a test changes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use sojourn_core::time::Timestamp;

/// The initial time of every test: 2026-01-01T00:00:00Z.
pub const START: Timestamp = Timestamp::from_secs(1_767_225_600);

/// A clone uses the same clock.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl Default for ManualClock {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(START.as_millis())))
    }
}

impl ManualClock {
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    pub fn advance(&self, span: Duration) {
        let millis = i64::try_from(span.as_millis()).expect("a span within a lifetime");
        self.0.fetch_add(millis, Ordering::SeqCst);
    }

    /// Sets the clock, also backwards, as can happen on real machines.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_millis(), Ordering::SeqCst);
    }
}

impl sojourn_service::Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Self::now(self)
    }
}
