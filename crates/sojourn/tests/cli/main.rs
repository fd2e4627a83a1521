//! The built binary, seen from outside.

mod client_commands;
mod crash;
mod migrate;
mod nodes;
mod on_postgres;
mod people;
#[path = "../../../sojourn-store/tests/support/postgres.rs"]
mod postgres;
mod process;
mod support;
