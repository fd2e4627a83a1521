//! The deterministic simulator: browsers, several nodes, one store, one seed.
//!
//! A run has no thread, no timer and no clock of its own. Every request goes
//! through the store's interface and the core's functions as a handler's does:
//! load, decide, commit, answer, each a step that others may come between. What
//! happened is kept in a truth of its own, and after every step the promises
//! are looked at (I1 to I5 of the requirements, ends with their records, tokens
//! with their times, dry runs with what then happens).
//!
//! A run that breaks one tells its seed and the shortest story that still does.

mod campaign;
mod instance;
mod judge;
mod node;
mod outside;
mod plant;
mod request;
mod shell;
mod shorten;
mod step;
mod truth;
mod world;

use std::fmt;

pub use campaign::{Outcome, campaign};
pub use plant::Plant;
pub use shorten::shortened;
pub use step::{Ask, Choice, Step, Story, Turn, Way};
use world::World;

/// A promise that was not kept.
#[derive(Clone, Debug)]
pub struct Broken {
    /// Which.
    pub promise: &'static str,
    /// What was seen instead.
    pub what: String,
    /// What happened up to there, a line each.
    pub story: Vec<String>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.story {
            writeln!(f, "  {line}")?;
        }
        writeln!(f, "broken: {}", self.promise)?;
        write!(f, "  {}", self.what)
    }
}

fn broken<T>(promise: &'static str, what: String) -> Result<T, Broken> {
    Err(Broken { promise, what, story: Vec::new() })
}

fn hold(is_kept: bool, promise: &'static str, what: impl FnOnce() -> String) -> Result<(), Broken> {
    if is_kept { Ok(()) } else { broken(promise, what()) }
}

/// What a run came by, so that nobody is content with runs in which nothing happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sights {
    /// Sessions that were admitted.
    pub admitted: u64,
    /// Sessions that a limit ended.
    pub lapsed: u64,
    /// Sessions that a change of the settings ended.
    pub tightened: u64,
    /// Sessions that somebody ended.
    pub ended: u64,
    /// Tokens that were told.
    pub tokens: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Sets that were decided again.
    pub conflicts: u64,
    /// Requests with a secret that was rotated away.
    pub old_secrets: u64,
    /// Dry runs that were held against what then happened.
    pub audits: u64,
}

impl std::ops::AddAssign for Sights {
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
    }
}

/// Runs a story in a world of its own.
///
/// # Errors
/// The first promise that is broken.
pub fn run(story: &Story, plant: Option<Plant>) -> Result<Sights, Box<Broken>> {
    let mut world = World::new(story, plant);
    world.live(story).map_err(Box::new)
}

/// Runs the story of a seed.
///
/// # Errors
/// The shortest story found that breaks the same promise, told with its seed.
pub fn run_seed(seed: u64) -> Result<Sights, String> {
    let story = Story::of(seed);
    run(&story, None).map_err(|broken| {
        let (story, broken) = shortened(story, *broken, None);
        format!(
            "seed {seed}, {} of its steps, {} nodes, {:?}:\n{broken}\nagain: make simulate FROM={seed} SEEDS=1",
            story.steps.len(),
            story.nodes,
            story.limits,
        )
    })
}
