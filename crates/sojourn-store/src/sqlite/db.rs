//! Runs statements on a connection.

use rusqlite::{
    Connection, Error, ToSql,
    ffi::ErrorCode,
    params_from_iter,
    types::{FromSqlError, ToSqlOutput, ValueRef},
};

use crate::{
    error::StoreError,
    sql::{
        list::Page,
        row::{Row, Unreadable},
        statement::{Command, Dialect, Query, Sql},
        value::Value,
    },
};

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Bool(yes) => ValueRef::Integer(i64::from(*yes)),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Hash(hash) => ValueRef::Blob(hash),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl Row for rusqlite::Row<'_> {
    fn text(&self, column: usize) -> Result<Option<&str>, Unreadable> {
        get(self, column)?.as_str_or_null().map_err(wrong(column))
    }

    fn int(&self, column: usize) -> Result<Option<i64>, Unreadable> {
        get(self, column)?.as_i64_or_null().map_err(wrong(column))
    }

    fn bytes(&self, column: usize) -> Result<Option<&[u8]>, Unreadable> {
        get(self, column)?.as_blob_or_null().map_err(wrong(column))
    }
}

fn get<'a>(row: &'a rusqlite::Row<'_>, column: usize) -> Result<ValueRef<'a>, Unreadable> {
    row.get_ref(column).map_err(Unreadable::new)
}

fn wrong(column: usize) -> impl Fn(FromSqlError) -> Unreadable {
    move |error| Unreadable(format!("column {column}: {error}"))
}

/// The first row, if any. A wrong number of parameters is an error.
pub(super) fn first<T, const N: usize>(
    db: &Connection,
    query: &Query<T, N>,
) -> Result<Option<T>, StoreError> {
    let table = query.sql.table;
    let mut statement = db.prepare_cached(text(query.sql)?).map_err(failed(table))?;
    let mut rows = statement.query(params_from_iter(&query.params)).map_err(failed(table))?;
    let Some(row) = rows.next().map_err(failed(table))? else {
        return Ok(None);
    };
    (query.read)(row).map(Some).map_err(corrupt(table))
}

/// All rows.
pub(super) fn all<T, const N: usize>(db: &Connection, query: &Query<T, N>) -> Result<Vec<T>, StoreError> {
    let table = query.sql.table;
    let mut statement = db.prepare_cached(text(query.sql)?).map_err(failed(table))?;
    let mut rows = statement.query(params_from_iter(&query.params)).map_err(failed(table))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed(table))? {
        found.push((query.read)(row).map_err(corrupt(table))?);
    }
    Ok(found)
}

/// The rows of a page and the total number of rows. Call it in a transaction, so that both come
/// from the same snapshot.
pub(super) fn page<T>(db: &Connection, page: &Page<T>) -> Result<(Vec<T>, u64), StoreError> {
    let total: i64 = db
        .query_row(&page.count(Dialect::Sqlite), params_from_iter(page.params()), |row| row.get(0))
        .map_err(failed(page.table))?;
    Ok((listed(db, page)?, total.unsigned_abs()))
}

/// The rows of a page.
pub(super) fn listed<T>(db: &Connection, page: &Page<T>) -> Result<Vec<T>, StoreError> {
    let mut statement = db.prepare(&page.list(Dialect::Sqlite)).map_err(failed(page.table))?;
    let mut rows = statement.query(params_from_iter(page.params())).map_err(failed(page.table))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed(page.table))? {
        found.push((page.read)(row).map_err(corrupt(page.table))?);
    }
    Ok(found)
}

/// Runs a statement that writes, and returns the number of changed rows.
pub(super) fn execute<const N: usize>(db: &Connection, command: &Command<N>) -> Result<usize, StoreError> {
    rows(db, command.sql, &command.params)
}

