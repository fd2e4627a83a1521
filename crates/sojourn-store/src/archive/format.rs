//! The text of an archive: JSON lines.
//!
//! The first line is the header. Then each table has one line with its name, columns and types,
//! and one line per row: an array of values. Integers are numbers, and bytes are base64. The last
//! line has the number of rows per table, and the SHA-256 of all bytes before it; without it the
//! archive is incomplete.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use sha2::{Digest as _, Sha256};
use sojourn_core::time::Timestamp;

use super::{
    error::ArchiveError,
    tables::{ColumnType, Table},
};
use crate::sql::value::Value;

/// The version of this format.
const FORMAT: u32 = 1;

/// The maximum length of a line in bytes: no row is near it, so a longer one is no archive.
const LONGEST_LINE: u64 = 64 << 20;

/// What the writer of an archive adds to the header.
#[derive(Clone, Debug)]
pub struct ArchiveNotes {
    /// When the archive was written, on the wall clock.
    pub created_at: Timestamp,
    /// The version of the program that wrote it.
    pub program: String,
    /// Text by which a master key can be recognised.
    pub master_key_check: Option<String>,
    /// The master key itself.
    pub master_key: Option<String>,
}

/// The first line. `Debug` does not print the master key.
#[derive(Clone, Serialize, Deserialize)]
pub struct ArchiveHeader {
    sojourn_archive: u32,
    /// The schema version of the rows.
    pub schema: u32,
    /// The engine that it was written from: `sqlite` or `postgres`.
    pub engine: String,
    pub program: String,
    pub created_at: Timestamp,
    pub instances: Vec<ArchivedInstance>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master_key_check: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master_key: Option<String>,
}

impl std::fmt::Debug for ArchiveHeader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ArchiveHeader(schema {} of {}, {:?})", self.schema, self.engine, self.created_at)
    }
}

/// An instance that the archive contains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchivedInstance {
    pub id: String,
    /// `development` or `production`.
    pub environment: String,
    pub host: String,
}

impl ArchivedInstance {
    pub(crate) fn of(row: &[Value]) -> Self {
        let text = |column: usize| row.get(column).and_then(Value::text).unwrap_or_default();
        Self { id: text(0), environment: text(1), host: text(2) }
    }
}

/// Selects the columns of [`ArchivedInstance`].
pub(crate) const INSTANCES: &str = "SELECT id, environment, host FROM instances ORDER BY created_at, id";

impl ArchiveHeader {
    /// Compares the instances with the rows that were loaded. Whoever loads an archive decides by
    /// the header, for example in which file.
    pub(crate) fn check_instances(&self, mut rows: Vec<ArchivedInstance>) -> Result<(), ArchiveError> {
        let mut named = self.instances.clone();
        named.sort_by(|one, other| one.id.cmp(&other.id));
        rows.sort_by(|one, other| one.id.cmp(&other.id));
        match named == rows {
            true => Ok(()),
            false => {
                Err(ArchiveError::Damaged("its first line names other instances than its rows".to_owned()))
            }
        }
    }

    pub(crate) fn new(
        schema: u32,
        engine: &str,
        instances: Vec<ArchivedInstance>,
        notes: ArchiveNotes,
    ) -> Self {
        let ArchiveNotes { created_at, program, master_key_check, master_key } = notes;
        let engine = engine.to_owned();
        Self {
            sojourn_archive: FORMAT,
            schema,
            engine,
            program,
            created_at,
            instances,
            master_key_check,
            master_key,
        }
    }
}

/// The number of rows per table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchiveContents {
    pub rows: BTreeMap<String, u64>,
}

impl ArchiveContents {
    /// The number of all rows.
    pub fn total(&self) -> u64 {
        self.rows.values().sum()
    }
}

/// Writes an archive.
pub(crate) struct ArchiveWriter<W> {
    out: W,
    hash: Sha256,
    contents: ArchiveContents,
    table: String,
    line: Vec<u8>,
}

impl<W: Write> ArchiveWriter<W> {
    pub(crate) fn begin(out: W, header: &ArchiveHeader) -> std::io::Result<Self> {
        let contents = ArchiveContents::default();
        let mut writer = Self { out, hash: Sha256::new(), contents, table: String::new(), line: Vec::new() };
        writer.put(header)?;
        Ok(writer)
    }

    fn put(&mut self, line: &impl Serialize) -> std::io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, line)?;
        self.line.push(b'\n');
        self.hash.update(&self.line);
        self.out.write_all(&self.line)
    }

    pub(crate) fn table(&mut self, table: &Table) -> std::io::Result<()> {
        let columns: Vec<[&str; 2]> =
            table.columns.iter().map(|(name, kind)| [name.as_str(), kind.as_str()]).collect();
        self.table.clone_from(&table.name);
        self.contents.rows.insert(table.name.clone(), 0);
        self.put(&json!({ "table": table.name, "columns": columns }))
    }

    /// A row of the table that was begun last.
    pub(crate) fn row(&mut self, row: &[Value]) -> std::io::Result<()> {
        *self.contents.rows.entry(self.table.clone()).or_default() += 1;
        let cells: Vec<Json> = row.iter().map(cell).collect();
        self.put(&cells)
    }

    pub(crate) fn finish(mut self) -> std::io::Result<(ArchiveContents, W)> {
        let sha256 = hex(&self.hash.clone().finalize());
        self.put(&json!({ "rows": self.contents.rows, "sha256": sha256 }))?;
        self.out.flush()?;
        Ok((self.contents, self.out))
    }
}

