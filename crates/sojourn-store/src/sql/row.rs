//! Reads columns of result rows.

use std::str::FromStr;

use serde::de::DeserializeOwned;
use sojourn_core::time::Timestamp;

/// A row that this version cannot read, and the reason.
#[derive(Debug)]
pub(crate) struct Unreadable(pub(crate) String);

impl Unreadable {
    pub(crate) fn new(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }

    fn absent(column: usize) -> Self {
        Self(format!("column {column} is empty"))
    }
}

type Read<T> = Result<T, Unreadable>;

/// A row of either engine. The methods return `None` for NULL.
pub(crate) trait Row {
    fn text(&self, column: usize) -> Read<Option<&str>>;
    fn int(&self, column: usize) -> Read<Option<i64>>;
    fn bytes(&self, column: usize) -> Read<Option<&[u8]>>;
}

/// A text that must not be NULL.
pub(crate) fn text(row: &dyn Row, column: usize) -> Read<&str> {
    row.text(column)?.ok_or_else(|| Unreadable::absent(column))
}

/// A text or NULL.
pub(crate) fn text_if_any(row: &dyn Row, column: usize) -> Read<Option<String>> {
    Ok(row.text(column)?.map(str::to_owned))
}

/// Bytes that must not be NULL.
pub(crate) fn bytes(row: &dyn Row, column: usize) -> Read<&[u8]> {
    row.bytes(column)?.ok_or_else(|| Unreadable::absent(column))
}

/// A SHA-256 that must not be NULL.
pub(crate) fn hash(row: &dyn Row, column: usize) -> Read<[u8; 32]> {
    bytes(row, column)?.try_into().map_err(Unreadable::new)
}

/// An id, or another text that can be parsed.
pub(crate) fn parsed<T: FromStr<Err: std::fmt::Display>>(row: &dyn Row, column: usize) -> Read<T> {
    text(row, column)?.parse().map_err(Unreadable::new)
}

/// An id or NULL.
pub(crate) fn parsed_if_any<T: FromStr<Err: std::fmt::Display>>(
    row: &dyn Row,
    column: usize,
) -> Read<Option<T>> {
    row.text(column)?.map(str::parse).transpose().map_err(Unreadable::new)
}

/// A word from a fixed set.
pub(crate) fn word<T>(row: &dyn Row, column: usize, from_word: impl FnOnce(&str) -> Option<T>) -> Read<T> {
    let word = text(row, column)?;
    from_word(word).ok_or_else(|| Unreadable(format!("the word {word:?} is not known")))
}

pub(crate) fn time(row: &dyn Row, column: usize) -> Read<Timestamp> {
    time_if_any(row, column)?.ok_or_else(|| Unreadable::absent(column))
}

/// A point in time or NULL.
pub(crate) fn time_if_any(row: &dyn Row, column: usize) -> Read<Option<Timestamp>> {
    Ok(row.int(column)?.map(Timestamp::from_millis))
}

/// A JSON document.
pub(crate) fn document<T: DeserializeOwned>(row: &dyn Row, column: usize) -> Read<T> {
    serde_json::from_str(text(row, column)?).map_err(Unreadable::new)
}

/// The JSON document of a row with one column.
pub(crate) fn only_document<T: DeserializeOwned>(row: &dyn Row) -> Read<T> {
    document(row, 0)
}

/// A number that may be negative.
pub(crate) fn signed(row: &dyn Row, column: usize) -> Read<i64> {
    row.int(column)?.ok_or_else(|| Unreadable::absent(column))
}

/// A count or a version: never negative, although SQL stores it signed.
pub(crate) fn number(row: &dyn Row, column: usize) -> Read<u64> {
    u64::try_from(signed(row, column)?).map_err(Unreadable::new)
}
