//! Where randomness comes from.

use std::{fmt, sync::Mutex};

use sojourn_core::id::Randomness;

/// Where randomness comes from.
pub enum Rng {
    /// The operating system.
    System,
    /// A test's, so that ids are always the same.
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

/// One draw from an [`Rng`].
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
