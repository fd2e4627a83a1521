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
mod clock;
mod credentials;
mod end_notices;
mod ends;
mod enumeration;
mod fuzz;
mod histories;
mod idempotency;
mod impersonation;
mod lifetimes;
mod lost_answers;
mod mail;
mod malformed;
mod me;
mod not_offered;
mod origins;
mod pages;
mod password_hashes;
mod races;
mod redirects;
mod request_fields;
mod secret_keys;
mod secrets;
mod session_ends;
mod session_revocations;
mod settings_config;
mod settings_forecast;
mod settings_history;
mod settings_jumps;
mod settings_pins;
mod settings_registry;
mod sign_ins;
mod signing_keys;
mod token_kinds;
mod tokens;
mod webkit;
