//! The built binary, seen from outside.

mod acme;
mod audit;
mod backup;
mod behind_proxies;
mod client_commands;
mod crash;
mod doctor;
mod import_users;
mod log_secrets;
mod logs;
mod lost_commit;
mod mail;
mod metrics;
mod migrate;
mod moving;
mod nodes;
mod on_postgres;
mod people;
mod personal_data;
#[path = "../../../sojourn-store/tests/support/postgres.rs"]
mod postgres;
mod process;
mod production;
mod proxy;
mod raw_http;
mod rolling_restart;
mod settings_as_code;
mod stand_in;
mod support;
mod systemd;
mod tls;
mod webhooks;
