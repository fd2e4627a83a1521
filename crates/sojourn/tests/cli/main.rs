//! The built binary, seen from outside.

mod client_commands;
mod crash;
mod logs;
mod process;
mod raw_http;
mod support;
