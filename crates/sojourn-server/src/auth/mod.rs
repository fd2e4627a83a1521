//! Who is calling, from where, and where they may be sent.

pub mod browser;
pub mod host;
pub mod origin;
pub mod secret_key;
pub mod visit;

pub use browser::{BrowserContext, BrowserCredentials};
pub use secret_key::ApplicationServer;
pub use visit::{InForce, RequestContext};
