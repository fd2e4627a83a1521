//! The test clock of an instance, the leases of jobs, and the shift of all open rows when the test
//! clock is reset.

use sojourn_core::{id::InstanceId, test_clock::TestClock, time::Timestamp};

use super::{
    row::{number, signed, time_if_any},
    statement::{Command, Query, Statement, columns, statements},
    value::params,
};

columns! { test_clock_columns, column:
    VERSION "version";
    OFFSET_MS "offset_ms";
    FROZEN_AT "frozen_at";
    RESETS "resets";
}

statements! { "test_clocks";
    TEST_CLOCK = both concat!("SELECT ", test_clock_columns!(), " FROM test_clocks WHERE instance_id = $1");
    INSERT_TEST_CLOCK = both "
            INSERT INTO test_clocks (instance_id, version, offset_ms, frozen_at, resets)
            VALUES ($1, CAST($2 AS BIGINT) + 1, $3, $4, $5)
            ON CONFLICT DO NOTHING";
    UPDATE_TEST_CLOCK = both "
            UPDATE test_clocks
            SET version = version + 1, offset_ms = $3, frozen_at = $4, resets = $5
            WHERE instance_id = $1 AND version = $2";
    // Closed sessions keep their times. The client's version is incremented, so that a decision
    // made by the clock before the reset fails with a conflict and is made again.
    SHIFT_SESSIONS = both "
            UPDATE sessions
            SET created_at = created_at + $2,
                first_factor_verified_at = first_factor_verified_at + $2
            WHERE instance_id = $1 AND closed_at IS NULL";
    SHIFT_ACTIVITY =
        sqlite "
            UPDATE activity
            SET last_active_at = last_active_at + $2
            WHERE instance_id = $1 AND EXISTS (
                SELECT 1
                FROM sessions s
                WHERE s.instance_id = $1 AND s.id = session_id AND s.closed_at IS NULL
            )",
        postgres "
            UPDATE activity
            SET last_active_at = last_active_at + $2
            WHERE instance_id = $1 AND NOT closed";
    SHIFT_CLIENTS = both "
            UPDATE clients
            SET version = version + 1, predecessor_rotated_at = predecessor_rotated_at + $2,
                predecessor_good_until = predecessor_good_until + $2
            WHERE instance_id = $1";
    SHIFT_SETTINGS = both "UPDATE settings SET in_force_from = in_force_from + $2 WHERE instance_id = $1";
    VOID_SIGN_INS = both "DELETE FROM sign_ins WHERE instance_id = $1";
    VOID_SIGN_UPS = both "DELETE FROM sign_ups WHERE instance_id = $1";
    VOID_HANDSHAKES = both "DELETE FROM handshakes WHERE instance_id = $1";
    VOID_TICKETS = both "DELETE FROM sign_in_tokens WHERE instance_id = $1";
    // The holder can renew its lease; others can take it after it has expired.
    TAKE_LEASE = both "
            INSERT INTO leases (instance_id, name, holder, until)
            VALUES ($1, $2, $3, $4)
            ON CONFLICT (instance_id, name) DO UPDATE SET holder = excluded.holder,
                until = excluded.until
            WHERE leases.holder = excluded.holder OR leases.until <= $5";
}

pub(crate) fn get(instance: InstanceId) -> Query<TestClock, 1> {
    Query {
        sql: &TEST_CLOCK,
        params: params![instance],
        read: |row| {
            Ok(TestClock {
                version: number(row, column::VERSION)?,
                offset_ms: signed(row, column::OFFSET_MS)?,
                frozen_at: time_if_any(row, column::FROZEN_AT)?,
                resets: number(row, column::RESETS)?,
            })
        },
    }
}

/// Writes the row if the stored version is `row.version`.
pub(crate) fn put(instance: InstanceId, row: &TestClock) -> Statement {
    let statement = if row.version == 0 { &INSERT_TEST_CLOCK } else { &UPDATE_TEST_CLOCK };
    Statement::one(statement, params![instance, row.version, row.offset_ms, row.frozen_at, row.resets])
}

/// Moves open rows by `by_ms` milliseconds and deletes unfinished attempts.
pub(crate) fn shift(instance: InstanceId, by_ms: i64) -> Vec<Statement> {
    let moved = [&SHIFT_ACTIVITY, &SHIFT_SESSIONS, &SHIFT_CLIENTS, &SHIFT_SETTINGS];
    let void = [&VOID_SIGN_INS, &VOID_SIGN_UPS, &VOID_HANDSHAKES, &VOID_TICKETS];
    let moved = moved.map(|sql| Statement::any(sql, params![instance, by_ms]));
    moved.into_iter().chain(void.map(|sql| Statement::any(sql, params![instance]))).collect()
}

/// Acquires a lease until `until`, unless another holder has it at `wall`.
pub(crate) fn take_lease(
    instance: InstanceId,
    name: &'static str,
    holder: &str,
    wall: Timestamp,
    until: Timestamp,
) -> Command<5> {
    Command { sql: &TAKE_LEASE, params: params![instance, name, holder.to_owned(), until, wall] }
}
