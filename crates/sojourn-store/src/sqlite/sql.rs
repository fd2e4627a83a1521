//! Statements: text, once, at the top of one file per noun, written with `$N`
//! as PostgreSQL reads it, and translated once for SQLite.

pub(super) mod attempts;
pub(super) mod clients;
pub(super) mod instances;
pub(super) mod journal;
pub(super) mod mails;
pub(super) mod sessions;
pub(super) mod tickets;
pub(super) mod users;

use std::{str::FromStr, sync::OnceLock};

use rusqlite::{Connection, Error, Params, Row, ffi::ErrorCode, types::Type};
use serde::de::DeserializeOwned;
use sojourn_core::time::Timestamp;

use crate::engine::StoreError;

/// One statement.
#[derive(Debug)]
pub(super) struct Sql {
    table: &'static str,
    text: &'static str,
    translated: OnceLock<String>,
}

impl Sql {
    pub(super) const fn new(table: &'static str, text: &'static str) -> Self {
        Self { table, text, translated: OnceLock::new() }
    }

    fn for_sqlite(&self) -> &str {
        self.translated.get_or_init(|| translate(self.text))
    }
}

/// SQLite counts a raw `$N` by first appearance; `?N` means the number.
/// No statement of ours holds a `$` that is no parameter.
pub(super) fn translate(text: &str) -> String {
    text.replace('$', "?")
}

/// The statements of one noun, and the list of them for the test that prepares all.
macro_rules! statements {
    ($table:literal; $($name:ident = $text:literal;)*) => {
        $(static $name: $crate::sqlite::sql::Sql = $crate::sqlite::sql::Sql::new($table, $text);)*
        #[cfg(test)]
        pub(in crate::sqlite) const ALL: &[&$crate::sqlite::sql::Sql] = &[$(&$name),*];
    };
}
pub(super) use statements;

/// Runs a statement and says how many rows it changed. A number of parameters
/// that does not fit the text is an error.
pub(super) fn run(db: &Connection, sql: &Sql, params: impl Params) -> Result<usize, StoreError> {
    let mut statement = db.prepare_cached(sql.for_sqlite()).map_err(failed(sql.table))?;
    statement.execute(params).map_err(failed(sql.table))
}

/// All rows of a statement.
pub(super) fn all<T>(
    db: &Connection,
    sql: &Sql,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = db.prepare_cached(sql.for_sqlite()).map_err(failed(sql.table))?;
    let rows = statement.query_map(params, read).map_err(failed(sql.table))?;
    rows.collect::<Result<_, _>>().map_err(failed(sql.table))
}

/// The first row of a statement.
pub(super) fn first<T>(
    db: &Connection,
    sql: &Sql,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, StoreError> {
    let mut statement = db.prepare_cached(sql.for_sqlite()).map_err(failed(sql.table))?;
    match statement.query_row(params, read) {
        Ok(row) => Ok(Some(row)),
        Err(Error::QueryReturnedNoRows) => Ok(None),
        Err(error) => Err(failed(sql.table)(error)),
    }
}

/// What a failure of SQLite means to the caller.
pub(super) fn failed(table: &'static str) -> impl Fn(Error) -> StoreError {
    move |error| match &error {
        Error::FromSqlConversionFailure(..)
        | Error::InvalidColumnType(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::Utf8Error(..) => StoreError::Corrupt { table, reason: error.to_string() },
        Error::SqliteFailure(failure, _)
            if matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) =>
        {
            StoreError::Corrupt { table, reason: error.to_string() }
        }
        _ => StoreError::Unavailable(error.to_string()),
    }
}

fn unreadable<E>(column: usize, kind: Type) -> impl FnOnce(E) -> Error
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    move |error| Error::FromSqlConversionFailure(column, kind, error.into())
}

/// An id, or another word with a closed meaning.
pub(super) fn parsed<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    row.get_ref(column)?.as_str()?.parse().map_err(unreadable(column, Type::Text))
}

/// An id that may be absent.
pub(super) fn parsed_if_any<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text = row.get_ref(column)?.as_str_or_null()?;
    text.map(str::parse).transpose().map_err(unreadable(column, Type::Text))
}

/// A word of a closed set.
pub(super) fn word<T>(
    row: &Row<'_>,
    column: usize,
    from_word: impl FnOnce(&str) -> Option<T>,
) -> rusqlite::Result<T> {
    let word = row.get_ref(column)?.as_str()?;
    from_word(word).ok_or_else(|| unreadable(column, Type::Text)(format!("the word {word:?} is not known")))
}

/// A point in time.
pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::from_millis)
}

/// A JSON document.
pub(super) fn document<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str()?).map_err(unreadable(column, Type::Text))
}

/// A count or a version: stored signed, never negative.
pub(super) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| Error::IntegralValueOutOfRange(column, value))
}

/// Numbers as SQL has them: signed.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The JSON of a row's document.
pub(super) fn json<T: serde::Serialize>(table: &'static str, row: &T) -> Result<String, StoreError> {
    serde_json::to_string(row).map_err(|error| StoreError::Corrupt { table, reason: error.to_string() })
}

