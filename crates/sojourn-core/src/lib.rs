//! The rules of Sojourn: session lifetime, the sessions of a client, and token claims. The crate is
//! pure: `now` and randomness are arguments, facts are stored, conclusions are derived, and nothing
//! here depends on HTTP, SQL or files.
//!
//! Start with [`session::decide`], the rule of session lifetime, and [`client`], the rules for one
//! browser with one or several accounts.

pub mod activity;
pub mod audit;
pub mod claims;
pub mod client;
pub mod cookie;
pub mod email;
pub mod environment;
pub mod event;
pub mod factor;
pub mod forecast;
pub mod handshake;
pub mod host;
pub mod id;
pub mod impersonation;
pub mod imported_hash;
pub mod language;
pub mod lifetime;
pub mod line;
pub mod nearest;
pub mod outgoing_mail;
pub mod password;
pub mod policy;
pub mod session;
pub mod settings;
pub mod sign_in;
pub mod sign_up;
pub mod signing_key;
pub mod simulation;
pub mod template;
pub mod test_clock;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
pub mod user;
pub mod user_agent;
pub mod webhook;
