//! The built binary, seen from outside.

mod client_commands;
mod process;
mod support;
