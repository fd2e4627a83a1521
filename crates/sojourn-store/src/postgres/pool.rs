//! The connection pool. It refuses servers that can lose acknowledged commits.

use std::time::Duration;

use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
};
use sojourn_metrics::{POOL_WAITS, Stopwatch};
use tokio_postgres::{Config, NoTls, SimpleQueryMessage, config::TargetSessionAttrs};

use super::{
    failure::{Failure, failed, told},
    tls,
    url::ServerUrl,
};
use crate::error::StoreError;

/// The maximum duration of an operation, including waiting for it.
pub(super) const QUERY_TIMEOUT: Duration = Duration::from_secs(5);
/// The timeout for connecting, and for waiting for a pooled connection.
const CONNECT: Duration = Duration::from_secs(2);
/// The maximum number of connections per node. More would only queue in the server.
const CONNECTIONS: usize = 16;

/// Runs on each new connection; [`unfit`] checks the results.
const INTRODUCTION: &str = "SHOW synchronous_commit; SHOW transaction_read_only; SHOW server_encoding";
/// Runs on each new direct connection.
const SESSION_LIMITS: &str = "SET statement_timeout = 4000; SET idle_in_transaction_session_timeout = 10000";

/// What a connection keeps between transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Session {
    /// A connection of the server itself. It keeps settings and prepared statements.
    Direct,
    /// A pooler, which may run each transaction on another connection of the server and share that
    /// connection with other programs. Session state could be lost or, worse, mixed up: a prepared
    /// statement could be another program's statement of the same name.
    Pooled,
}

/// Creates the pool, and detects whether a pooler is used.
pub(super) async fn open(server: &ServerUrl) -> Result<(Pool, Session), StoreError> {
    let session = match server.prepared_statements() {
        Some(true) => Session::Direct,
        Some(false) => Session::Pooled,
        None => detect(server).await?,
    };
    if session == Session::Pooled {
        tracing::info!("the database is behind a pooler in transaction mode: statements are not prepared");
    }
    Ok((pool(server, session)?, session))
}

/// Detects a pooler by the process ids of the server. Without a pooler two connections are two
/// processes, and each keeps its own. With a pooler both get the most recently used process, or
/// alternating ones.
async fn detect(server: &ServerUrl) -> Result<Session, StoreError> {
    let pool = pool(server, Session::Pooled)?;
    let one = first_connection(&pool, server).await?;
    let other = first_connection(&pool, server).await?;
    let mut processes = Vec::new();
    for connection in [&one, &one, &other] {
        let row = connection.query_typed_one("SELECT pg_backend_pid()", &[]).await;
        processes.push(row.and_then(|row| row.try_get::<_, i32>(0)).map_err(|error| failed(&error))?);
    }
    let direct = processes[0] == processes[1] && processes[1] != processes[2];
    Ok(if direct { Session::Direct } else { Session::Pooled })
}

fn pool(server: &ServerUrl, session: Session) -> Result<Pool, StoreError> {
    let unusable = |reason: String| StoreError::Unusable { path: server.to_string(), reason };
    let (config, keep) =
        (prepared(server.config()), ManagerConfig { recycling_method: RecyclingMethod::Fast });
    let manager = match server.tls() {
        Some(roots) => Manager::from_config(config, tls::connector(roots).map_err(unusable)?, keep),
        None => Manager::from_config(config, NoTls, keep),
    };
    Pool::builder(manager)
        .max_size(CONNECTIONS)
        .wait_timeout(Some(CONNECT))
        .create_timeout(Some(CONNECT))
        .recycle_timeout(Some(CONNECT))
        .runtime(Runtime::Tokio1)
        .post_create(Hook::async_fn(move |client, _| Box::pin(introduce(client, session))))
        .build()
        .map_err(|error| unusable(error.to_string()))
}

fn prepared(mut config: Config) -> Config {
    config.connect_timeout(CONNECT).tcp_user_timeout(QUERY_TIMEOUT).keepalives_idle(Duration::from_secs(30));
    if config.get_application_name().is_none() {
        config.application_name("sojourn");
    }
    // Of several servers use only the primary: a replica may not have the latest closings yet.
    if config.get_hosts().len() > 1 {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    config
}

/// Prepares a new connection, and refuses a server that cannot give our guarantees.
async fn introduce(client: &mut ClientWrapper, session: Session) -> Result<(), HookError> {
    if session == Session::Direct {
        client.batch_execute(SESSION_LIMITS).await.map_err(HookError::Backend)?;
    }
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

/// The first connection. Its error describes in full why the server cannot be used.
pub(super) async fn first_connection(pool: &Pool, server: &ServerUrl) -> Result<Object, StoreError> {
    pool.get().await.map_err(|error| {
        let reason = match &error {
            PoolError::PostCreateHook(HookError::Message(reason)) => Some(reason.to_string()),
            PoolError::Backend(error) => tls::distrust(error),
            _ => None,
        };
        match reason {
            Some(reason) => StoreError::Unusable { path: server.to_string(), reason },
            None => unavailable(error),
        }
    })
}

/// A pooled connection.
pub(super) async fn connection(pool: &Pool) -> Result<Object, Failure> {
    let started = Stopwatch::start();
    let connection = pool.get().await;
    POOL_WAITS.observe(0, started.elapsed());
    connection.map_err(|error| match error {
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

    #[test]
    fn a_server_without_durability_or_write_access_is_refused() {
        assert_eq!(unfit("on", "off", "UTF8"), None);
        assert_eq!(unfit("remote_apply", "off", "UTF8"), None);
        assert!(unfit("off", "off", "UTF8").is_some());
        assert!(unfit("on", "on", "UTF8").is_some());
        assert!(unfit("on", "off", "LATIN1").is_some());
        assert!(unfit("", "", "").is_some());
    }
}
