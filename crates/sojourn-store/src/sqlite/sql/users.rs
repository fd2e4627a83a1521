//! Accounts, and the identifiers that name exactly one of them.

use rusqlite::{Connection, Row, params};
use sojourn_core::{
    id::{InstanceId, UserId},
    time::Timestamp,
    user::User,
};

use super::{Conditions, Page, document, first, json, number, run, signed, statements};
use crate::{
    engine::StoreError,
    records::{UserFilter, UserOrder, search_text},
};

statements! { "users";
    USER = "SELECT document FROM users WHERE instance_id = $1 AND id = $2";
    USER_BY_IDENTIFIER = "SELECT u.document FROM identifiers i JOIN users u ON u.instance_id = i.instance_id AND u.id = i.user_id WHERE i.instance_id = $1 AND i.kind = $2 AND i.value = $3";
    USER_VERSION = "SELECT version FROM users WHERE instance_id = $1 AND id = $2";
    INSERT_USER = "INSERT INTO users (instance_id, id, version, created_at, updated_at, last_sign_in_at, banned, search, document) VALUES ($1, $2, $3 + 1, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING";
    UPDATE_USER = "UPDATE users SET version = $3 + 1, created_at = $4, updated_at = $5, last_sign_in_at = $6, banned = $7, search = $8, document = $9 WHERE instance_id = $1 AND id = $2 AND version = $3";
    DELETE_USER = "DELETE FROM users WHERE instance_id = $1 AND id = $2";
    CLAIM_IDENTIFIER = "INSERT INTO identifiers (instance_id, kind, value, user_id) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    OWNER_OF_IDENTIFIER = "SELECT user_id FROM identifiers WHERE instance_id = $1 AND kind = $2 AND value = $3";
    RELEASE_IDENTIFIERS = "DELETE FROM identifiers WHERE instance_id = $1 AND user_id = $2";
}

/// The kinds of identifiers.
pub(in crate::sqlite) const EMAIL_ADDRESS: &str = "email_address";
pub(in crate::sqlite) const EXTERNAL_ID: &str = "external_id";

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    document(row, 0)
}

pub(in crate::sqlite) fn get(
    db: &Connection,
    instance: InstanceId,
    id: UserId,
) -> Result<Option<User>, StoreError> {
    first(db, &USER, [instance.to_string(), id.to_string()], user)
}

pub(in crate::sqlite) fn by_identifier(
    db: &Connection,
    instance: InstanceId,
    kind: &'static str,
    value: &str,
) -> Result<Option<User>, StoreError> {
    first(db, &USER_BY_IDENTIFIER, params![instance.to_string(), kind, value], user)
}

pub(in crate::sqlite) fn version(
    db: &Connection,
    instance: InstanceId,
    id: UserId,
) -> Result<Option<u64>, StoreError> {
    first(db, &USER_VERSION, [instance.to_string(), id.to_string()], |row| number(row, 0))
}

pub(in crate::sqlite) fn list(
    db: &Connection,
    instance: InstanceId,
    filter: &UserFilter,
) -> Result<(Vec<User>, u64), StoreError> {
    let mut conditions = Conditions::of_instance("u.instance_id", instance.to_string());
    conditions.and_one_of("u.id IN ($)", filter.ids.iter().map(ToString::to_string));
    conditions.and_one_of(
        "u.id IN (SELECT user_id FROM identifiers WHERE instance_id = u.instance_id AND kind = 'email_address' AND value IN ($))",
        filter.emails.iter().cloned(),
    );
    conditions.and_one_of(
        "u.id IN (SELECT user_id FROM identifiers WHERE instance_id = u.instance_id AND kind = 'external_id' AND value IN ($))",
        filter.external_ids.iter().cloned(),
    );
    if let Some(banned) = filter.banned {
        conditions.and("u.banned = $", i64::from(banned));
    }
    if let Some(query) = &filter.query {
        conditions.and("u.search LIKE $ ESCAPE '\\'", contains(query));
    }
    let order = match filter.order {
        UserOrder::NewestFirst => "u.created_at DESC, u.id DESC",
        UserOrder::OldestFirst => "u.created_at, u.id",
        UserOrder::LastSignInNewestFirst => "COALESCE(u.last_sign_in_at, 0) DESC, u.id DESC",
        UserOrder::LastSignInOldestFirst => "COALESCE(u.last_sign_in_at, 0), u.id",
        UserOrder::UpdatedNewestFirst => "u.updated_at DESC, u.id DESC",
        UserOrder::UpdatedOldestFirst => "u.updated_at, u.id",
    };
    let page = Page {
        table: "users",
        select: "u.document",
        from: "users u",
        order,
        limit: filter.limit,
        offset: filter.offset,
    };
    page.read(db, &conditions, user)
}

/// A LIKE pattern for texts that contain `query`, whatever characters it is made of.
fn contains(query: &str) -> String {
    let query = query.to_lowercase();
    let query = query.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{query}%")
}

/// Writes the row if its version is the stored one.
pub(in crate::sqlite) fn put(db: &Connection, instance: InstanceId, row: &User) -> Result<usize, StoreError> {
    let statement = if row.version == 0 { &INSERT_USER } else { &UPDATE_USER };
    let stored = User { version: row.version + 1, ..row.clone() };
    let params = params![
        instance.to_string(),
        row.id.to_string(),
        signed(row.version),
        row.created_at.as_millis(),
        row.updated_at.as_millis(),
        row.last_sign_in_at.map(Timestamp::as_millis),
        i64::from(row.banned),
        search_text(row),
        json("users", &stored)?,
    ];
    run(db, statement, params)
}

pub(in crate::sqlite) fn delete(
    db: &Connection,
    instance: InstanceId,
    id: UserId,
) -> Result<usize, StoreError> {
    run(db, &DELETE_USER, [instance.to_string(), id.to_string()])
}

/// Frees all identifiers of a user.
pub(in crate::sqlite) fn release(
    db: &Connection,
    instance: InstanceId,
    id: UserId,
) -> Result<usize, StoreError> {
    run(db, &RELEASE_IDENTIFIERS, [instance.to_string(), id.to_string()])
}

/// Whether the identifier is the user's now.
pub(in crate::sqlite) fn claim(
    db: &Connection,
    instance: InstanceId,
    id: UserId,
    kind: &'static str,
    value: &str,
) -> Result<bool, StoreError> {
    let (instance, id) = (instance.to_string(), id.to_string());
    if run(db, &CLAIM_IDENTIFIER, params![instance, kind, value, id])? > 0 {
        return Ok(true);
    }
    let owner =
        first(db, &OWNER_OF_IDENTIFIER, params![instance, kind, value], |row| row.get::<_, String>(0))?;
    Ok(owner == Some(id))
}
