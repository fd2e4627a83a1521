//! What comes out of a statement.

use std::str::FromStr;

use serde::de::DeserializeOwned;
use sojourn_core::time::Timestamp;

/// A row that this version did not write, and what is wrong with it.
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

/// A row of either engine.
pub(crate) trait Row {
    /// A text, if there is one.
    fn text(&self, column: usize) -> Read<Option<&str>>;
    /// A number, if there is one.
    fn int(&self, column: usize) -> Read<Option<i64>>;
    /// Bytes, if there are any.
    fn bytes(&self, column: usize) -> Read<Option<&[u8]>>;
}

/// A text that has to be there.
pub(crate) fn text(row: &dyn Row, column: usize) -> Read<&str> {
    row.text(column)?.ok_or_else(|| Unreadable::absent(column))
}

/// A text that may be absent.
pub(crate) fn text_if_any(row: &dyn Row, column: usize) -> Read<Option<String>> {
    Ok(row.text(column)?.map(str::to_owned))
}

/// Bytes that have to be there.
pub(crate) fn bytes(row: &dyn Row, column: usize) -> Read<&[u8]> {
    row.bytes(column)?.ok_or_else(|| Unreadable::absent(column))
}

/// A SHA-256 that has to be there.
pub(crate) fn hash(row: &dyn Row, column: usize) -> Read<[u8; 32]> {
    bytes(row, column)?.try_into().map_err(Unreadable::new)
}

/// An id, or another word with a closed meaning.
pub(crate) fn parsed<T: FromStr<Err: std::fmt::Display>>(row: &dyn Row, column: usize) -> Read<T> {
    text(row, column)?.parse().map_err(Unreadable::new)
}

/// An id that may be absent.
pub(crate) fn parsed_if_any<T: FromStr<Err: std::fmt::Display>>(
    row: &dyn Row,
    column: usize,
) -> Read<Option<T>> {
    row.text(column)?.map(str::parse).transpose().map_err(Unreadable::new)
}

/// A word of a closed set.
pub(crate) fn word<T>(row: &dyn Row, column: usize, from_word: impl FnOnce(&str) -> Option<T>) -> Read<T> {
    let word = text(row, column)?;
    from_word(word).ok_or_else(|| Unreadable(format!("the word {word:?} is not known")))
}

/// A point in time.
pub(crate) fn time(row: &dyn Row, column: usize) -> Read<Timestamp> {
    time_if_any(row, column)?.ok_or_else(|| Unreadable::absent(column))
}

/// A point in time that may be absent.
pub(crate) fn time_if_any(row: &dyn Row, column: usize) -> Read<Option<Timestamp>> {
    Ok(row.int(column)?.map(Timestamp::from_millis))
}

/// A JSON document.
pub(crate) fn document<T: DeserializeOwned>(row: &dyn Row, column: usize) -> Read<T> {
    serde_json::from_str(text(row, column)?).map_err(Unreadable::new)
}

/// The JSON document that is all that was selected.
pub(crate) fn only_document<T: DeserializeOwned>(row: &dyn Row) -> Read<T> {
    document(row, 0)
}

/// A number that may be negative.
pub(crate) fn signed(row: &dyn Row, column: usize) -> Read<i64> {
    row.int(column)?.ok_or_else(|| Unreadable::absent(column))
}

/// A count or a version: stored signed, never negative.
pub(crate) fn number(row: &dyn Row, column: usize) -> Read<u64> {
    u64::try_from(signed(row, column)?).map_err(Unreadable::new)
}
