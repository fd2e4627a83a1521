//! Many seeds on all cores.

use std::{
    num::NonZero,
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use super::{Coverage, run_seed};

/// What many seeds came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// How many ran.
    pub runs: u64,
    /// What they came by.
    pub coverage: Coverage,
    /// The first that broke a promise, each with its story.
    pub failures: Vec<String>,
}

/// Most failures that are told; then nothing more is run.
const ENOUGH: usize = 3;
/// How many seeds a core takes at a time.
const GROUP: u64 = 100;

/// Runs all seeds of a range, and tells `progress` now and then how far it is.
pub fn run_seeds(seeds: Range<u64>, progress: impl Fn(&Outcome) + Sync) -> Outcome {
    let (next, outcome) = (AtomicU64::new(seeds.start), Mutex::new(Outcome::default()));
    let work = || loop {
        let first = next.fetch_add(GROUP, Ordering::Relaxed);
        let mut found = Outcome::default();
        for seed in first..(first + GROUP).min(seeds.end) {
            found.runs += 1;
            match run_seed(seed) {
                Ok(coverage) => found.coverage += coverage,
                Err(failure) => found.failures.push(failure),
            }
        }
        let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.runs += found.runs;
        outcome.coverage += found.coverage;
        outcome.failures.extend(found.failures);
        outcome.failures.truncate(ENOUGH);
        progress(&outcome);
        if found.runs == 0 || outcome.failures.len() >= ENOUGH {
            return;
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, NonZero::get) {
            scope.spawn(work);
        }
    });
    outcome.into_inner().unwrap_or_else(PoisonError::into_inner)
}
