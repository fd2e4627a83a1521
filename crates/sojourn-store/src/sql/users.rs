//! Users, and the identifiers that belong to exactly one user.

use sojourn_core::{
    email::Email,
    id::{ClientId, InstanceId, UserId},
    user::User,
};

use super::{
    list::{Conditions, Page, Texts},
    row::{Row, Unreadable, only_document},
    statement::{Dialect, ExpectedRows, Query, Statement, json, statements},
    value::params,
};
use crate::{
    error::StoreError,
    records::{UserFilter, UserSortKey, search_text},
};

statements! { "users";
    USER = both "SELECT document FROM users WHERE instance_id = $1 AND id = $2";
    // The spelling in the request first: rows from before addresses were compared by the ASCII
    // form of the domain may give each spelling to another account.
    USER_BY_EMAIL = both "
            SELECT document
            FROM users
            WHERE instance_id = $1 AND id = COALESCE(
                (SELECT user_id FROM identifiers
                    WHERE instance_id = $1 AND kind = 'email_address' AND value = $2),
                (SELECT user_id FROM identifiers
                    WHERE instance_id = $1 AND kind = 'email_address' AND value = $3),
                (SELECT user_id FROM identifiers
                    WHERE instance_id = $1 AND kind = 'email_address' AND value = $4)
            )";
    // One row if no other user has this spelling, or if this user already had its own spelling
    // ($4).
    SPELLING_IS_FREE = both "
            SELECT 1
            WHERE NOT EXISTS (
                SELECT 1
                FROM identifiers
                WHERE instance_id = $1 AND kind = 'email_address' AND value = $2 AND user_id <> $3
            ) OR EXISTS (
                SELECT 1
                FROM identifiers
                WHERE instance_id = $1 AND kind = 'email_address' AND value = $4 AND user_id = $3
            )";
    HOLD_SPELLING = both "
            INSERT INTO identifiers (instance_id, kind, value, user_id)
            VALUES ($1, 'email_address', $2, $3)
            ON CONFLICT DO NOTHING";
    // PostgreSQL reads all users of a client with one statement; see sql/attempts.rs.
    USERS_OF_CLIENT = postgres "
            SELECT document
            FROM users
            WHERE instance_id = $1 AND id IN (
                SELECT user_id
                FROM sessions
                WHERE instance_id = $1 AND client_id = $2 AND closed_at IS NULL
            )
            ORDER BY id";
    // SQLite has a single writer. PostgreSQL must lock the row until the commit.
    EXPECT_USER =
        sqlite "SELECT 1 FROM users WHERE instance_id = $1 AND id = $2 AND version = $3",
        postgres "SELECT 1 FROM users WHERE instance_id = $1 AND id = $2 AND version = $3 FOR SHARE";
    // A set that also writes the user takes the exclusive lock first: two sets that first shared
    // the row and then both updated it would deadlock.
    LOCK_USER = postgres "SELECT 1 FROM users WHERE instance_id = $1 AND id = $2 FOR UPDATE";
    INSERT_USER = both "
            INSERT INTO users (instance_id, id, version, created_at, updated_at, last_sign_in_at,
                banned, search, document)
            VALUES ($1, $2, CAST($3 AS BIGINT) + 1, $4, $5, $6, $7, $8, $9)
            ON CONFLICT DO NOTHING";
    UPDATE_USER = both "
            UPDATE users
            SET version = version + 1, created_at = $4, updated_at = $5, last_sign_in_at = $6,
                banned = $7, search = $8, document = $9
            WHERE instance_id = $1 AND id = $2 AND version = $3";
    DELETE_USER = both "DELETE FROM users WHERE instance_id = $1 AND id = $2";
    CLAIM_IDENTIFIER = both "
            INSERT INTO identifiers (instance_id, kind, value, user_id)
            VALUES ($1, $2, $3, $4)
            ON CONFLICT (instance_id, kind, value) DO UPDATE SET user_id = excluded.user_id
            WHERE identifiers.user_id = excluded.user_id";
    RELEASE_IDENTIFIERS = both "DELETE FROM identifiers WHERE instance_id = $1 AND user_id = $2";
}

/// The kinds of identifiers.
pub(crate) const EMAIL_ADDRESS: &str = "email_address";
pub(crate) const EXTERNAL_ID: &str = "external_id";

fn user(row: &dyn Row) -> Result<User, Unreadable> {
    only_document(row)
}

pub(crate) fn get(instance: InstanceId, id: UserId) -> Query<User, 2> {
    Query { sql: &USER, params: params![instance, id], read: user }
}