fn cell(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Int(number) => Json::from(*number),
        Value::Bool(yes) => Json::from(i64::from(*yes)),
        Value::Text(text) => Json::from(text.as_ref()),
        Value::Hash(bytes) => Json::from(STANDARD.encode(bytes)),
        Value::Blob(bytes) => Json::from(STANDARD.encode(bytes)),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A line after the header.
#[derive(Debug)]
pub(crate) enum Line {
    /// The rows of this table follow.
    Table(Table),
    Row(Vec<Value>),
    /// The last line. All lines before it are complete and unchanged.
    End(ArchiveContents),
}

/// Reads an archive.
#[derive(Debug)]
pub struct ArchiveReader<R> {
    input: BufReader<R>,
    hash: Sha256,
    header: ArchiveHeader,
    types: Vec<ColumnType>,
    table: String,
    contents: ArchiveContents,
    line: Vec<u8>,
}

impl<R: Read> ArchiveReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// The input is not an archive, or of a newer format.
    pub fn open(input: R) -> Result<Self, ArchiveError> {
        let mut input = BufReader::with_capacity(64 << 10, input);
        let mut line = Vec::new();
        if !next_line(&mut input, &mut line)? {
            let foreign = "its first line is not complete".to_owned();
            return Err(if line.is_empty() {
                ArchiveError::Truncated
            } else {
                ArchiveError::Foreign(foreign)
            });
        }
        let json: Map<String, Json> =
            serde_json::from_slice(&line).map_err(|error| ArchiveError::Foreign(error.to_string()))?;
        match json.get("sojourn_archive").and_then(Json::as_u64) {
            Some(found) if found > u64::from(FORMAT) => {
                let found = u32::try_from(found).unwrap_or(u32::MAX);
                return Err(ArchiveError::Newer { what: "format", found, known: FORMAT });
            }
            Some(_) => {}
            None => return Err(ArchiveError::Foreign("its first line is no header".to_owned())),
        }
        let header: ArchiveHeader = serde_json::from_value(Json::Object(json))
            .map_err(|error| ArchiveError::Foreign(error.to_string()))?;
        let mut hash = Sha256::new();
        hash.update(&line);
        let (types, contents) = (Vec::new(), ArchiveContents::default());
        Ok(Self { input, hash, header, types, table: String::new(), contents, line })
    }

    pub fn header(&self) -> &ArchiveHeader {
        &self.header
    }

    /// Reads to the end without loading anything, to check that the archive is complete.
    ///
    /// # Errors
    /// It is incomplete or damaged.
    pub fn check(mut self) -> Result<ArchiveContents, ArchiveError> {
        loop {
            if let Line::End(contents) = self.next_line()? {
                return Ok(contents);
            }
        }
    }

    pub(crate) fn next_line(&mut self) -> Result<Line, ArchiveError> {
        if !next_line(&mut self.input, &mut self.line)? {
            return Err(ArchiveError::Truncated);
        }
        let damaged = |error: serde_json::Error| ArchiveError::Damaged(error.to_string());
        let json: Json = serde_json::from_slice(&self.line).map_err(damaged)?;
        let line = match &json {
            Json::Array(cells) => {
                *self.contents.rows.entry(self.table.clone()).or_default() += 1;
                Line::Row(row(cells, &self.types).ok_or_else(|| self.unfit("a row"))?)
            }
            Json::Object(object) if object.contains_key("sha256") => return self.end(object),
            Json::Object(object) => {
                let table = table(object).ok_or_else(|| self.unfit("the table after that"))?;
                self.types = table.types();
                self.table.clone_from(&table.name);
                self.contents.rows.insert(table.name.clone(), 0);
                Line::Table(table)
            }
            _ => return Err(self.unfit("a line")),
        };
        self.hash.update(&self.line);
        Ok(line)
    }

    fn unfit(&self, what: &str) -> ArchiveError {
        ArchiveError::Damaged(format!("{what} of {} cannot be read", self.table))
    }

    fn end(&mut self, last: &Map<String, Json>) -> Result<Line, ArchiveError> {
        let hash = hex(&self.hash.clone().finalize());
        if last["sha256"].as_str() != Some(&hash) {
            return Err(ArchiveError::Damaged("its rows do not have the hash of its last line".to_owned()));
        }
        if last.get("rows") != Some(&json!(self.contents.rows)) {
            return Err(ArchiveError::Damaged("its last line counts other rows".to_owned()));
        }
        let mut rest = Vec::new();
        if next_line(&mut self.input, &mut rest)? || !rest.is_empty() {
            return Err(ArchiveError::Damaged("something follows its last line".to_owned()));
        }
        Ok(Line::End(std::mem::take(&mut self.contents)))
    }
}

