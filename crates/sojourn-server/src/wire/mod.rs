//! Conversions from the core's types to those of `sojourn-api`, and the error
//! vocabulary that the Frontend and the Backend API share.

pub mod audit;
mod avatar;
pub mod client;
pub mod environment;
pub mod error;
mod keys;
pub mod params;
pub mod session;
pub mod session_end;
pub mod settings;
pub mod sign_in;
pub mod sign_up;
pub mod user;
pub mod webhook;

pub use error::{ApiError, ApiResult, ErrorCode, ErrorTexts};
pub use keys::key_set;
pub use params::Params;

use sojourn_api::UnixMillis;
use sojourn_core::time::Timestamp;

/// A point in time as the API writes it; only token claims are in seconds.
pub const fn millis(time: Timestamp) -> UnixMillis {
    UnixMillis(time.as_millis())
}