/// Runs a statement and returns the number of rows that it changed or found.
pub(super) fn rows(db: &Connection, sql: &Sql, params: &[Value]) -> Result<usize, StoreError> {
    let mut statement = db.prepare_cached(text(sql)?).map_err(failed(sql.table))?;
    let params = params_from_iter(params);
    if statement.column_count() == 0 {
        return statement.execute(params).map_err(failed(sql.table));
    }
    let mut found = statement.query(params).map_err(failed(sql.table))?;
    let mut count = 0;
    while found.next().map_err(failed(sql.table))?.is_some() {
        count += 1;
    }
    Ok(count)
}

fn text(sql: &Sql) -> Result<&str, StoreError> {
    let none = || StoreError::Unavailable(format!("a statement of {} has no text for SQLite", sql.table));
    sql.for_sqlite().ok_or_else(none)
}

fn corrupt(table: &'static str) -> impl Fn(Unreadable) -> StoreError {
    move |Unreadable(reason)| StoreError::Corrupt { table, reason }
}

/// Maps an error of SQLite. Only a damaged file is `Corrupt`; everything else may be temporary.
pub(super) fn failed(table: &'static str) -> impl Fn(Error) -> StoreError {
    move |error| match &error {
        Error::SqliteFailure(failure, _)
            if matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) =>
        {
            StoreError::Corrupt { table, reason: error.to_string() }
        }
        _ => StoreError::Unavailable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        sql::{every_statement, row, value::params},
        sqlite::file,
    };

    #[test]
    fn every_statement_finds_its_rows_by_a_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = file::open(&folder.path().join("sojourn.db")).expect("a database");
        // Tables with few rows, or statements that need all rows of a key.
        let walks = ["FROM instances ORDER BY", "FROM mails", "FROM signing_keys", "FROM secret_keys"];
        for sql in every_statement().filter_map(Sql::for_sqlite) {
            let text = format!("EXPLAIN QUERY PLAN {sql}");
            let mut statement = db.prepare(&text).expect("a plan");
            let count = statement.parameter_count();
            let steps =
                statement.query_map(params_from_iter(vec![0; count]), |row| row.get(3)).expect("a plan");
            for step in steps {
                let step: String = step.expect("a step");
                let walks = walks.iter().any(|walk| sql.contains(walk));
                // A SELECT without FROM returns one row and reads no table.
                let scans = step.contains("SCAN") && step != "SCAN CONSTANT ROW";
                assert!(walks || !scans, "{sql}: {step}");
                assert!(walks || !step.contains("TEMP B-TREE"), "{sql}: {step}");
                // With only a part of the key, SQLite would scan a whole instance.
                let half = step.ends_with("(instance_id=?)") && !sql.contains("ORDER BY");
                let all = sql.contains("MAX(")
                    || sql.contains("test_clocks")
                    // These indexes have the rows of one status only, and all of them are counted.
                    || (sql.contains("COUNT(*)") && step.contains("INDEX webhook_deliveries_in_order"))
                    || (sql.contains("COUNT(*)") && step.contains("INDEX webhook_deliveries_failed"))
                    // These statements delete or update all rows of an instance on purpose.
                    || (sql.starts_with("DELETE") && sql.ends_with("WHERE instance_id = ?1"))
                    || (sql.starts_with("UPDATE") && sql.contains("+ ?2 WHERE instance_id = ?1"));
                assert!(walks || all || !half, "{sql}: {step}");
            }
        }
    }

    #[test]
    fn every_statement_is_understood() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = file::open(&folder.path().join("sojourn.db")).expect("a database");
        for sql in every_statement().filter_map(Sql::for_sqlite) {
            let statement = db.prepare(sql);
            assert!(statement.is_ok(), "{sql}: {statement:?}");
        }
    }

    #[test]
    fn a_missing_parameter_is_an_error() {
        static TWO: Sql = Sql::of("none").sqlite("SELECT $2, $1");
        let db = Connection::open_in_memory().expect("a database");
        let one = Query { sql: &TWO, params: params![1_u32], read: |row| row::number(row, 0) };
        let answer = first(&db, &one);
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
        let two = Query { sql: &TWO, params: params![1_u32, 2_u32], read: |row| row::number(row, 0) };
        assert_eq!(first(&db, &two).expect("both"), Some(2));
    }
}
