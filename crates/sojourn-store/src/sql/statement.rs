//! A statement: its text for both engines, with what it is given, how its rows are
//! read, and what their number has to be.

use std::sync::OnceLock;

use super::{
    row::{Row, Unreadable},
    value::Value,
};
use crate::error::{CommitError, StoreError};

/// The text of a statement.
#[derive(Debug)]
pub(crate) struct Sql {
    /// What failures are told of.
    pub(crate) table: &'static str,
    sqlite: Option<&'static str>,
    postgres: Option<&'static str>,
    for_sqlite: OnceLock<String>,
    for_postgres: OnceLock<String>,
}

impl Sql {
    /// One that no engine has yet.
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

    /// The text for SQLite; none where its one writer makes the statement needless.
    pub(crate) fn for_sqlite(&self) -> Option<&str> {
        self.sqlite.map(|text| self.for_sqlite.get_or_init(|| Dialect::Sqlite.text(text)).as_str())
    }

    /// The text for PostgreSQL; none where it does not need the statement.
    pub(crate) fn for_postgres(&self) -> Option<&str> {
        self.postgres.map(|text| self.for_postgres.get_or_init(|| Dialect::Postgres.text(text)).as_str())
    }
}

/// The engine that a text is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// A text as the engine is given it, in one line. SQLite counts a raw `$N` by first
    /// appearance; `?N` means the number. No statement of ours holds a `$` that is no
    /// parameter, nor a text with several blanks.
    pub(crate) fn text(self, text: &str) -> String {
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        match self {
            Self::Sqlite => line.replace('$', "?"),
            Self::Postgres => line,
        }
    }
}

/// The statements of one noun, and the list of them for the tests that prepare
/// all: `NAME = both "…"`, `NAME = sqlite "…", postgres "…"`, or `NAME = postgres "…"`.
macro_rules! statements {
    ($table:literal; $($name:ident = $($engine:ident $text:expr),+;)*) => {
        $(pub(crate) static $name: $crate::sql::statement::Sql =
            $crate::sql::statement::Sql::of($table)$(.$engine($text))+;)*
        #[cfg(test)]
        pub(crate) const ALL: &[&$crate::sql::statement::Sql] = &[$(&$name),*];
    };
}
pub(crate) use statements;

/// Columns that are selected together: `$list!()` is their list, and `$module` has the
/// place of each by its name.
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

/// Where `wanted` stands in `all`.
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

/// For statements that only tell whether there is a row.
pub(crate) fn there(_: &dyn Row) -> Result<(), Unreadable> {
    Ok(())
}

/// The JSON of a row's document.
pub(crate) fn json<T: serde::Serialize>(table: &'static str, row: &T) -> Result<String, StoreError> {
    serde_json::to_string(row).map_err(|error| StoreError::Corrupt { table, reason: error.to_string() })
}

/// One statement of a set.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) sql: &'static Sql,
    pub(crate) params: Vec<Value>,
    pub(crate) expected_rows: ExpectedRows,
}

/// What is wanted of a statement's row count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExpectedRows {
    /// Nothing.
    Any,
    /// That there are rows; a conflict otherwise.
    Some,
    /// That there are none; a conflict otherwise.
    None,
    /// That there are rows; the set is applied already otherwise.
    New,
    /// That there are rows; an identifier of this kind belongs to another user otherwise.
    Free(&'static str),
}

/// How it goes on after a step.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// With the next step.
    Next,
    /// The set was applied before: nothing is left to do, nor to keep.
    Applied,
    /// The set is refused.
    Refused(CommitError),
}

impl ExpectedRows {
    /// What `rows` mean.
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
    /// A statement that has to find its row.
    pub(crate) fn one<const N: usize>(sql: &'static Sql, params: [Value; N]) -> Self {
        Self { sql, params: params.into(), expected_rows: ExpectedRows::Some }
    }

    /// A statement that may find nothing to do.
    pub(crate) fn any<const N: usize>(sql: &'static Sql, params: [Value; N]) -> Self {
        Self { sql, params: params.into(), expected_rows: ExpectedRows::Any }
    }
}

impl<const N: usize> From<Command<N>> for Statement {
    fn from(command: Command<N>) -> Self {
        Self::any(command.sql, command.params)
    }
}
