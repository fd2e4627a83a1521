//! Where randomness comes from.

use std::sync::Mutex;

use sojourn_core::{id::Randomness, testing::SeededRng};

/// Where randomness comes from.
#[derive(Debug)]
pub enum Rng {
    /// The operating system.
    System,
    /// Seeded, so that ids in tests are always the same.
    Seeded(Mutex<SeededRng>),
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
