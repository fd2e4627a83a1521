//! Sessions, and their activity in its narrow table.

use rusqlite::{Connection, Row, params};
use sojourn_core::{
    id::{ClientId, InstanceId, SessionId, UserId},
    session::{ClosedStatus, Closing, Device, EndReason, Session},
    time::Timestamp,
};

use super::{Conditions, Page, all, first, number, parsed, run, signed, statements, time, word};
use crate::{
    engine::StoreError,
    records::{SessionFilter, SessionOrder, StoredStatus},
};

const COLUMNS: &str = "s.id, s.client_id, s.user_id, s.created_at, s.updated_at, a.last_active_at, s.first_factor_verified_at, s.user_agent, s.ip_address, s.closed_at, s.closed_status, s.closed_reason, s.closed_settings_version";
const FROM: &str = "sessions s JOIN activity a ON a.instance_id = s.instance_id AND a.session_id = s.id";

statements! { "sessions";
    SESSION = "SELECT s.id, s.client_id, s.user_id, s.created_at, s.updated_at, a.last_active_at, s.first_factor_verified_at, s.user_agent, s.ip_address, s.closed_at, s.closed_status, s.closed_reason, s.closed_settings_version FROM sessions s JOIN activity a ON a.instance_id = s.instance_id AND a.session_id = s.id WHERE s.instance_id = $1 AND s.id = $2";
    OPEN_OF_CLIENT = "SELECT s.id, s.client_id, s.user_id, s.created_at, s.updated_at, a.last_active_at, s.first_factor_verified_at, s.user_agent, s.ip_address, s.closed_at, s.closed_status, s.closed_reason, s.closed_settings_version FROM sessions s JOIN activity a ON a.instance_id = s.instance_id AND a.session_id = s.id WHERE s.instance_id = $1 AND s.client_id = $2 AND s.closed_at IS NULL";
    OPEN_OF_USER = "SELECT 1 FROM sessions WHERE instance_id = $1 AND user_id = $2 AND closed_at IS NULL LIMIT 1";
    INSERT_SESSION = "INSERT INTO sessions (instance_id, id, client_id, user_id, created_at, updated_at, first_factor_verified_at, user_agent, ip_address, closed_at, closed_status, closed_reason, closed_settings_version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING";
    INSERT_ACTIVITY = "INSERT INTO activity (instance_id, session_id, last_active_at) VALUES ($1, $2, $3)";
    CLOSE_SESSION = "UPDATE sessions SET updated_at = CASE WHEN updated_at < $3 THEN $3 ELSE updated_at END, closed_at = $4, closed_status = $5, closed_reason = $6, closed_settings_version = $7 WHERE instance_id = $1 AND id = $2 AND closed_at IS NULL";
    UPDATE_SESSION = "UPDATE sessions SET updated_at = CASE WHEN updated_at < $3 THEN $3 ELSE updated_at END, first_factor_verified_at = CASE WHEN first_factor_verified_at < $4 THEN $4 ELSE first_factor_verified_at END WHERE instance_id = $1 AND id = $2 AND closed_at IS NULL";
    TOUCH_SESSION = "UPDATE activity SET last_active_at = $3 WHERE instance_id = $1 AND session_id = $2 AND last_active_at < $3 AND EXISTS (SELECT 1 FROM sessions s WHERE s.instance_id = $1 AND s.id = $2 AND s.closed_at IS NULL)";
}

fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    let closed = match row.get(9)? {
        Some(at) => Some(Closing {
            at: Timestamp::from_millis(at),
            status: word(row, 10, ClosedStatus::from_word)?,
            reason: word(row, 11, EndReason::from_word)?,
            settings_version: number(row, 12)?,
        }),
        None => None,
    };
    Ok(Session {
        id: parsed(row, 0)?,
        client_id: parsed(row, 1)?,
        user_id: parsed(row, 2)?,
        created_at: time(row, 3)?,
        updated_at: time(row, 4)?,
        last_active_at: time(row, 5)?,
        first_factor_verified_at: time(row, 6)?,
        device: Device { user_agent: row.get(7)?, ip_address: row.get(8)? },
        closed,
    })
}

pub(in crate::sqlite) fn get(
    db: &Connection,
    instance: InstanceId,
    id: SessionId,
) -> Result<Option<Session>, StoreError> {
    first(db, &SESSION, [instance.to_string(), id.to_string()], session)
}

