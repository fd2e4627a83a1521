//! Instances and their settings.

use sojourn_core::{id::InstanceId, settings::Settings, time::Timestamp};

use super::{
    row::{Row, Unreadable, document, number, parsed, text, time, time_if_any, word},
    statement::{ExpectedRows, Query, Statement, columns, json, statements},
    value::params,
};
use crate::{
    error::StoreError,
    records::{Environment, Instance},
};

columns! { instance_columns, of_instance:
    ID "id";
    ENVIRONMENT "environment";
    HOST "host";
    CREATED_AT "created_at";
}

columns! { newest_columns, of_newest:
    VERSION "version";
    IN_FORCE_FROM "in_force_from";
}

columns! { settings_columns, of_settings:
    DOCUMENT "document";
    IN_FORCE_FROM "in_force_from";
}

statements! { "instances";
    ALL_INSTANCES = both concat!("SELECT ", instance_columns!(), " FROM instances ORDER BY created_at, id");
    // SQLite has a single writer. In PostgreSQL this is the only row of an empty database, so it
    // serves as the lock.
    LOCK_SCHEMA = postgres "SELECT 1 FROM schema_version WHERE id = 1 FOR UPDATE";
    INSTANCE_EXISTS = both "SELECT 1 FROM instances WHERE id = $1";
    INSERT_INSTANCE = both "
            INSERT INTO instances (id, environment, host, created_at)
            VALUES ($1, $2, $3, $4)
            ON CONFLICT DO NOTHING";
    NEWEST_SETTINGS = both concat!("SELECT ", newest_columns!(), "
            FROM settings WHERE instance_id = $1 ORDER BY version DESC LIMIT 1");
    // One row if $2 is the newest version, or if $2 is 0 and there are no settings.
    NEWEST_SETTINGS_ARE = both "
            SELECT MAX(version)
            FROM settings
            WHERE instance_id = $1
            HAVING COALESCE(MAX(version), 0) = $2";
    // SQLite has a single writer. PostgreSQL reads the newest version only after it holds a lock on
    // the row that a writer of the next version locks exclusively.
    SHARE_SETTINGS = postgres "SELECT 1 FROM settings WHERE instance_id = $1 AND version = $2 FOR SHARE";
    LOCK_SETTINGS = postgres "SELECT 1 FROM settings WHERE instance_id = $1 AND version = $2 FOR UPDATE";
    ALL_SETTINGS = both concat!("SELECT ", settings_columns!(), "
            FROM settings WHERE instance_id = $1 ORDER BY version");
    INSERT_SETTINGS = both "
            INSERT INTO settings (instance_id, version, document, in_force_from)
            VALUES ($1, $2, $3, $4)
            ON CONFLICT DO NOTHING";
}

fn environment(word: &str) -> Option<Environment> {
    [Environment::Development, Environment::Production]
        .into_iter()
        .find(|environment| environment.as_str() == word)
}

fn instance(row: &dyn Row) -> Result<Instance, Unreadable> {
    Ok(Instance {
        id: parsed(row, of_instance::ID)?,
        environment: word(row, of_instance::ENVIRONMENT, environment)?,
        host: text(row, of_instance::HOST)?.to_owned(),
        created_at: time(row, of_instance::CREATED_AT)?,
    })
}

pub(crate) fn all() -> Query<Instance, 0> {
    Query { sql: &ALL_INSTANCES, params: [], read: instance }
}

/// No instance may exist until the commit.
pub(crate) fn expect_none() -> [Statement; 2] {
    let none = Statement { sql: &ALL_INSTANCES, params: Vec::new(), expected_rows: ExpectedRows::None };
    [Statement::any(&LOCK_SCHEMA, params![]), none]
}

/// The instance must exist.
pub(crate) fn expect(id: InstanceId) -> Statement {
    Statement::one(&INSTANCE_EXISTS, params![id])
}

pub(crate) fn insert(row: &Instance) -> Statement {
    let Instance { id, environment, host, created_at } = row;
    Statement::one(&INSERT_INSTANCE, params![*id, environment.as_str(), host, *created_at])
}

/// The newest settings: the version, and the time from which it is in force. A reset of the test
/// clock changes the time but not the version.
pub(crate) type Newest = (u64, Option<Timestamp>);

pub(crate) fn newest_settings(instance: InstanceId) -> Query<Newest, 1> {
    let read =
        |row: &dyn Row| Ok((number(row, of_newest::VERSION)?, time_if_any(row, of_newest::IN_FORCE_FROM)?));
    Query { sql: &NEWEST_SETTINGS, params: params![instance], read }
}

/// All versions, oldest first.
pub(crate) fn settings(instance: InstanceId) -> Query<Settings, 1> {
    let read = |row: &dyn Row| {
        let settings: Settings = document(row, of_settings::DOCUMENT)?;
        let in_force_from = time_if_any(row, of_settings::IN_FORCE_FROM)?.unwrap_or(settings.in_force_from);
        Ok(Settings { in_force_from, ..settings })
    };
    Query { sql: &ALL_SETTINGS, params: params![instance], read }
}

/// `version` must be the newest settings version until the commit. `alone` locks it exclusively,
/// for a set that adds the next version.
pub(crate) fn expect_settings(instance: InstanceId, version: u64, alone: bool) -> [Statement; 2] {
    let lock = if alone { &LOCK_SETTINGS } else { &SHARE_SETTINGS };
    let params = params![instance, version];
    [Statement::any(lock, params.clone()), Statement::one(&NEWEST_SETTINGS_ARE, params)]
}

/// Inserts the next version.
pub(crate) fn insert_settings(instance: InstanceId, settings: &Settings) -> Result<Statement, StoreError> {
    let document = json("settings", settings)?;
    Ok(Statement::one(
        &INSERT_SETTINGS,
        params![instance, settings.version, document, settings.in_force_from],
    ))
}
