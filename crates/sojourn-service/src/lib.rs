//! The use cases of Sojourn, without HTTP.
//!
//! Each function loads one aggregate, lets `sojourn-core` decide, commits, and
//! returns what the decision was. Errors are enums; the server maps them to the
//! codes of its answers in one place.

pub mod clock;
mod error;
mod first_instance;
mod instance;
pub mod jobs;
pub mod keys;
pub mod mail;
pub mod passwords;
pub mod rate_limits;
mod rng;
pub mod sessions;
pub mod tokens;

pub use clock::Clock;
pub use error::MaybeConflict;
pub use instance::{Options, Service, StartError};
pub use keys::MasterKey;
pub use rng::{Rng, RngHandle};