/// The users of a client's open sessions, ordered by id.
pub(crate) fn of_client(instance: InstanceId, client: ClientId) -> Query<User, 2> {
    Query { sql: &USERS_OF_CLIENT, params: params![instance, client], read: user }
}

/// The user with this address, in any spelling.
pub(crate) fn by_email(instance: InstanceId, email: &Email) -> Query<User, 4> {
    let mut others = email.other_spellings().into_iter();
    let mut other = || others.next().unwrap_or_else(|| email.as_str().to_owned());
    let params = params![instance, email.as_str().to_owned(), other(), other()];
    Query { sql: &USER_BY_EMAIL, params, read: user }
}

/// The newest activity of a user's sessions that still exist, otherwise the last sign-in. The
/// sessions of a user are found by one index.
macro_rules! last_active {
    () => {
        "COALESCE((SELECT MAX(a.last_active_at) FROM sessions s JOIN activity a ON a.instance_id = s.instance_id AND a.session_id = s.id WHERE s.instance_id = u.instance_id AND s.user_id = u.id), u.last_sign_in_at)"
    };
}

/// The name is the second line of `search`, if the user has a name.
const NAME_CONTAINS: Texts = Texts {
    sqlite: "COALESCE(u.document ->> 'first_name', u.document ->> 'last_name') IS NOT NULL AND substr(u.search, instr(u.search, char(10)) + 1, instr(substr(u.search, instr(u.search, char(10)) + 1) || char(10), char(10)) - 1) LIKE $ ESCAPE '\\'",
    postgres: "COALESCE(CAST(u.document AS JSONB) ->> 'first_name', CAST(u.document AS JSONB) ->> 'last_name') IS NOT NULL AND split_part(u.search, chr(10), 2) LIKE $ ESCAPE '\\'",
};
const FIRST_NAME: Texts = Texts {
    sqlite: "lower(COALESCE(u.document ->> 'first_name', ''))",
    postgres: "lower(COALESCE(CAST(u.document AS JSONB) ->> 'first_name', '') COLLATE \"C\")",
};
const LAST_NAME: Texts = Texts {
    sqlite: "lower(COALESCE(u.document ->> 'last_name', ''))",
    postgres: "lower(COALESCE(CAST(u.document AS JSONB) ->> 'last_name', '') COLLATE \"C\")",
};
const PRIMARY_EMAIL: Texts = Texts {
    sqlite: "COALESCE((SELECT e.value ->> 'email' FROM json_each(u.document -> 'email_addresses') e WHERE e.value ->> 'id' = u.document ->> 'primary_email_address_id'), '')",
    postgres: "COALESCE((SELECT e ->> 'email' FROM jsonb_array_elements(CAST(u.document AS JSONB) -> 'email_addresses') e WHERE e ->> 'id' = CAST(u.document AS JSONB) ->> 'primary_email_address_id'), '') COLLATE \"C\"",
};

const fn sort_key(key: UserSortKey) -> Texts {
    match key {
        UserSortKey::CreatedAt => Texts::both("u.created_at"),
        UserSortKey::UpdatedAt => Texts::both("u.updated_at"),
        UserSortKey::LastSignInAt => Texts::both("COALESCE(u.last_sign_in_at, 0)"),
        UserSortKey::LastActiveAt => Texts::both(concat!("COALESCE(", last_active!(), ", 0)")),
        UserSortKey::EmailAddress => PRIMARY_EMAIL,
        UserSortKey::FirstName => FIRST_NAME,
        UserSortKey::LastName => LAST_NAME,
    }
}