/// Reads a line with its end into `line`; false if the input ends before.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> Result<bool, ArchiveError> {
    line.clear();
    input.take(LONGEST_LINE).read_until(b'\n', line)?;
    if line.len() as u64 == LONGEST_LINE {
        return Err(ArchiveError::Damaged("a line is too long".to_owned()));
    }
    Ok(line.last() == Some(&b'\n'))
}

fn table(object: &Map<String, Json>) -> Option<Table> {
    let column = |column: &Json| {
        let kind = ColumnType::from_word(column.get(1)?.as_str()?)?;
        Some((column.get(0)?.as_str()?.to_owned(), kind))
    };
    let columns = object.get("columns")?.as_array()?.iter().map(column).collect::<Option<_>>()?;
    Some(Table { name: object.get("table")?.as_str()?.to_owned(), columns })
}

fn row(cells: &[Json], types: &[ColumnType]) -> Option<Vec<Value>> {
    if cells.len() != types.len() {
        return None;
    }
    let value = |(cell, kind): (&Json, &ColumnType)| match (cell, kind) {
        (Json::Null, _) => Some(Value::Null),
        (Json::Number(number), ColumnType::Int) => Some(Value::Int(number.as_i64()?)),
        (Json::String(text), ColumnType::Text) => Some(Value::from(text)),
        (Json::String(text), ColumnType::Blob) => Some(Value::Blob(STANDARD.decode(text).ok()?)),
        _ => None,
    };
    cells.iter().zip(types).map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> ArchiveHeader {
        let notes = ArchiveNotes {
            created_at: Timestamp::from_secs(1_795_000_000),
            program: "0.1.0".to_owned(),
            master_key_check: None,
            master_key: None,
        };
        ArchiveHeader::new(7, "sqlite", Vec::new(), notes)
    }

    fn table() -> Table {
        let columns = [("id", ColumnType::Text), ("n", ColumnType::Int), ("key", ColumnType::Blob)];
        let columns = columns.map(|(name, kind)| (name.to_owned(), kind)).into();
        Table { name: "things".to_owned(), columns }
    }

    fn rows() -> Vec<Vec<Value>> {
        let text = "two\nlines \u{0}, \"quoted\" \u{1f600}".to_owned();
        vec![
            vec![Value::from(text), Value::Int(i64::MIN), Value::Blob(vec![0, 10, 255])],
            vec![Value::from(String::new()), Value::Int(i64::MAX), Value::Null],
            vec![Value::Null, Value::Null, Value::Blob(Vec::new())],
        ]
    }

    fn archive() -> Vec<u8> {
        let mut writer = ArchiveWriter::begin(Vec::new(), &header()).expect("memory");
        writer.table(&table()).expect("memory");
        for row in rows() {
            writer.row(&row).expect("memory");
        }
        writer.finish().expect("memory").1
    }

    fn read(bytes: &[u8]) -> Result<(Vec<Vec<Value>>, ArchiveContents), ArchiveError> {
        let mut reader = ArchiveReader::open(bytes)?;
        let mut found = Vec::new();
        loop {
            match reader.next_line()? {
                Line::Table(_) => {}
                Line::Row(row) => found.push(row),
                Line::End(contents) => return Ok((found, contents)),
            }
        }
    }

    #[test]
    fn every_value_survives_the_archive() {
        let (found, contents) = read(&archive()).expect("an archive");
        assert_eq!(found, rows());
        assert_eq!(contents.rows, BTreeMap::from([("things".to_owned(), 3)]));
    }

    #[test]
    fn an_archive_that_is_cut_anywhere_is_refused() {
        let whole = archive();
        for length in 0..whole.len() {
            let refused = read(&whole[..length]).expect_err("cut");
            let named = matches!(refused, ArchiveError::Truncated | ArchiveError::Foreign(_));
            assert!(named, "{length}: {refused:?}");
        }
    }

    #[test]
    fn a_changed_or_longer_archive_is_refused() {
        let whole = archive();
        let first = whole.iter().position(|byte| *byte == b'\n').expect("lines");
        for at in first + 1..whole.len() - 1 {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            read(&changed).expect_err("changed");
        }
        read(&[whole, b"[]\n".to_vec()].concat()).expect_err("longer");
    }

    #[test]
    fn a_newer_format_and_a_foreign_file_are_named() {
        let newer = read(b"{\"sojourn_archive\":2}\n").expect_err("newer");
        assert!(matches!(newer, ArchiveError::Newer { what: "format", found: 2, known: 1 }), "{newer:?}");
        for foreign in [&b"SQLite format 3\0\n"[..], b"{}\n", b"hello\n"] {
            let refused = read(foreign).expect_err("foreign");
            assert!(matches!(refused, ArchiveError::Foreign(_)), "{refused:?}");
        }
    }
}