/// A condition and its parameters, added one by one to a list's statement.
#[derive(Debug)]
pub(super) struct Conditions {
    pub(super) text: String,
    pub(super) params: Vec<rusqlite::types::Value>,
}

impl Conditions {
    /// Rows of one instance, where the column is named so.
    pub(super) fn of_instance(column: &'static str, instance: String) -> Self {
        Self { text: format!("{column} = $1"), params: vec![instance.into()] }
    }

    /// Adds ` AND ` and a text whose `$` stands for the parameter.
    pub(super) fn and(&mut self, text: &'static str, param: impl Into<rusqlite::types::Value>) {
        self.params.push(param.into());
        let number = format!("${}", self.params.len());
        self.text.push_str(" AND ");
        self.text.push_str(&text.replace('$', &number));
    }

    /// Adds a condition without a parameter.
    pub(super) fn and_plain(&mut self, text: &'static str) {
        self.text.push_str(" AND ");
        self.text.push_str(text);
    }

    /// Adds a text whose `$` stands for a list of parameters, unless it is empty.
    pub(super) fn and_one_of(&mut self, text: &'static str, params: impl IntoIterator<Item = String>) {
        let before = self.params.len();
        self.params.extend(params.into_iter().map(Into::into));
        let numbers: Vec<String> =
            (before + 1..=self.params.len()).map(|number| format!("${number}")).collect();
        if !numbers.is_empty() {
            self.text.push_str(" AND ");
            self.text.push_str(&text.replace('$', &numbers.join(", ")));
        }
    }
}

/// A list: what to select and from where, in which order, and which part of it.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) table: &'static str,
    pub(super) select: &'static str,
    pub(super) from: &'static str,
    pub(super) order: &'static str,
    pub(super) limit: u32,
    pub(super) offset: u32,
}

impl Page {
    /// The rows of the page, and how many there are in all. Call it in a
    /// transaction, so that both are of one moment.
    pub(super) fn read<T>(
        &self,
        db: &Connection,
        conditions: &Conditions,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<(Vec<T>, u64), StoreError> {
        let Self { table, select, from, order, limit, offset } = self;
        let Conditions { text, params } = conditions;
        let count = translate(&format!("SELECT COUNT(*) FROM {from} WHERE {text}"));
        let list = translate(&format!(
            "SELECT {select} FROM {from} WHERE {text} ORDER BY {order} LIMIT {limit} OFFSET {offset}"
        ));
        let params = || rusqlite::params_from_iter(params.iter());
        let total = db.query_row(&count, params(), |row| number(row, 0)).map_err(failed(table))?;
        let mut statement = db.prepare(&list).map_err(failed(table))?;
        let rows = statement.query_map(params(), read).map_err(failed(table))?;
        let rows = rows.collect::<Result<_, _>>().map_err(failed(table))?;
        Ok((rows, total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::file;

    fn every_statement() -> impl Iterator<Item = &'static Sql> {
        let nouns = [
            attempts::ALL,
            clients::ALL,
            instances::ALL,
            journal::ALL,
            mails::ALL,
            sessions::ALL,
            tickets::ALL,
            users::ALL,
        ];
        nouns.into_iter().flatten().copied()
    }

    #[test]
    fn every_statement_finds_its_rows_by_a_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = file::open(&folder.path().join("sojourn.db")).expect("a database");
        // Few rows by nature, or all that a key leaves are wanted.
        let walks = ["FROM instances ORDER BY", "FROM mails", "FROM signing_keys"];
        for sql in every_statement() {
            let text = format!("EXPLAIN QUERY PLAN {}", sql.for_sqlite());
            let mut statement = db.prepare(&text).expect("a plan");
            let count = statement.parameter_count();
            let steps = statement
                .query_map(rusqlite::params_from_iter(vec![0; count]), |row| row.get(3))
                .expect("a plan");
            for step in steps {
                let step: String = step.expect("a step");
                let walks = walks.iter().any(|walk| sql.text.contains(walk));
                assert!(walks || !step.contains("SCAN"), "{}: {step}", sql.text);
                assert!(walks || !step.contains("TEMP B-TREE"), "{}: {step}", sql.text);
                // Half a key leaves a whole instance to walk.
                let half = step.ends_with("(instance_id=?)") && !sql.text.contains("ORDER BY");
                let all = sql.text.contains("MAX(") || sql.text.starts_with("DELETE FROM mails");
                assert!(walks || all || !half, "{}: {step}", sql.text);
            }
        }
    }

    #[test]
    fn every_statement_is_understood() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = file::open(&folder.path().join("sojourn.db")).expect("a database");
        for sql in every_statement() {
            let statement = db.prepare(sql.for_sqlite());
            assert!(statement.is_ok(), "{}: {statement:?}", sql.text);
        }
    }

    #[test]
    fn a_missing_parameter_is_an_error() {
        static TWO: Sql = Sql::new("none", "SELECT $2, $1");
        let db = Connection::open_in_memory().expect("a database");
        let answer = first(&db, &TWO, [1], |row| row.get::<_, i64>(0));
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
        let answer = first(&db, &TWO, [1, 2], |row| row.get::<_, i64>(0));
        assert_eq!(answer.expect("both"), Some(2));
    }
}