pub(crate) fn list(instance: InstanceId, filter: &UserFilter, dialect: Dialect) -> Page<User> {
    let mut conditions = Conditions::of_instance("u.instance_id", instance);
    conditions.and_one_of("u.id IN ($)", filter.ids.iter().copied());
    conditions.and_one_of(
        "u.id IN (SELECT user_id FROM identifiers WHERE instance_id = u.instance_id AND kind = 'email_address' AND value IN ($))",
        filter.emails.iter().flat_map(|email| {
            [email.as_str().to_owned()].into_iter().chain(email.other_spellings())
        }),
    );
    conditions.and_one_of(
        "u.id IN (SELECT user_id FROM identifiers WHERE instance_id = u.instance_id AND kind = 'external_id' AND value IN ($))",
        filter.external_ids.iter().cloned(),
    );
    if let Some(banned) = filter.banned {
        conditions.and("u.banned = $", banned);
    }
    if let Some(query) = &filter.query {
        conditions.and("u.search LIKE $ ESCAPE '\\'", contains(query));
    }
    if let Some(query) = &filter.email_query {
        conditions.and(
            "EXISTS (SELECT 1 FROM identifiers i WHERE i.instance_id = u.instance_id AND i.user_id = u.id AND i.kind = 'email_address' AND i.value LIKE $ ESCAPE '\\')",
            contains(query),
        );
    }
    if let Some(query) = &filter.name_query {
        conditions.and(NAME_CONTAINS.of(dialect), contains(query));
    }
    let spans = [
        (filter.created, "u.created_at >= $", "u.created_at < $"),
        (filter.last_sign_in, "u.last_sign_in_at >= $", "u.last_sign_in_at < $"),
        (filter.last_active, concat!(last_active!(), " >= $"), concat!(last_active!(), " < $")),
    ];
    for (span, from, before) in spans {
        if let Some(at) = span.from {
            conditions.and(from, at);
        }
        if let Some(at) = span.before {
            conditions.and(before, at);
        }
    }
    let (key, direction) =
        (sort_key(filter.order.by).of(dialect), if filter.order.descending { "DESC" } else { "ASC" });
    Page {
        table: "users",
        select: "u.document",
        from: "users u",
        conditions,
        order: format!("{key} {direction}, u.id {direction}"),
        limit: filter.limit,
        offset: filter.offset,
        read: user,
    }
}

/// A LIKE pattern that matches texts containing `query` literally.
fn contains(query: &str) -> String {
    let query = query.to_lowercase();
    let query = query.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{query}%")
}

/// The user must exist in this version.
pub(crate) fn expect(instance: InstanceId, id: UserId, version: u64) -> Statement {
    Statement::one(&EXPECT_USER, params![instance, id, version])
}

/// Locks the user until the commit.
pub(crate) fn lock(instance: InstanceId, id: UserId) -> Statement {
    Statement::any(&LOCK_USER, params![instance, id])
}

/// Writes the row if the stored version is `row.version`.
pub(crate) fn put(instance: InstanceId, row: &User) -> Result<Statement, StoreError> {
    let statement = if row.version == 0 { &INSERT_USER } else { &UPDATE_USER };
    let stored = User { version: row.version + 1, ..row.clone() };
    let params = params![
        instance,
        row.id,
        row.version,
        row.created_at,
        row.updated_at,
        row.last_sign_in_at,
        row.banned,
        search_text(row),
        json("users", &stored)?,
    ];
    Ok(Statement::one(statement, params))
}

pub(crate) fn delete(instance: InstanceId, id: UserId) -> Statement {
    Statement::one(&DELETE_USER, params![instance, id])
}

/// Deletes all identifiers of a user.
pub(crate) fn release(instance: InstanceId, id: UserId) -> Statement {
    Statement::any(&RELEASE_IDENTIFIERS, params![instance, id])
}

/// Claims an identifier for the user, unless another user has it.
pub(crate) fn claim(instance: InstanceId, id: UserId, kind: &'static str, value: &str) -> Statement {
    let params = params![instance, kind, value.to_owned(), id];
    Statement { expected_rows: ExpectedRows::Free(kind), ..Statement::one(&CLAIM_IDENTIFIER, params) }
}

/// No other user may have one of the other spellings of an address.
pub(crate) fn spellings_are_free(instance: InstanceId, id: UserId, email: &Email) -> Vec<Statement> {
    let free = |other| {
        let params = params![instance, other, id, email.as_str().to_owned()];
        Statement {
            expected_rows: ExpectedRows::Free(EMAIL_ADDRESS),
            ..Statement::one(&SPELLING_IS_FREE, params)
        }
    };
    email.other_spellings().into_iter().map(free).collect()
}

/// Claims all spellings of an address, in sorted order: two users who claim the same address at the
/// same time lock the rows in the same order and cannot deadlock.
pub(crate) fn claim_email(instance: InstanceId, id: UserId, email: &Email) -> Vec<Statement> {
    let text = email.as_str();
    let others = email.other_spellings();
    let (before, after) = others.split_at(others.partition_point(|other| other.as_str() < text));
    let hold = |other: &String| Statement::any(&HOLD_SPELLING, params![instance, other.clone(), id]);
    let claim = claim(instance, id, EMAIL_ADDRESS, text);
    before.iter().map(hold).chain([claim]).chain(after.iter().map(hold)).collect()
}
