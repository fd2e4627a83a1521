//! Sessions, and their last activity in a narrow table of its own.

use sojourn_core::{
    id::{ClientId, InstanceId, SessionId, UserId},
    session::{ClosedStatus, Closing, Device, EndReason, EndedBy, Session},
    time::Timestamp,
};

use super::{
    impersonation,
    list::{Conditions, Page},
    row::{Row, Unreadable, number, parsed, text, time, time_if_any, word},
    statement::{Command, ExpectedRows, Query, Statement, columns, statements},
    value::{Value, params},
};
use crate::{
    error::StoreError,
    records::{SessionFilter, SessionOrder, StoredStatus},
};

columns! { session_columns, column:
    ID "s.id";
    CLIENT_ID "s.client_id";
    USER_ID "s.user_id";
    CREATED_AT "s.created_at";
    UPDATED_AT "s.updated_at";
    LAST_ACTIVE_AT "a.last_active_at";
    FIRST_FACTOR_VERIFIED_AT "s.first_factor_verified_at";
    USER_AGENT "s.user_agent";
    IP_ADDRESS "s.ip_address";
    CLOSED_AT "s.closed_at";
    CLOSED_STATUS "s.closed_status";
    CLOSED_REASON "s.closed_reason";
    CLOSED_SETTINGS_VERSION "s.closed_settings_version";
    CLOSED_BY "s.closed_by";
    CLOSED_DEADLINE_AT "s.closed_deadline_at";
    ACTOR "s.actor";
    OWN_MAXIMUM "s.own_maximum";
    SETTINGS_VERSION "s.settings_version";
}

macro_rules! session_rows {
    () => {
        "sessions s JOIN activity a ON a.instance_id = s.instance_id AND a.session_id = s.id"
    };
}

