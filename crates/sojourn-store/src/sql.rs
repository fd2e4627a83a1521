//! Statements: text, once, at the top of one file per noun, written with `$N`
//! as PostgreSQL reads it, and translated once for SQLite. Where the dialects
//! do not agree, both texts stand side by side. Beside each text: what it is
//! given, and how its rows are read.

pub(crate) mod attempts;
pub(crate) mod clients;
pub(crate) mod clock;
pub(crate) mod idempotency;
mod impersonation;
pub(crate) mod instances;
pub(crate) mod journal;
mod list;
pub(crate) mod mails;
pub(crate) mod purge;
pub(crate) mod row;
pub(crate) mod sessions;
pub(crate) mod steps;
pub(crate) mod tickets;
pub(crate) mod users;
pub(crate) mod value;

use std::sync::OnceLock;

pub(crate) use self::{
    list::{Conditions, Dialect, Page, Texts},
    row::{Row, Unreadable},
    steps::{Step, Want},
    value::{Value, params},
};
use crate::error::StoreError;

/// One statement.
#[derive(Debug)]
pub(crate) struct Sql {
    /// What failures are told of.
    pub(crate) table: &'static str,
    sqlite: Option<&'static str>,
    postgres: Option<&'static str>,
    translated: OnceLock<String>,
}

impl Sql {
    pub(crate) const fn new(
        table: &'static str,
        sqlite: Option<&'static str>,
        postgres: Option<&'static str>,
    ) -> Self {
        Self { table, sqlite, postgres, translated: OnceLock::new() }
    }

    /// The text for SQLite; none where its one writer makes the statement needless.
    pub(crate) fn for_sqlite(&self) -> Option<&str> {
        self.sqlite.map(|text| self.translated.get_or_init(|| translate(text)).as_str())
    }

    /// The text for PostgreSQL.
    pub(crate) fn for_postgres(&self) -> Option<&'static str> {
        self.postgres
    }
}

/// SQLite counts a raw `$N` by first appearance; `?N` means the number.
/// No statement of ours holds a `$` that is no parameter.
pub(crate) fn translate(text: &str) -> String {
    text.replace('$', "?")
}

/// The statements of one noun, and the list of them for the tests that prepare
/// all: `NAME = "for both"`, `NAME = sqlite "…" postgres "…"`, or `NAME = postgres "…"`.
macro_rules! statements {
    ($table:literal; $($name:ident = $($both:literal)? $(sqlite $sqlite:literal)? $(postgres $postgres:literal)?;)*) => {
        $(pub(crate) static $name: $crate::sql::Sql = $crate::sql::Sql::new(
            $table,
            $crate::sql::first_text(&[$($both,)? $($sqlite,)?]),
            $crate::sql::first_text(&[$($both,)? $($postgres,)?]),
        );)*
        #[cfg(test)]
        pub(crate) const ALL: &[&$crate::sql::Sql] = &[$(&$name),*];
    };
}
pub(crate) use statements;

/// The one text of a list that has it.
pub(crate) const fn first_text(texts: &[&'static str]) -> Option<&'static str> {
    match texts {
        [text, ..] => Some(text),
        [] => None,
    }
}

/// A statement that reads, with its parameters.
#[derive(Debug)]
pub(crate) struct Load<T, const N: usize> {
    pub(crate) sql: &'static Sql,
    pub(crate) params: [Value; N],
    pub(crate) read: fn(&dyn Row) -> Result<T, Unreadable>,
}

/// A statement that writes, with its parameters.
#[derive(Debug)]
pub(crate) struct Change<const N: usize> {
    pub(crate) sql: &'static Sql,
    pub(crate) params: [Value; N],
}

/// For statements that only tell whether there is a row.
fn there(_: &dyn Row) -> Result<(), Unreadable> {
    Ok(())
}

/// The JSON of a row's document.
pub(crate) fn json<T: serde::Serialize>(table: &'static str, row: &T) -> Result<String, StoreError> {
    serde_json::to_string(row).map_err(|error| StoreError::Corrupt { table, reason: error.to_string() })
}

#[cfg(test)]
pub(crate) fn every_statement() -> impl Iterator<Item = &'static Sql> {
    let nouns = [
        attempts::ALL,
        clients::ALL,
        clock::ALL,
        idempotency::ALL,
        instances::ALL,
        journal::ALL,
        mails::ALL,
        purge::ALL,
        sessions::ALL,
        tickets::ALL,
        users::ALL,
    ];
    nouns.into_iter().flatten().copied()
}
