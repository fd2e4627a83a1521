//! What is written beside the rows themselves: commit ids, events, the
//! high-water mark of time; and what is thrown away.

use rusqlite::{Connection, params};
use sojourn_core::{
    id::{CommitId, EventId, InstanceId, Randomness},
    time::Timestamp,
};

use super::{all, document, first, json, parsed, run, statements, time};
use crate::{engine::StoreError, memory::COMMITS_KNOWN_FOR, records::OutboxEntry};

statements! { "outbox";
    COMMIT_KNOWN = "SELECT 1 FROM commits WHERE instance_id = $1 AND id = $2";
    INSERT_COMMIT = "INSERT INTO commits (instance_id, id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    INSERT_EVENT = "INSERT INTO outbox (instance_id, seq, id, at, name, data) SELECT $1, COALESCE(MAX(seq), 0) + 1, $2, $3, $4, $5 FROM outbox WHERE instance_id = $1";
    EVENTS = "SELECT id, at, name, data FROM outbox WHERE instance_id = $1 ORDER BY seq LIMIT $2";
    EVENTS_AFTER = "SELECT id, at, name, data FROM outbox WHERE instance_id = $1 AND seq > (SELECT seq FROM outbox WHERE instance_id = $1 AND id = $3) ORDER BY seq LIMIT $2";
    HIGH_WATER = "SELECT high_water FROM clock WHERE id = 1";
    RAISE_HIGH_WATER = "INSERT INTO clock (id, high_water) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET high_water = excluded.high_water WHERE clock.high_water < excluded.high_water";
    PURGE_SIGN_INS = "DELETE FROM sign_ins WHERE (instance_id, id) IN (SELECT instance_id, id FROM sign_ins WHERE over_at <= $1 LIMIT $2)";
    PURGE_SIGN_UPS = "DELETE FROM sign_ups WHERE (instance_id, id) IN (SELECT instance_id, id FROM sign_ups WHERE over_at <= $1 LIMIT $2)";
    PURGE_HANDSHAKES = "DELETE FROM handshakes WHERE (instance_id, nonce) IN (SELECT instance_id, nonce FROM handshakes WHERE over_at <= $1 LIMIT $2)";
    PURGE_TICKETS = "DELETE FROM sign_in_tokens WHERE (instance_id, id) IN (SELECT instance_id, id FROM sign_in_tokens WHERE over_at <= $1 LIMIT $2)";
    PURGE_COMMITS = "DELETE FROM commits WHERE instance_id = $1 AND id IN (SELECT id FROM commits WHERE instance_id = $1 AND id < $2 ORDER BY id LIMIT $3)";
}

pub(in crate::sqlite) fn is_known(
    db: &Connection,
    instance: InstanceId,
    id: CommitId,
) -> Result<bool, StoreError> {
    let params = [instance.to_string(), id.to_string()];
    first(db, &COMMIT_KNOWN, params, |_| Ok(())).map(|row| row.is_some())
}

/// Remembers a commit; 0 when it is known already.
pub(in crate::sqlite) fn remember(
    db: &Connection,
    instance: InstanceId,
    id: CommitId,
) -> Result<usize, StoreError> {
    run(db, &INSERT_COMMIT, [instance.to_string(), id.to_string()])
}

pub(in crate::sqlite) fn insert_event(
    db: &Connection,
    instance: InstanceId,
    entry: &OutboxEntry,
) -> Result<usize, StoreError> {
    let params = params![
        instance.to_string(),
        entry.id.to_string(),
        entry.at.as_millis(),
        entry.name,
        json("outbox", &entry.data)?,
    ];
    run(db, &INSERT_EVENT, params)
}

/// Oldest first.
pub(in crate::sqlite) fn events(
    db: &Connection,
    instance: InstanceId,
    after: Option<EventId>,
    limit: u32,
) -> Result<Vec<OutboxEntry>, StoreError> {
    let entry = |row: &rusqlite::Row<'_>| {
        Ok(OutboxEntry { id: parsed(row, 0)?, at: time(row, 1)?, name: row.get(2)?, data: document(row, 3)? })
    };
    let instance = instance.to_string();
    match after {
        None => all(db, &EVENTS, params![instance, limit], entry),
        Some(id) => all(db, &EVENTS_AFTER, params![instance, limit, id.to_string()], entry),
    }
}

pub(in crate::sqlite) fn high_water(db: &Connection) -> Result<Option<Timestamp>, StoreError> {
    first(db, &HIGH_WATER, [], |row| time(row, 0))
}

pub(in crate::sqlite) fn raise_high_water(db: &Connection, now: Timestamp) -> Result<usize, StoreError> {
    run(db, &RAISE_HIGH_WATER, [now.as_millis()])
}

/// Removes up to `limit` rows of each kind that were over before `before`.
pub(in crate::sqlite) fn purge(
    db: &Connection,
    instances: &[InstanceId],
    before: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    let mut removed = 0;
    for sql in [&PURGE_SIGN_INS, &PURGE_SIGN_UPS, &PURGE_HANDSHAKES, &PURGE_TICKETS] {
        removed += run(db, sql, params![before.as_millis(), limit])?;
    }
    let oldest_known = CommitId::generate(before - COMMITS_KNOWN_FOR, &mut Least).to_string();
    for instance in instances {
        let params = params![instance.to_string(), oldest_known, limit];
        removed += run(db, &PURGE_COMMITS, params)?;
    }
    Ok(removed as u64)
}

/// The least id of a second: ids sort by the second they were made in.
struct Least;

impl Randomness for Least {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}
