//! What is written beside the rows themselves: commit ids, events, the
//! high-water mark of time.

use sojourn_core::{
    id::{CommitId, InstanceId},
    time::Timestamp,
};

use super::{
    Change, Load, Row, Step, Unreadable, Want, json, params,
    row::{document, number, parsed, text, time},
    statements, there,
};
use crate::{error::StoreError, records::OutboxEntry};

statements! { "outbox";
    COMMIT_KNOWN = "SELECT 1 FROM commits WHERE instance_id = $1 AND id = $2";
    INSERT_COMMIT = "INSERT INTO commits (instance_id, id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    // SQLite's one writer numbers events. With several writers readers do (docs/decisions/0006):
    // what is not numbered yet goes by the database's clock, which says nothing to any rule.
    INSERT_EVENT = sqlite "INSERT INTO outbox (instance_id, seq, id, at, name, data) SELECT $1, COALESCE(MAX(seq), 0) + 1, $2, $3, $4, $5 FROM outbox WHERE instance_id = $1" postgres "INSERT INTO outbox (instance_id, id, at, name, data, written_at) VALUES ($1, $2, $3, $4, $5, CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT))";
    EVENTS = "SELECT id, at, name, data, seq FROM outbox WHERE instance_id = $1 AND seq > $2 ORDER BY seq LIMIT $3";
    UNNUMBERED_EVENT = postgres "SELECT 1 FROM outbox WHERE instance_id = $1 AND seq IS NULL LIMIT 1";
    LOCK_OUTBOX = postgres "SELECT 1 FROM instances WHERE id = $1 FOR UPDATE";
    NUMBER_EVENTS = postgres "UPDATE outbox SET seq = numbered.seq FROM (SELECT next.id, (SELECT COALESCE(MAX(seq), 0) FROM outbox WHERE instance_id = $1) + ROW_NUMBER() OVER (ORDER BY next.written_at, next.id) AS seq FROM (SELECT id, written_at FROM outbox WHERE instance_id = $1 AND seq IS NULL ORDER BY written_at, id LIMIT $2) AS next) AS numbered WHERE outbox.instance_id = $1 AND outbox.id = numbered.id AND outbox.seq IS NULL";
    HIGH_WATER = "SELECT high_water FROM clock WHERE id = 1";
    RAISE_HIGH_WATER = "INSERT INTO clock (id, high_water) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET high_water = excluded.high_water WHERE clock.high_water < excluded.high_water";
    ACKNOWLEDGE = "INSERT INTO outbox_readers (instance_id, name, seq) VALUES ($1, $2, $3) ON CONFLICT (instance_id, name) DO UPDATE SET seq = excluded.seq WHERE outbox_readers.seq < excluded.seq";
    ACKNOWLEDGED = "SELECT seq FROM outbox_readers WHERE instance_id = $1 AND name = $2";
}

pub(crate) fn is_known(instance: InstanceId, id: CommitId) -> Load<(), 2> {
    Load { sql: &COMMIT_KNOWN, params: params![instance, id], read: there }
}

/// Remembers a commit; the set is done when it is known already.
pub(crate) fn remember(instance: InstanceId, id: CommitId) -> Step {
    Step { want: Want::New, ..Step::one(&INSERT_COMMIT, params![instance, id]) }
}

pub(crate) fn insert_event(instance: InstanceId, entry: &OutboxEntry) -> Result<Step, StoreError> {
    let data = json("outbox", &entry.data)?;
    Ok(Step::any(&INSERT_EVENT, params![instance, entry.id, entry.at, &entry.name, data]))
}

fn entry(row: &dyn Row) -> Result<OutboxEntry, Unreadable> {
    Ok(OutboxEntry {
        seq: number(row, 4)?,
        id: parsed(row, 0)?,
        at: time(row, 1)?,
        name: text(row, 2)?.to_owned(),
        data: document(row, 3)?,
    })
}

/// Events behind the place `after`, oldest first.
pub(crate) fn events(instance: InstanceId, after: u64, limit: u32) -> Load<OutboxEntry, 3> {
    Load { sql: &EVENTS, params: params![instance, after, limit], read: entry }
}

/// Notes that a reader is done with the events up to the place `seq`.
pub(crate) fn acknowledge(instance: InstanceId, reader: &str, seq: u64) -> Change<3> {
    Change { sql: &ACKNOWLEDGE, params: params![instance, reader.to_owned(), seq] }
}

/// Up to where a reader is done.
pub(crate) fn acknowledged(instance: InstanceId, reader: &str) -> Load<u64, 2> {
    Load { sql: &ACKNOWLEDGED, params: params![instance, reader.to_owned()], read: |row| number(row, 0) }
}

/// Whether there are events without a number.
pub(crate) fn unnumbered(instance: InstanceId) -> Load<(), 1> {
    Load { sql: &UNNUMBERED_EVENT, params: params![instance], read: there }
}

/// Keeps other readers from numbering until the commit.
pub(crate) fn lock_outbox(instance: InstanceId) -> Step {
    Step::any(&LOCK_OUTBOX, params![instance])
}

/// Numbers up to `limit` events that are committed and have no number yet.
pub(crate) fn number_events(instance: InstanceId, limit: u32) -> Step {
    Step::any(&NUMBER_EVENTS, params![instance, limit])
}

pub(crate) fn high_water() -> Load<Timestamp, 0> {
    Load { sql: &HIGH_WATER, params: [], read: |row| time(row, 0) }
}

pub(crate) fn raise_high_water(now: Timestamp) -> Change<1> {
    Change { sql: &RAISE_HIGH_WATER, params: params![now] }
}
