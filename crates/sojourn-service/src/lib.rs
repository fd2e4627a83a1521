//! The use cases of Sojourn, without HTTP.
//!
//! Each function loads one aggregate, calls `sojourn-core` to decide, commits, and returns the
//! decision. Errors are enums; the server maps them to error codes in one place.

pub mod account;
pub mod audit_log;
pub mod browser;
pub mod clock;
mod credential;
mod cut_claims;
mod error;
pub mod factors;
mod first_instance;
pub mod idempotency;
mod instance;
pub mod jobs;
pub mod keys;
pub mod mail;
pub mod outcome;
pub mod passwords;
pub mod personal_data;
pub mod rate_limits;
mod rng;
pub mod secret_keys;
pub mod sessions;
pub mod settings;
pub mod sign_in;
pub mod sign_up;
pub mod signing_keys;
pub mod tickets;
pub mod tokens;
pub mod user_import;
pub mod users;
pub mod webhooks;

pub use browser::{BrowserContext, RequestContext};
pub use clock::Clock;
pub use cut_claims::{CutClaims, CutClaimsReport};
pub use error::MaybeConflict;
pub use first_instance::{InstanceKind, NewInstance, create_production};
pub use instance::{Options, Service, StartError};
pub use keys::MasterKey;
pub use outcome::{Failure, Reason, Shown};
pub use rng::{Rng, RngHandle};
