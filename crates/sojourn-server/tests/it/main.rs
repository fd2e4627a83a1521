//! The server from outside, in one process: stories over HTTP.
//!
//! One binary, because linking takes longer than running.

mod accounts;
mod browsers;
mod ends;
mod fuzz;
mod lifetimes;
mod malformed;
mod origins;
mod races;
mod redirects;
mod secrets;
mod sign_ins;
mod tokens;
