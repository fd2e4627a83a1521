//! The deterministic simulator: browsers, several nodes, one store, one seed.
//!
//! A run has no thread, no timer and no clock of its own. Every request is a use case of
//! `sojourn-service`, as the server's handlers call it: a future that is polled by hand and
//! waits once for each answer of the store, so that others may come in between. A reference
//! state holds what happened, and the invariants are checked in what the service loads, writes
//! and answers and after every step (I1 to I5 of the requirements, ends with their records,
//! tokens with their times, dry runs with what then happens).
//!
//! A run that breaks one tells its seed and the shortest story that still does.

mod answers;
mod engine;
mod instance;
mod invariants;
mod mutations;
mod node;
mod reference_state;
mod request;
mod run_seeds;
mod shrink;
mod step;
mod use_cases;
mod world;

use std::fmt;

pub use mutations::Mutation;
pub use run_seeds::{Outcome, run_seeds};
pub use shrink::shrunk;
pub use step::{Ask, Choice, Step, Story, Turn, Until, Way};
use world::World;

/// An invariant that does not hold.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which.
    pub promise: &'static str,
    /// What was seen instead.
    pub what: String,
    /// What happened up to there, a line each.
    pub story: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.story {
            writeln!(f, "  {line}")?;
        }
        writeln!(f, "broken: {}", self.promise)?;
        write!(f, "  {}", self.what)
    }
}

fn violation<T>(promise: &'static str, what: String) -> Result<T, Violation> {
    Err(Violation { promise, what, story: Vec::new() })
}

fn ensure(is_kept: bool, promise: &'static str, what: impl FnOnce() -> String) -> Result<(), Violation> {
    if is_kept { Ok(()) } else { violation(promise, what()) }
}

/// What the runs covered: runs in which nothing happens violate nothing either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Sessions that were admitted.
    pub admitted: u64,
    /// Sessions that a limit ended.
    pub lapsed: u64,
    /// Sessions that a change of the settings ended.
    pub tightened: u64,
    /// Sessions that somebody ended.
    pub ended: u64,
    /// Tokens that were issued.
    pub tokens: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Sets that were decided again.
    pub conflicts: u64,
    /// Requests with a secret that was rotated away.
    pub old_secrets: u64,
    /// Dry runs that were held against what then happened.
    pub audits: u64,
    /// Sign-ins that took the place of one whose answer was lost.
    pub repeats: u64,
}

impl std::ops::AddAssign for Coverage {
    fn add_assign(&mut self, other: Self) {
        self.admitted += other.admitted;
        self.lapsed += other.lapsed;
        self.tightened += other.tightened;
        self.ended += other.ended;
        self.tokens += other.tokens;
        self.refused += other.refused;
        self.conflicts += other.conflicts;
        self.old_secrets += other.old_secrets;
        self.audits += other.audits;
        self.repeats += other.repeats;
    }
}

/// Runs a story in a world of its own.
///
/// # Errors
/// The first promise that is broken.
pub fn run(story: &Story, mutation: Option<Mutation>) -> Result<Coverage, Box<Violation>> {
    let run = |is_told| World::new(story, mutation, is_told)?.run(story);
    // The same again, to tell how it came about.
    run(false).or_else(|_| run(true)).map_err(Box::new)
}

/// Runs the story of a seed.
///
/// # Errors
/// The shortest story found that breaks the same promise, told with its seed.
pub fn run_seed(seed: u64) -> Result<Coverage, String> {
    let story = Story::of(seed);
    run(&story, None).map_err(|violation| {
        let (story, violation) = shrunk(story, *violation, None);
        format!(
            "seed {seed}, {} of its steps, {} nodes, {:?}:\n{violation}\nagain: make simulate FROM={seed} SEEDS=1",
            story.steps.len(),
            story.nodes,
            story.limits,
        )
    })
}
