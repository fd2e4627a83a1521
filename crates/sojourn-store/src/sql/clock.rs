//! The test clock of an instance, the leases of jobs, and moving everything that
//! is still open when the test clock is set back.

use sojourn_core::{id::InstanceId, test_clock::TestClock, time::Timestamp};

use super::{
    Change, Load, Step, params,
    row::{number, signed, time_if_any},
    statements,
};

statements! { "test_clocks";
    TEST_CLOCK = "SELECT version, offset_ms, frozen_at, resets FROM test_clocks WHERE instance_id = $1";
    INSERT_TEST_CLOCK = "INSERT INTO test_clocks (instance_id, version, offset_ms, frozen_at, resets) VALUES ($1, CAST($2 AS BIGINT) + 1, $3, $4, $5) ON CONFLICT DO NOTHING";
    UPDATE_TEST_CLOCK = "UPDATE test_clocks SET version = version + 1, offset_ms = $3, frozen_at = $4, resets = $5 WHERE instance_id = $1 AND version = $2";
    // What is closed stays as it ended. A browser's version counts up, so that what was
    // decided by the clock before the reset is decided again.
    SHIFT_SESSIONS = "UPDATE sessions SET created_at = created_at + $2, first_factor_verified_at = first_factor_verified_at + $2 WHERE instance_id = $1 AND closed_at IS NULL";
    SHIFT_ACTIVITY = sqlite "UPDATE activity SET last_active_at = last_active_at + $2 WHERE instance_id = $1 AND EXISTS (SELECT 1 FROM sessions s WHERE s.instance_id = $1 AND s.id = session_id AND s.closed_at IS NULL)" postgres "UPDATE activity SET last_active_at = last_active_at + $2 WHERE instance_id = $1 AND NOT closed";
    SHIFT_CLIENTS = "UPDATE clients SET version = version + 1, predecessor_rotated_at = predecessor_rotated_at + $2, predecessor_good_until = predecessor_good_until + $2 WHERE instance_id = $1";
    SHIFT_SETTINGS = "UPDATE settings SET in_force_from = in_force_from + $2 WHERE instance_id = $1";
    VOID_SIGN_INS = "DELETE FROM sign_ins WHERE instance_id = $1";
    VOID_SIGN_UPS = "DELETE FROM sign_ups WHERE instance_id = $1";
    VOID_HANDSHAKES = "DELETE FROM handshakes WHERE instance_id = $1";
    VOID_TICKETS = "DELETE FROM sign_in_tokens WHERE instance_id = $1";
    // Whoever holds it may take it again; others once its time is over.
    TAKE_LEASE = "INSERT INTO leases (instance_id, name, holder, until) VALUES ($1, $2, $3, $4) ON CONFLICT (instance_id, name) DO UPDATE SET holder = excluded.holder, until = excluded.until WHERE leases.holder = excluded.holder OR leases.until <= $5";
}

pub(crate) fn get(instance: InstanceId) -> Load<TestClock, 1> {
    Load {
        sql: &TEST_CLOCK,
        params: params![instance],
        read: |row| {
            Ok(TestClock {
                version: number(row, 0)?,
                offset_ms: signed(row, 1)?,
                frozen_at: time_if_any(row, 2)?,
                resets: number(row, 3)?,
            })
        },
    }
}

/// Writes the row if its version is the stored one.
pub(crate) fn put(instance: InstanceId, row: &TestClock) -> Step {
    let statement = if row.version == 0 { &INSERT_TEST_CLOCK } else { &UPDATE_TEST_CLOCK };
    Step::one(statement, params![instance, row.version, row.offset_ms, row.frozen_at, row.resets])
}

/// Moves what is open by so many milliseconds, and voids unfinished attempts.
pub(crate) fn shift(instance: InstanceId, by_ms: i64) -> Vec<Step> {
    let moved = [&SHIFT_ACTIVITY, &SHIFT_SESSIONS, &SHIFT_CLIENTS, &SHIFT_SETTINGS];
    let void = [&VOID_SIGN_INS, &VOID_SIGN_UPS, &VOID_HANDSHAKES, &VOID_TICKETS];
    let moved = moved.map(|sql| Step::any(sql, params![instance, by_ms]));
    moved.into_iter().chain(void.map(|sql| Step::any(sql, params![instance]))).collect()
}

/// Takes a lease until `until`, unless somebody else has it at `wall`.
pub(crate) fn take_lease(
    instance: InstanceId,
    name: &'static str,
    holder: &str,
    wall: Timestamp,
    until: Timestamp,
) -> Change<5> {
    Change { sql: &TAKE_LEASE, params: params![instance, name, holder.to_owned(), until, wall] }
}
