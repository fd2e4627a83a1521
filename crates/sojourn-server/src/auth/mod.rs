//! Who is calling, from where, and where they may be sent.

pub mod browser;
pub mod forwarded;
pub mod host;
pub mod origin;
pub mod request;
pub mod secret_key;

pub use browser::BrowserCredentials;
pub use forwarded::{Connection, ForwardedHeader, TrustedProxies};
pub use request::InForce;
pub use secret_key::ApplicationServer;
