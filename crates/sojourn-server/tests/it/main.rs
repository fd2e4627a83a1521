//! The server from outside, in one process: stories over HTTP.
//!
//! One binary, because linking takes longer than running.

mod accounts;
mod bapi_doors;
mod bapi_handshake;
mod bapi_races;
mod bapi_sessions;
mod bapi_settings;
mod bapi_users;
mod browsers;
mod ends;
mod fuzz;
mod impersonation;
mod lifetimes;
mod malformed;
mod me;
mod origins;
mod races;
mod redirects;
mod secrets;
mod sign_ins;
mod tokens;
