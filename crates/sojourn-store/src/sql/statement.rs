//! A statement: the SQL text for both engines, its parameters, the function that reads its rows,
//! and its expected row count.

use std::sync::OnceLock;

use super::{
    row::{Row, Unreadable},
    value::Value,
};
use crate::error::{CommitError, StoreError};

/// The text of a statement.
#[derive(Debug)]
pub(crate) struct Sql {
    /// The table that error messages name.
    pub(crate) table: &'static str,
    sqlite: Option<&'static str>,
    postgres: Option<&'static str>,
    for_sqlite: OnceLock<String>,
    for_postgres: OnceLock<String>,
}

impl Sql {
    /// A statement without text.
    pub(crate) const fn of(table: &'static str) -> Self {
        Self {
            table,
            sqlite: None,
            postgres: None,
            for_sqlite: OnceLock::new(),
            for_postgres: OnceLock::new(),
        }
    }

    pub(crate) const fn both(self, text: &'static str) -> Self {
        self.sqlite(text).postgres(text)
    }

    pub(crate) const fn sqlite(mut self, text: &'static str) -> Self {
        self.sqlite = Some(text);
        self
    }

    pub(crate) const fn postgres(mut self, text: &'static str) -> Self {
        self.postgres = Some(text);
        self
    }

    /// The text for SQLite; `None` if SQLite's single writer makes the statement unnecessary.
    pub(crate) fn for_sqlite(&self) -> Option<&str> {
        self.sqlite.map(|text| self.for_sqlite.get_or_init(|| Dialect::Sqlite.text(text)).as_str())
    }

    /// The text for PostgreSQL; `None` if PostgreSQL does not need the statement.
    pub(crate) fn for_postgres(&self) -> Option<&str> {
        self.postgres.map(|text| self.for_postgres.get_or_init(|| Dialect::Postgres.text(text)).as_str())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// The text in the dialect of the engine, in one line. SQLite numbers `$N` by first appearance,
    /// so it becomes `?N`. The replacement is safe because no statement contains another `$`, or a
    /// literal with several spaces.
    pub(crate) fn text(self, text: &str) -> String {
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        match self {
            Self::Sqlite => line.replace('$', "?"),
            Self::Postgres => line,
        }
    }
}

/// Declares the statements of a noun, and their list for the tests that prepare all of them: `NAME
/// = both "…"`, `NAME = sqlite "…", postgres "…"`, or `NAME = postgres "…"`.
macro_rules! statements {
    ($table:literal; $($name:ident = $($engine:ident $text:expr),+;)*) => {
        $(pub(crate) static $name: $crate::sql::statement::Sql =
            $crate::sql::statement::Sql::of($table)$(.$engine($text))+;)*
        #[cfg(test)]
        pub(crate) const ALL: &[&$crate::sql::statement::Sql] = &[$(&$name),*];
    };
}
pub(crate) use statements;

/// Declares columns that are selected together: `$list!()` is the column list, and `$module` has
/// the index of each column by name.
macro_rules! columns {
    ($list:ident, $module:ident: $($name:ident $column:literal;)+) => {
        macro_rules! $list {
            () => { $crate::sql::statement::comma_separated!($($column)+) };
        }
        mod $module {
            const ALL: &[&str] = &[$($column),+];
            $(pub(super) const $name: usize = $crate::sql::statement::place(ALL, $column);)+
        }
    };
}
pub(crate) use columns;

macro_rules! comma_separated {
    ($first:literal $($other:literal)*) => { concat!($first $(, ", ", $other)*) };
}
pub(crate) use comma_separated;

/// The index of `wanted` in `all`.
pub(crate) const fn place(all: &[&str], wanted: &str) -> usize {
    let mut place = 0;
    while !is_same(all[place].as_bytes(), wanted.as_bytes()) {
        place += 1;
    }
    place
}

const fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut index = 0;
    while index < one.len() {
        if one[index] != other[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// A statement that reads, with its parameters.
#[derive(Debug)]
pub(crate) struct Query<T, const N: usize> {
    pub(crate) sql: &'static Sql,
    pub(crate) params: [Value; N],
    pub(crate) read: fn(&dyn Row) -> Result<T, Unreadable>,
}

/// A statement that writes, with its parameters.
#[derive(Debug)]
pub(crate) struct Command<const N: usize> {
    pub(crate) sql: &'static Sql,
    pub(crate) params: [Value; N],
}

/// For statements that only test whether a row exists.
pub(crate) fn there(_: &dyn Row) -> Result<(), Unreadable> {
    Ok(())
}

/// The JSON text of a document.
pub(crate) fn json<T: serde::Serialize>(table: &'static str, row: &T) -> Result<String, StoreError> {
    serde_json::to_string(row).map_err(|error| StoreError::Corrupt { table, reason: error.to_string() })
}

/// One statement of a change set.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) sql: &'static Sql,
    pub(crate) params: Vec<Value>,
    pub(crate) expected_rows: ExpectedRows,
}

/// The expected row count of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExpectedRows {
    /// Any number.
    Any,
    /// At least one row, otherwise a conflict.
    Some,
    /// No row, otherwise a conflict.
    None,
    /// At least one row; otherwise the set is already applied.
    New,
    /// At least one row; otherwise another user has an identifier of this kind.
    Free(&'static str),
}

/// The result of checking a statement's row count.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Continue with the next statement.
    Next,
    /// The set was applied earlier; roll back.
    Applied,
    /// The set is rejected.
    Refused(CommitError),
}

impl ExpectedRows {
    /// Compares `rows` with the expectation.
    pub(crate) fn check(self, rows: usize) -> Outcome {
        match (self, rows > 0) {
            (Self::Any, _) | (Self::None, false) => Outcome::Next,
            (Self::Some | Self::New | Self::Free(_), true) => Outcome::Next,
            (Self::New, false) => Outcome::Applied,
            (Self::Free(kind), false) => Outcome::Refused(CommitError::Taken(kind)),
            (Self::Some, false) | (Self::None, true) => Outcome::Refused(CommitError::Conflict),
        }
    }
}

impl Statement {
    /// A statement that must affect at least one row.
    pub(crate) fn one<const N: usize>(sql: &'static Sql, params: [Value; N]) -> Self {
        Self { sql, params: params.into(), expected_rows: ExpectedRows::Some }
    }

    /// A statement that may affect no row.
    pub(crate) fn any<const N: usize>(sql: &'static Sql, params: [Value; N]) -> Self {
        Self { sql, params: params.into(), expected_rows: ExpectedRows::Any }
    }
}

impl<const N: usize> From<Command<N>> for Statement {
    fn from(command: Command<N>) -> Self {
        Self::any(command.sql, command.params)
    }
}
