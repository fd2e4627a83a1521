//! The source of randomness.

use std::{fmt, sync::Mutex};

use sojourn_core::id::Randomness;

/// The source of randomness.
pub enum Rng {
    System,
    /// A seeded generator of a test, so that ids are always the same.
    Seeded(Mutex<Box<dyn Randomness + Send>>),
}

impl fmt::Debug for Rng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "System",
            Self::Seeded(_) => "Seeded",
        })
    }
}

impl Rng {
    /// For those that draw from it.
    pub const fn handle(&self) -> RngHandle<'_> {
        RngHandle(self)
    }
}

/// A handle that implements [`Randomness`].
#[derive(Debug)]
pub struct RngHandle<'a>(pub(crate) &'a Rng);

impl Randomness for RngHandle<'_> {
    fn fill(&mut self, bytes: &mut [u8]) {
        match self.0 {
            Rng::System => aws_lc_rs::rand::fill(bytes).expect("the operating system gives randomness"),
            Rng::Seeded(rng) => rng.lock().expect("no test panics while drawing").fill(bytes),
        }
    }
}
