//! Rows besides the data itself: commit ids, events, and the high-water mark of the wall clock.

use sojourn_core::{
    id::{CommitId, InstanceId},
    time::Timestamp,
};

use super::{
    row::{Row, Unreadable, document, number, parsed, text, time},
    statement::{Command, ExpectedRows, Query, Statement, columns, json, statements, there},
    value::params,
};
use crate::{error::StoreError, records::OutboxEntry};

columns! { event_columns, of_event:
    ID "id";
    AT "at";
    NAME "name";
    DATA "data";
    SEQ "seq";
}

statements! { "outbox";
    COMMIT_KNOWN = both "SELECT 1 FROM commits WHERE instance_id = $1 AND id = $2";
    INSERT_COMMIT = both "INSERT INTO commits (instance_id, id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    // SQLite's single writer numbers events when it writes them. PostgreSQL has several writers, so
    // readers number them (docs/decisions/0006), in the order of the database clock. No rule
    // depends on that clock.
    INSERT_EVENT =
        sqlite "
            INSERT INTO outbox (instance_id, seq, id, at, name, data)
            SELECT $1, COALESCE(MAX(seq), 0) + 1, $2, $3, $4, $5
            FROM outbox
            WHERE instance_id = $1",
        postgres "
            INSERT INTO outbox (instance_id, id, at, name, data, written_at)
            VALUES ($1, $2, $3, $4, $5,
                CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT))";
    EVENTS = both concat!("SELECT ", event_columns!(), "
            FROM outbox WHERE instance_id = $1 AND seq > $2 ORDER BY seq LIMIT $3");
    UNNUMBERED_EVENT = postgres "SELECT 1 FROM outbox WHERE instance_id = $1 AND seq IS NULL LIMIT 1";
    LOCK_OUTBOX = postgres "SELECT 1 FROM instances WHERE id = $1 FOR UPDATE";
    NUMBER_EVENTS = postgres "
            UPDATE outbox
            SET seq = numbered.seq
            FROM (
                SELECT next.id, (
                    SELECT COALESCE(MAX(seq), 0)
                    FROM outbox
                    WHERE instance_id = $1
                ) + ROW_NUMBER() OVER (ORDER BY next.written_at, next.id) AS seq
                FROM (
                    SELECT id, written_at
                    FROM outbox
                    WHERE instance_id = $1 AND seq IS NULL
                    ORDER BY written_at, id
                    LIMIT $2
                ) AS next
            ) AS numbered
            WHERE outbox.instance_id = $1 AND outbox.id = numbered.id AND outbox.seq IS NULL";
    HIGH_WATER = both "SELECT high_water FROM clock WHERE id = 1";
    RAISE_HIGH_WATER = both "
            INSERT INTO clock (id, high_water)
            VALUES (1, $1)
            ON CONFLICT (id) DO UPDATE SET high_water = excluded.high_water
            WHERE clock.high_water < excluded.high_water";
    ACKNOWLEDGE = both "
            INSERT INTO outbox_readers (instance_id, name, seq)
            VALUES ($1, $2, $3)
            ON CONFLICT (instance_id, name) DO UPDATE SET seq = excluded.seq
            WHERE outbox_readers.seq < excluded.seq";
    FIRST_ACKNOWLEDGE = both "
            INSERT INTO outbox_readers (instance_id, name, seq)
            VALUES ($1, $2, $3)
            ON CONFLICT DO NOTHING";
    ACKNOWLEDGE_AFTER = both "
            UPDATE outbox_readers
            SET seq = $3
            WHERE instance_id = $1 AND name = $2 AND seq = $4";
    ACKNOWLEDGED = both "SELECT seq FROM outbox_readers WHERE instance_id = $1 AND name = $2";
}

pub(crate) fn is_known(instance: InstanceId, id: CommitId) -> Query<(), 2> {
    Query { sql: &COMMIT_KNOWN, params: params![instance, id], read: there }
}

/// Inserts a commit id. If it exists, the set is already applied.
pub(crate) fn remember(instance: InstanceId, id: CommitId) -> Statement {
    Statement { expected_rows: ExpectedRows::New, ..Statement::one(&INSERT_COMMIT, params![instance, id]) }
}

pub(crate) fn insert_event(instance: InstanceId, entry: &OutboxEntry) -> Result<Statement, StoreError> {
    let data = json("outbox", &entry.data)?;
    Ok(Statement::any(&INSERT_EVENT, params![instance, entry.id, entry.at, &entry.name, data]))
}

fn entry(row: &dyn Row) -> Result<OutboxEntry, Unreadable> {
    Ok(OutboxEntry {
        seq: number(row, of_event::SEQ)?,
        id: parsed(row, of_event::ID)?,
        at: time(row, of_event::AT)?,
        name: text(row, of_event::NAME)?.to_owned(),
        data: document(row, of_event::DATA)?,
    })
}

/// Events with a sequence number greater than `after`, oldest first.
pub(crate) fn events(instance: InstanceId, after: u64, limit: u32) -> Query<OutboxEntry, 3> {
    Query { sql: &EVENTS, params: params![instance, after, limit], read: entry }
}

/// Records that a reader has processed the events up to `seq`.
pub(crate) fn acknowledge(instance: InstanceId, reader: &str, seq: u64) -> Command<3> {
    Command { sql: &ACKNOWLEDGE, params: params![instance, reader.to_owned(), seq] }
}

/// Like [`acknowledge`], but a conflict unless the reader's number is `before`.
pub(crate) fn acknowledge_after(
    instance: InstanceId,
    reader: &'static str,
    before: Option<u64>,
    seq: u64,
) -> Statement {
    match before {
        None => Statement::one(&FIRST_ACKNOWLEDGE, params![instance, reader, seq]),
        Some(before) => Statement::one(&ACKNOWLEDGE_AFTER, params![instance, reader, seq, before]),
    }
}

/// The number up to which a reader has processed events.
pub(crate) fn acknowledged(instance: InstanceId, reader: &str) -> Query<u64, 2> {
    Query { sql: &ACKNOWLEDGED, params: params![instance, reader.to_owned()], read: |row| number(row, 0) }
}

/// Whether events without a sequence number exist.
pub(crate) fn unnumbered(instance: InstanceId) -> Query<(), 1> {
    Query { sql: &UNNUMBERED_EVENT, params: params![instance], read: there }
}

/// Stops other readers from numbering events until the commit.
pub(crate) fn lock_outbox(instance: InstanceId) -> Statement {
    Statement::any(&LOCK_OUTBOX, params![instance])
}

/// Numbers up to `limit` committed events that have no number.
pub(crate) fn number_events(instance: InstanceId, limit: u32) -> Statement {
    Statement::any(&NUMBER_EVENTS, params![instance, limit])
}

pub(crate) fn high_water() -> Query<Timestamp, 0> {
    Query { sql: &HIGH_WATER, params: [], read: |row| time(row, 0) }
}

pub(crate) fn raise_high_water(now: Timestamp) -> Command<1> {
    Command { sql: &RAISE_HIGH_WATER, params: params![now] }
}
