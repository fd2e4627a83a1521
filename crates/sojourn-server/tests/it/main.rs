//! The server from outside, in one process: stories over HTTP.
//!
//! One binary, because linking takes longer than running.

mod lifetimes;
