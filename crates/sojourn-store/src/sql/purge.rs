//! Deletes rows that are older than [`retention`] allows.

use sojourn_core::{
    id::{CommitId, EventId, InstanceId, Randomness},
    time::Moment,
};

use super::{
    idempotency, outgoing_mails,
    statement::{Command, statements},
    value::params,
    webhooks,
};
use crate::retention;

statements! { "purge";
    PURGE_SIGN_INS = both "
            DELETE FROM sign_ins
            WHERE (instance_id, id) IN (
                SELECT instance_id, id
                FROM sign_ins
                WHERE over_at <= $1
                LIMIT $2
            )";
    PURGE_SIGN_UPS = both "
            DELETE FROM sign_ups
            WHERE (instance_id, id) IN (
                SELECT instance_id, id
                FROM sign_ups
                WHERE over_at <= $1
                LIMIT $2
            )";
    PURGE_HANDSHAKES = both "
            DELETE FROM handshakes
            WHERE (instance_id, nonce) IN (
                SELECT instance_id, nonce
                FROM handshakes
                WHERE over_at <= $1
                LIMIT $2
            )";
    PURGE_TICKETS = both "
            DELETE FROM sign_in_tokens
            WHERE (instance_id, id) IN (
                SELECT instance_id, id
                FROM sign_in_tokens
                WHERE over_at <= $1
                LIMIT $2
            )";
    PURGE_COMMITS = both "
            DELETE FROM commits
            WHERE instance_id = $1 AND id IN (
                SELECT id
                FROM commits
                WHERE instance_id = $1 AND id < $2
                ORDER BY id
                LIMIT $3
            )";
    // The next sequence number is the maximum plus one, so the newest event stays.
    PURGE_EVENTS = both "
            DELETE FROM outbox
            WHERE instance_id = $1 AND id IN (
                SELECT id
                FROM outbox
                WHERE instance_id = $1 AND id < $2 AND seq < (
                    SELECT MAX(seq)
                    FROM outbox
                    WHERE instance_id = $1
                )
                ORDER BY id
                LIMIT $3
            )";
    PURGE_MAILS = both "
            DELETE FROM mails
            WHERE instance_id = $1 AND id IN (
                SELECT id
                FROM mails
                WHERE instance_id = $1 AND received_at <= $2
                ORDER BY received_at
                LIMIT $3
            )";
    PURGE_MANY_MAILS = both "
            DELETE FROM mails
            WHERE instance_id = $1 AND id IN (
                SELECT id
                FROM mails
                WHERE instance_id = $1
                ORDER BY received_at DESC, id DESC
                LIMIT $3 OFFSET $2
            )";
}

/// Deletes up to `limit` rows of each table that has an index on the age alone.
pub(crate) fn everywhere(at: Moment, limit: u32) -> [Command<2>; 4] {
    [&PURGE_SIGN_INS, &PURGE_SIGN_UPS, &PURGE_HANDSHAKES, &PURGE_TICKETS]
        .map(|sql| Command { sql, params: params![at.now - retention::ATTEMPTS, limit] })
}

/// Deletes up to `limit` rows of each table, for one instance.
pub(crate) fn of_instance(instance: InstanceId, at: Moment, limit: u32) -> [Command<3>; 7] {
    let commit = CommitId::generate(at.wall - retention::COMMIT_IDS, &mut Least);
    let event = EventId::generate(at.wall - retention::EVENTS, &mut Least);
    [
        Command { sql: &PURGE_COMMITS, params: params![instance, commit, limit] },
        Command { sql: &PURGE_EVENTS, params: params![instance, event, limit] },
        Command { sql: &PURGE_MAILS, params: params![instance, at.now - retention::MAILS, limit] },
        Command { sql: &PURGE_MANY_MAILS, params: params![instance, retention::NEWEST_MAILS, limit] },
        outgoing_mails::purge(instance, at.wall - retention::OUTGOING_MAILS, limit),
        webhooks::purge(instance, at.wall - retention::WEBHOOK_DELIVERIES, limit),
        idempotency::purge(instance, at.wall - retention::IDEMPOTENCY_KEYS, limit),
    ]
}

/// The smallest id of a second: ids sort by the second of their creation.
struct Least;

impl Randomness for Least {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}