/// The sessions of a browser that are stored as open, oldest first.
pub(in crate::sqlite) fn open_of_client(
    db: &Connection,
    instance: InstanceId,
    client: ClientId,
) -> Result<Vec<Session>, StoreError> {
    // Ordered here: asked to order, SQLite walks all open sessions in the
    // order of the index that has one.
    let params = [instance.to_string(), client.to_string()];
    let mut sessions = all(db, &OPEN_OF_CLIENT, params, session)?;
    sessions.sort_unstable_by_key(|session| (session.created_at, session.id));
    Ok(sessions)
}

/// Whether a session of the user is stored as open.
pub(in crate::sqlite) fn any_open_of_user(
    db: &Connection,
    instance: InstanceId,
    user: UserId,
) -> Result<bool, StoreError> {
    let params = [instance.to_string(), user.to_string()];
    first(db, &OPEN_OF_USER, params, |_| Ok(())).map(|row| row.is_some())
}

pub(in crate::sqlite) fn list(
    db: &Connection,
    instance: InstanceId,
    filter: &SessionFilter,
) -> Result<(Vec<Session>, u64), StoreError> {
    let mut conditions = Conditions::of_instance("s.instance_id", instance.to_string());
    if let Some(client) = filter.client_id {
        conditions.and("s.client_id = $", client.to_string());
    }
    if let Some(user) = filter.user_id {
        conditions.and("s.user_id = $", user.to_string());
    }
    conditions.and_one_of("s.id IN ($)", filter.ids.iter().map(ToString::to_string));
    match filter.stored {
        None => {}
        Some(StoredStatus::Open) => conditions.and_plain("s.closed_at IS NULL"),
        Some(StoredStatus::Closed(status)) => {
            conditions.and("s.closed_status = $", status.as_str().to_owned());
        }
    }
    let order = match filter.order {
        SessionOrder::NewestFirst => "s.created_at DESC, s.id DESC",
        SessionOrder::OldestFirst => "s.created_at, s.id",
    };
    let page = Page {
        table: "sessions",
        select: COLUMNS,
        from: FROM,
        order,
        limit: filter.limit,
        offset: filter.offset,
    };
    page.read(db, &conditions, session)
}

/// Stores a session and its activity; 0 when the id is not free.
pub(in crate::sqlite) fn insert(
    db: &Connection,
    instance: InstanceId,
    row: &Session,
) -> Result<usize, StoreError> {
    let (instance, id) = (instance.to_string(), row.id.to_string());
    let params = params![
        instance,
        id,
        row.client_id.to_string(),
        row.user_id.to_string(),
        row.created_at.as_millis(),
        row.updated_at.as_millis(),
        row.first_factor_verified_at.as_millis(),
        row.device.user_agent,
        row.device.ip_address,
        row.closed.map(|closing| closing.at.as_millis()),
        row.closed.map(|closing| closing.status.as_str()),
        row.closed.map(|closing| closing.reason.as_str()),
        row.closed.map(|closing| signed(closing.settings_version)),
    ];
    if run(db, &INSERT_SESSION, params)? == 0 {
        return Ok(0);
    }
    run(db, &INSERT_ACTIVITY, params![instance, id, row.last_active_at.as_millis()])
}

/// Stores how an open session ended.
pub(in crate::sqlite) fn close(
    db: &Connection,
    instance: InstanceId,
    row: &Session,
    closing: Closing,
) -> Result<usize, StoreError> {
    let params = params![
        instance.to_string(),
        row.id.to_string(),
        row.updated_at.as_millis(),
        closing.at.as_millis(),
        closing.status.as_str(),
        closing.reason.as_str(),
        signed(closing.settings_version),
    ];
    run(db, &CLOSE_SESSION, params)
}

pub(in crate::sqlite) fn update(
    db: &Connection,
    instance: InstanceId,
    row: &Session,
) -> Result<usize, StoreError> {
    let params = params![
        instance.to_string(),
        row.id.to_string(),
        row.updated_at.as_millis(),
        row.first_factor_verified_at.as_millis(),
    ];
    run(db, &UPDATE_SESSION, params)
}

/// Stores activity of an open session; the later time wins.
pub(in crate::sqlite) fn touch(
    db: &Connection,
    instance: InstanceId,
    id: SessionId,
    at: Timestamp,
) -> Result<usize, StoreError> {
    let params = params![instance.to_string(), id.to_string(), at.as_millis()];
    run(db, &TOUCH_SESSION, params)
}
