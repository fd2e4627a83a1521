//! Connections: to a server that keeps what it acknowledges, and to no other.

use std::time::Duration;

use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
};
use tokio_postgres::{
    Config, NoTls, SimpleQueryMessage,
    config::{Host, SslMode, TargetSessionAttrs},
};

use super::failure::{Failure, told};
use crate::engine::StoreError;

/// How long anything may take the server, and anybody waits for it.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How long it may take to connect, or to get a connection that others use.
const CONNECT: Duration = Duration::from_secs(2);
/// Connections of one node. More only queue up in the server.
const CONNECTIONS: usize = 16;

/// Run on each new connection; the answers are checked by [`unfit`].
const INTRODUCTION: &str = "SET statement_timeout = 4000; SET idle_in_transaction_session_timeout = 10000; SHOW synchronous_commit; SHOW transaction_read_only; SHOW server_encoding";

/// The pool of the server that `url` names, and its name without a password.
pub(super) fn pool(url: &str) -> Result<(Pool, String), StoreError> {
    let unusable = |path: &str, reason: String| StoreError::Unusable { path: path.to_owned(), reason };
    // What cannot be read may hold a password anywhere: it is not repeated.
    let config: Config = url.parse().map_err(|error| unusable("the PostgreSQL URL", told(&error)))?;
    let name = name(&config);
    refuse_plain_text(&config).map_err(|reason| unusable(&name, reason))?;
    let manager = Manager::from_config(
        prepared(config),
        NoTls,
        ManagerConfig { recycling_method: RecyclingMethod::Fast },
    );
    let pool = Pool::builder(manager)
        .max_size(CONNECTIONS)
        .wait_timeout(Some(CONNECT))
        .create_timeout(Some(CONNECT))
        .recycle_timeout(Some(CONNECT))
        .runtime(Runtime::Tokio1)
        .post_create(Hook::async_fn(|client, _| Box::pin(introduce(client))))
        .build()
        .map_err(|error| unusable(&name, error.to_string()))?;
    Ok((pool, name))
}

fn prepared(mut config: Config) -> Config {
    config.connect_timeout(CONNECT).tcp_user_timeout(PATIENCE).keepalives_idle(Duration::from_secs(30));
    if config.get_application_name().is_none() {
        config.application_name("sojourn");
    }
    // Of several servers only the one that takes writes: another may not know yet what has ended.
    if config.get_hosts().len() > 1 {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    config
}

fn name(config: &Config) -> String {
    let host = |(index, host): (usize, &Host)| {
        let ports = config.get_ports();
        let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
        match host {
            Host::Tcp(name) => format!("{name}:{port}"),
            Host::Unix(path) => format!("{}:{port}", path.display()),
        }
    };
    let hosts: Vec<String> = config.get_hosts().iter().enumerate().map(host).collect();
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    format!("postgres://{}/{database}", hosts.join(","))
}

/// This version speaks no TLS to the database. It says so, instead of sending
/// secrets in plain text to another machine without being asked to.
fn refuse_plain_text(config: &Config) -> Result<(), String> {
    let local = |host: &Host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
        }
    };
    let addresses_local = config.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback);
    match config.get_ssl_mode() {
        SslMode::Disable => Ok(()),
        SslMode::Prefer if addresses_local && config.get_hosts().iter().all(local) => Ok(()),
        _ => Err("the connection would not be encrypted, which this version cannot do; add sslmode=disable to the URL if the network to the database is trusted, or connect through a tunnel on this machine".to_owned()),
    }
}

/// Gets a connection to know, and refuses a server that cannot keep our promises.
async fn introduce(client: &mut ClientWrapper) -> Result<(), HookError> {
    let answers = client.simple_query(INTRODUCTION).await.map_err(HookError::Backend)?;
    let mut answers = answers.iter().filter_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    let mut next = || answers.next().unwrap_or_default();
    match unfit(next(), next(), next()) {
        Some(reason) => Err(HookError::message(reason)),
        None => Ok(()),
    }
}

fn unfit(synchronous_commit: &str, read_only: &str, encoding: &str) -> Option<&'static str> {
    if synchronous_commit == "off" {
        return Some(
            "synchronous_commit is off there: what was acknowledged could be lost; set it to on for this database",
        );
    }
    if read_only != "off" {
        return Some("the server takes no writes: it is a replica, or set to read-only; name the primary");
    }
    if encoding != "UTF8" {
        return Some("the encoding of the database is not UTF8; create one with ENCODING 'UTF8'");
    }
    None
}

/// A connection for the first time: says in full what is wrong with the server.
pub(super) async fn first_connection(pool: &Pool, name: &str) -> Result<Object, StoreError> {
    pool.get().await.map_err(|error| match error {
        PoolError::PostCreateHook(HookError::Message(reason)) => {
            StoreError::Unusable { path: name.to_owned(), reason: reason.into_owned() }
        }
        other => unavailable(other),
    })
}

/// A connection that nobody else uses.
pub(super) async fn connection(pool: &Pool) -> Result<Object, Failure> {
    pool.get().await.map_err(|error| match error {
        PoolError::Closed => Failure::Store(StoreError::closed()),
        other => Failure::Store(unavailable(other)),
    })
}

fn unavailable(error: PoolError) -> StoreError {
    let reason = match error {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => told(&error),
        other => other.to_string(),
    };
    StoreError::Unavailable(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> Option<String> {
        pool(url).err().map(|error| error.to_string())
    }

    #[test]
    fn nothing_is_sent_in_plain_text_to_another_machine_unless_asked_for() {
        for fine in [
            "postgres://sojourn@localhost/sojourn",
            "postgres://sojourn@127.0.0.1:5600/sojourn",
            "postgres://sojourn@%2Frun%2Fpostgresql/sojourn",
            "postgres://sojourn@db.example.com/sojourn?sslmode=disable",
        ] {
            assert_eq!(refusal(fine), None, "{fine}");
        }
        for plain in [
            "postgres://sojourn:hunter2@db.example.com/sojourn",
            "postgres://sojourn:hunter2@10.0.0.7/sojourn?sslmode=prefer",
            "postgres://sojourn:hunter2@localhost,db.example.com/sojourn",
            "postgres://sojourn:hunter2@localhost/sojourn?sslmode=require",
            "postgres://sojourn:hunter2@localhost/sojourn?hostaddr=10.0.0.7",
        ] {
            let reason = refusal(plain).unwrap_or_default();
            assert!(reason.contains("encrypted") && !reason.contains("hunter2"), "{plain}: {reason}");
        }
        let reason = refusal("postgres://sojourn:hunter2@localhost:port/sojourn").unwrap_or_default();
        assert!(!reason.is_empty() && !reason.contains("hunter2"), "{reason}");
    }

    #[test]
    fn a_server_that_may_forget_or_takes_no_writes_is_refused() {
        assert_eq!(unfit("on", "off", "UTF8"), None);
        assert_eq!(unfit("remote_apply", "off", "UTF8"), None);
        assert!(unfit("off", "off", "UTF8").is_some());
        assert!(unfit("on", "on", "UTF8").is_some());
        assert!(unfit("on", "off", "LATIN1").is_some());
        assert!(unfit("", "", "").is_some());
    }
}
