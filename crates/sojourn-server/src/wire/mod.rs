//! JSON shapes and the error vocabulary that the Frontend and the Backend API
//! share. Times are milliseconds here; only token claims are in seconds.

mod avatar;
pub mod client;
pub mod environment;
pub mod error;
pub mod params;
pub mod session;
pub mod session_end;
pub mod sign_in;
pub mod sign_up;
mod unread;
pub mod user;

pub use error::{ApiError, ApiResult, ErrorCode};
pub use params::Params;
pub use unread::unread;
