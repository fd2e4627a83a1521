//! What a PostgreSQL server says of itself, for a check of the setup.

use deadpool_postgres::Object;
use sojourn_core::time::Timestamp;

use super::url::ServerUrl;
use crate::error::StoreError;

/// The facts of a server that decide whether acknowledged commits survive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerReport {
    /// For people: `15.8 (Debian 15.8-0+deb12u1)`.
    pub version: String,
    /// `server_version_num`: 150008 is 15.8.
    pub version_number: u32,
    /// The server's clock.
    pub now: Timestamp,
    /// Whether it only follows another server and refuses writes.
    pub is_standby: bool,
    /// Whether a commit waits until the disk has it.
    pub fsync: bool,
    /// `on`, `off`, `local`, `remote_write`, `remote_apply`.
    pub synchronous_commit: String,
    pub full_page_writes: bool,
    pub max_connections: u32,
}

const REPORT: &str = "SELECT current_setting('server_version'), current_setting('server_version_num')::int8, \
     (extract(epoch FROM clock_timestamp()) * 1000)::int8, pg_is_in_recovery(), \
     current_setting('fsync') = 'on', current_setting('synchronous_commit'), \
     current_setting('full_page_writes') = 'on', current_setting('max_connections')::int8";

pub(super) async fn read(connection: &Object, server: &ServerUrl) -> Result<ServerReport, StoreError> {
    let refused = |error: tokio_postgres::Error| {
        StoreError::Unavailable(format!("{server} does not describe itself: {error}"))
    };
    // Without preparing: a pooler in transaction mode may stand between.
    let row = connection.query_typed(REPORT, &[]).await.map_err(refused)?;
    let row = row.first().ok_or_else(|| StoreError::Unavailable(format!("{server} answered nothing")))?;
    let number = |column: usize| row.try_get::<_, i64>(column).map_err(refused);
    let count = |column: usize| number(column).map(|number| u32::try_from(number).unwrap_or(u32::MAX));
    let text = |column: usize| row.try_get::<_, String>(column).map_err(refused);
    let yes = |column: usize| row.try_get::<_, bool>(column).map_err(refused);
    Ok(ServerReport {
        version: text(0)?,
        version_number: count(1)?,
        now: Timestamp::from_millis(number(2)?),
        is_standby: yes(3)?,
        fsync: yes(4)?,
        synchronous_commit: text(5)?,
        full_page_writes: yes(6)?,
        max_connections: count(7)?,
    })
}