statements! { "sessions";
    SESSION = both concat!("SELECT ", session_columns!(), " FROM ", session_rows!(), "
            WHERE s.instance_id = $1 AND s.id = $2");
    OPEN_OF_CLIENT = both concat!("SELECT ", session_columns!(), " FROM ", session_rows!(), "
            WHERE s.instance_id = $1 AND s.client_id = $2 AND s.closed_at IS NULL");
    OPEN_OF_USER = both "
            SELECT 1
            FROM sessions
            WHERE instance_id = $1 AND user_id = $2 AND closed_at IS NULL
            LIMIT 1";
    INSERT_SESSION = both "
            INSERT INTO sessions (instance_id, id, client_id, user_id, created_at, updated_at,
                first_factor_verified_at, user_agent, ip_address, closed_at, closed_status,
                closed_reason, closed_settings_version, closed_by, closed_deadline_at, actor,
                own_maximum, settings_version)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
            ON CONFLICT DO NOTHING";
    INSERT_ACTIVITY =
        sqlite "
            INSERT INTO activity (instance_id, session_id, last_active_at)
            VALUES ($1, $2, $3)
            ON CONFLICT DO NOTHING",
        postgres "
            INSERT INTO activity (instance_id, session_id, last_active_at, closed)
            SELECT $1, $2, $3, closed_at IS NOT NULL
            FROM sessions
            WHERE instance_id = $1 AND id = $2
            ON CONFLICT DO NOTHING";
    CLOSE_SESSION = both "
            UPDATE sessions
            SET updated_at = CASE WHEN updated_at < $3 THEN $3 ELSE updated_at END, closed_at = $4,
                closed_status = $5, closed_reason = $6, closed_settings_version = $7,
                closed_by = $8, closed_deadline_at = $9
            WHERE instance_id = $1 AND id = $2 AND closed_at IS NULL";
    UPDATE_SESSION = both "
            UPDATE sessions
            SET updated_at = CASE WHEN updated_at < $3 THEN $3 ELSE updated_at END,
                first_factor_verified_at = CASE WHEN first_factor_verified_at < $4 THEN $4 ELSE first_factor_verified_at END
            WHERE instance_id = $1 AND id = $2 AND closed_at IS NULL";
    // PostgreSQL reads `closed` from the updated row itself. Under READ COMMITTED an UPDATE that
    // waited for a concurrent closing re-reads only that row; a subquery on `sessions` would still
    // see the session as open.
    TOUCH_SESSION =
        sqlite "
            UPDATE activity
            SET last_active_at = $3
            WHERE instance_id = $1 AND session_id = $2 AND last_active_at < $3 AND EXISTS (
                SELECT 1
                FROM sessions s
                WHERE s.instance_id = $1 AND s.id = $2 AND s.closed_at IS NULL
            )",
        postgres "
            UPDATE activity
            SET last_active_at = GREATEST(last_active_at, $3)
            WHERE instance_id = $1 AND session_id = $2 AND last_active_at < $3 AND NOT closed";
    // Stores the exact last activity. Later batches do not change a closed session.
    END_ACTIVITY =
        sqlite "
            UPDATE activity
            SET last_active_at = $3
            WHERE instance_id = $1 AND session_id = $2 AND last_active_at < $3 AND EXISTS (
                SELECT 1
                FROM sessions s
                WHERE s.instance_id = $1 AND s.id = $2 AND s.closed_at IS NULL
            )",
        postgres "
            UPDATE activity
            SET last_active_at = GREATEST(last_active_at, $3), closed = TRUE
            WHERE instance_id = $1 AND session_id = $2 AND NOT closed";
    // The session must exist. PostgreSQL locks its activity row until the commit.
    SESSION_EXISTS =
        sqlite "SELECT 1 FROM activity WHERE instance_id = $1 AND session_id = $2",
        postgres "SELECT 1 FROM activity WHERE instance_id = $1 AND session_id = $2 FOR UPDATE";
    // Keyset pagination: $2 and $3 are the last row of the previous batch.
    OPEN_AFTER = both concat!("SELECT ", session_columns!(), " FROM ", session_rows!(), "
            WHERE s.instance_id = $1 AND s.closed_at IS NULL AND (s.created_at, s.id) > ($2, $3)
            ORDER BY s.created_at, s.id
            LIMIT $4");
    LAST_ENDED_OF_CLIENT = both concat!("SELECT ", session_columns!(), " FROM ", session_rows!(), "
            WHERE s.instance_id = $1 AND s.client_id = $2 AND s.closed_at IS NOT NULL
            ORDER BY s.closed_at DESC, s.id DESC
            LIMIT 1");
    // PostgreSQL needs one statement: under READ COMMITTED a second statement could see sessions
    // that were closed after the first one, and delete only their activity.
    PURGE_ACTIVITY = sqlite "
            DELETE FROM activity
            WHERE instance_id = $1 AND session_id IN (
                SELECT id
                FROM sessions
                WHERE instance_id = $1 AND closed_at <= $2
                ORDER BY closed_at, id
                LIMIT $3
            )";
    PURGE_SESSIONS =
        sqlite "
            DELETE FROM sessions
            WHERE instance_id = $1 AND id IN (
                SELECT id
                FROM sessions
                WHERE instance_id = $1 AND closed_at <= $2
                ORDER BY closed_at, id
                LIMIT $3
            )",
        postgres "
            WITH gone AS (DELETE FROM sessions WHERE instance_id = $1 AND id IN (
                SELECT id
                FROM sessions
                WHERE instance_id = $1 AND closed_at <= $2
                ORDER BY closed_at
                LIMIT $3
            ) RETURNING id)
            DELETE FROM activity
            WHERE instance_id = $1 AND session_id IN (SELECT id FROM gone)";
    // $3 is the activity that the decision read, $4 the newest in memory.
    NEWER_ACTIVITY = both "
            SELECT 1
            FROM sessions s
            JOIN activity a ON a.instance_id = s.instance_id AND a.session_id = s.id
            WHERE s.instance_id = $1 AND s.id = $2 AND s.closed_at IS NULL
                AND (a.last_active_at > $3 OR $4 > $3)";
}

fn session(row: &dyn Row) -> Result<Session, Unreadable> {
    let closed = match time_if_any(row, column::CLOSED_AT)? {
        Some(at) => Some(Closing {
            at,
            status: word(row, column::CLOSED_STATUS, ClosedStatus::from_word)?,
            reason: word(row, column::CLOSED_REASON, EndReason::from_word)?,
            settings_version: number(row, column::CLOSED_SETTINGS_VERSION)?,
            by: match row.text(column::CLOSED_BY)? {
                Some(_) => word(row, column::CLOSED_BY, EndedBy::from_word)?,
                None => by_whom(word(row, column::CLOSED_REASON, EndReason::from_word)?),
            },
            deadline_at: time_if_any(row, column::CLOSED_DEADLINE_AT)?.unwrap_or(at),
        }),
        None => None,
    };
    Ok(Session {
        id: parsed(row, column::ID)?,
        client_id: parsed(row, column::CLIENT_ID)?,
        user_id: parsed(row, column::USER_ID)?,
        created_at: time(row, column::CREATED_AT)?,
        updated_at: time(row, column::UPDATED_AT)?,
        last_active_at: time(row, column::LAST_ACTIVE_AT)?,
        settings_version: row.int(column::SETTINGS_VERSION)?.map_or(0, i64::unsigned_abs),
        first_factor_verified_at: time(row, column::FIRST_FACTOR_VERIFIED_AT)?,
        device: Device {
            user_agent: text(row, column::USER_AGENT)?.to_owned(),
            ip_address: text(row, column::IP_ADDRESS)?.to_owned(),
        },
        impersonation: impersonation::read(row, column::ACTOR, column::OWN_MAXIMUM)?,
        closed,
    })
}

/// The initiator by reason, for rows from before the column `closed_by` existed.
const fn by_whom(reason: EndReason) -> EndedBy {
    match reason {
        EndReason::SignedOut
        | EndReason::SignedOutEverywhere
        | EndReason::RevokedByUser
        | EndReason::PasswordChanged => EndedBy::User,
        EndReason::RevokedByBackend | EndReason::UserBanned | EndReason::UserDeleted => EndedBy::Backend,
        EndReason::RevokedByAdmin => EndedBy::Admin,
        EndReason::InactivityTimeout
        | EndReason::MaximumLifetime
        | EndReason::Replaced
        | EndReason::SettingsTightened
        | EndReason::ImpersonationOver => EndedBy::System,
    }
}

pub(crate) fn get(instance: InstanceId, id: SessionId) -> Query<Session, 2> {
    Query { sql: &SESSION, params: params![instance, id], read: session }
}

/// The sessions of a client that are stored as open. The caller sorts them with [`oldest_first`].
pub(crate) fn open_of_client(instance: InstanceId, client: ClientId) -> Query<Session, 2> {
    Query { sql: &OPEN_OF_CLIENT, params: params![instance, client], read: session }
}

/// Sessions that are stored as open, oldest first, starting behind `after`.
pub(crate) fn open_after(
    instance: InstanceId,
    after: Option<(Timestamp, SessionId)>,
    limit: u32,
) -> Query<Session, 4> {
    // The empty text is less than every id, and the minimum is less than every time.
    let (at, id) = match after {
        Some((at, id)) => (at, Value::from(id)),
        None => (Timestamp::from_millis(i64::MIN), Value::from("")),
    };
    Query { sql: &OPEN_AFTER, params: params![instance, at, id, limit], read: session }
}

/// The session of a client that ended most recently.
pub(crate) fn last_ended_of_client(instance: InstanceId, client: ClientId) -> Query<Session, 2> {
    Query { sql: &LAST_ENDED_OF_CLIENT, params: params![instance, client], read: session }
}

/// Deletes up to `limit` sessions that ended at `before` or earlier.
pub(crate) fn purge(instance: InstanceId, before: Timestamp, limit: u32) -> [Command<3>; 2] {
    [&PURGE_ACTIVITY, &PURGE_SESSIONS].map(|sql| Command { sql, params: params![instance, before, limit] })
}

/// Sorts the sessions of a client. The statement has no ORDER BY, because with it SQLite would scan
/// all open sessions along the index that has this order.
pub(crate) fn oldest_first(sessions: &mut [Session]) {
    sessions.sort_unstable_by_key(|session| (session.created_at, session.id));
}

pub(crate) fn list(instance: InstanceId, filter: &SessionFilter) -> Page<Session> {
    let mut conditions = Conditions::of_instance("s.instance_id", instance);
    if let Some(client) = filter.client_id {
        conditions.and("s.client_id = $", client);
    }
    if let Some(user) = filter.user_id {
        conditions.and("s.user_id = $", user);
    }
    conditions.and_one_of("s.id IN ($)", filter.ids.iter().copied());
    match filter.stored {
        None => {}
        Some(StoredStatus::Open) => conditions.and_plain("s.closed_at IS NULL"),
        Some(StoredStatus::Closed(status)) => {
            conditions.and("s.closed_status = $", status.as_str());
        }
    }
    let (order, behind) = match filter.order {
        SessionOrder::NewestFirst => ("s.created_at DESC, s.id DESC", "(s.created_at, s.id) < ($, $)"),
        SessionOrder::OldestFirst => ("s.created_at, s.id", "(s.created_at, s.id) > ($, $)"),
    };
    if let Some((at, id)) = filter.after {
        conditions.and_all(behind, params![at, id]);
    }
    Page {
        table: "sessions",
        select: session_columns!(),
        from: session_rows!(),
        conditions,
        order: order.to_owned(),
        limit: filter.limit,
        offset: filter.offset,
        read: session,
    }
}

/// The newest activity per user.
pub(crate) fn last_activity(instance: InstanceId, users: Vec<UserId>) -> Page<(UserId, Timestamp)> {
    let mut conditions = Conditions::of_instance("s.instance_id", instance);
    // This must be the last condition, because it contains the GROUP BY.
    conditions.and_one_of("s.user_id IN ($) GROUP BY s.user_id", users);
    Page {
        table: "sessions",
        select: "s.user_id, MAX(a.last_active_at)",
        from: session_rows!(),
        conditions,
        order: "s.user_id".to_owned(),
        limit: u32::MAX,
        offset: 0,
        read: |row| Ok((parsed(row, 0)?, time(row, 1)?)),
    }
}

/// No session of the user may be stored as open.
pub(crate) fn none_open_of_user(instance: InstanceId, user: UserId) -> Statement {
    Statement { expected_rows: ExpectedRows::None, ..Statement::one(&OPEN_OF_USER, params![instance, user]) }
}

/// Inserts a session and its activity; the id must not exist.
pub(crate) fn insert(instance: InstanceId, row: &Session) -> Result<[Statement; 2], StoreError> {
    let [actor, own_maximum] = impersonation::values("sessions", row.impersonation.as_ref())?;
    let params = params![
        instance,
        row.id,
        row.client_id,
        row.user_id,
        row.created_at,
        row.updated_at,
        row.first_factor_verified_at,
        &row.device.user_agent,
        &row.device.ip_address,
        row.closed.map(|closing| closing.at),
        row.closed.map(|closing| closing.status.as_str()),
        row.closed.map(|closing| closing.reason.as_str()),
        row.closed.map(|closing| closing.settings_version),
        row.closed.map(|closing| closing.by.as_str()),
        row.closed.map(|closing| closing.deadline_at),
        actor,
        own_maximum,
        row.settings_version,
    ];
    let activity = params![instance, row.id, row.last_active_at];
    Ok([Statement::one(&INSERT_SESSION, params), Statement::one(&INSERT_ACTIVITY, activity)])
}

/// Stores the closing of an open session. `in_memory` is activity that may not be stored yet: a
/// session with newer activity must not be closed for inactivity.
pub(crate) fn close(
    instance: InstanceId,
    row: &Session,
    closing: Closing,
    in_memory: Option<Timestamp>,
) -> Vec<Statement> {
    let newest = in_memory.map_or(row.last_active_at, |at| at.max(row.last_active_at));
    let mut statements = vec![Statement::one(&SESSION_EXISTS, params![instance, row.id])];
    if closing.status == ClosedStatus::Abandoned {
        let params = params![instance, row.id, row.last_active_at, newest];
        statements
            .push(Statement { expected_rows: ExpectedRows::None, ..Statement::one(&NEWER_ACTIVITY, params) });
    }
    // Before the closing, because END_ACTIVITY changes only the activity of open sessions.
    statements.push(Statement::any(&END_ACTIVITY, params![instance, row.id, newest]));
    let params = params![
        instance,
        row.id,
        row.updated_at,
        closing.at,
        closing.status.as_str(),
        closing.reason.as_str(),
        closing.settings_version,
        closing.by.as_str(),
        closing.deadline_at,
    ];
    statements.push(Statement::any(&CLOSE_SESSION, params));
    statements
}

/// Updates a session, which must be open.
pub(crate) fn update(instance: InstanceId, row: &Session) -> Statement {
    let params = params![instance, row.id, row.updated_at, row.first_factor_verified_at];
    Statement::one(&UPDATE_SESSION, params)
}

/// Stores activity of an open session; the later time wins.
pub(crate) fn touch(instance: InstanceId, id: SessionId, at: Timestamp) -> Command<3> {
    Command { sql: &TOUCH_SESSION, params: params![instance, id, at] }
}
