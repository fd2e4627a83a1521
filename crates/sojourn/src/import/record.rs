//! Records one after the other, whatever the size of the file.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, Read};

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::format::{Format, Notation};
use super::{ReadError, sources};

/// The longest line of CSV or of lines of JSON. An account with metadata has a few kilobytes; a file
/// that is none of its format must not fill the memory.
const MAX_LINE_BYTES: usize = 4 << 20;
/// How much of the file its notation is told by.
const HEAD_BYTES: usize = 64 << 10;

/// One record of the file.
#[derive(Debug)]
pub(super) struct Record {
    pub place: u64,
    /// What the place counts: lines or records.
    pub unit: &'static str,
    pub fields: Map<String, Value>,
}

/// Hands each record to `take`, which returns false to stop.
pub(super) fn read(
    mut input: Box<dyn BufRead + Send>,
    format: Format,
    take: impl FnMut(Record) -> bool,
) -> Result<(), ReadError> {
    let head = input.fill_buf()?;
    let notation = format.notation(&head[..head.len().min(HEAD_BYTES)]);
    // Spreadsheets put a byte order mark in front.
    if head.starts_with("\u{feff}".as_bytes()) {
        input.consume("\u{feff}".len());
    }
    match notation {
        Notation::Csv { delimiter, has_header } => csv(input, format, delimiter, has_header, take),
        Notation::Json => json(input, take),
        Notation::JsonLines => lines(input, take),
    }
}

fn csv(
    input: Box<dyn BufRead + Send>,
    format: Format,
    delimiter: u8,
    has_header: bool,
    mut take: impl FnMut(Record) -> bool,
) -> Result<(), ReadError> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(UnixLines { input, held: false, is_ended: false, of_record: Cell::new(0) });
    let mut names: Vec<String> = sources::columns(format).iter().map(|name| (*name).to_owned()).collect();
    let mut record = csv::ByteRecord::new();
    let malformed =
        |line: u64, reason: String| ReadError::Malformed { place: format!("line {line}"), reason };
    let mut is_header = has_header;
    loop {
        let line = reader.position().line();
        let more =
            reader.read_byte_record(&mut record).map_err(|error| malformed(line, error.to_string()))?;
        if !more {
            return Ok(());
        }
        // The position of a record is where the record before ended, perhaps with empty lines between.
        let inner = record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
        let line = reader.position().line().saturating_sub(1 + inner);
        let source = reader.get_ref();
        source.of_record.set(0);
        // An open quotation takes the rest of the file into its cell, and the line end behind that.
        if source.is_ended && record.iter().next_back().is_some_and(|cell| cell.ends_with(b"\n")) {
            // No line end came after this record.
            return Err(malformed(line + 1, "a quotation mark is not closed".to_owned()));
        }
        let cells: Result<Vec<&str>, _> = record.iter().map(std::str::from_utf8).collect();
        let cells = cells
            .map_err(|_| malformed(line, "the record is not UTF-8; save the file as UTF-8".to_owned()))?;
        if std::mem::take(&mut is_header) {
            names = cells.iter().map(|name| name.trim().to_owned()).collect();
            continue;
        }
        // Cells without a name are allowed to be empty only: Firebase ends each line with a comma.
        // It had fewer columns once.
        let fewest = if has_header { names.len() } else { sources::FEWEST_COLUMNS };
        if cells.iter().skip(names.len()).any(|cell| !cell.is_empty()) || cells.len() < fewest {
            let reason = format!("it has {} fields, and the header has {}", cells.len(), names.len());
            return Err(malformed(line, reason));
        }
        let fields = names.iter().zip(cells).map(|(name, cell)| (name.clone(), Value::from(cell))).collect();
        if !take(Record { place: line, unit: "line", fields }) {
            return Err(ReadError::Stopped);
        }
    }
}

/// Without the `\r` before a `\n`, and with a line end at the end: the reader of CSV counts other line
/// ends after the next record has begun (findings/csv-names-the-line-before.sh).
struct UnixLines<R> {
    input: R,
    /// Whether a `\r` was read whose next byte is not known yet.
    held: bool,
    is_ended: bool,
    /// How many bytes were read since the last record.
    of_record: Cell<usize>,
}

impl<R: BufRead> Read for UnixLines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A held byte may come on top of those that are read now.
        let Some(most) = buffer.len().checked_sub(1).filter(|most| *most > 0) else { return Ok(0) };
        let mut length = 0;
        let mut write = |byte| {
            buffer[length] = byte;
            length += 1;
            length
        };
        loop {
            let given = self.input.fill_buf()?;
            if given.is_empty() {
                let is_ended = std::mem::replace(&mut self.is_ended, true);
                return Ok(if is_ended { 0 } else { write(b'\n') });
            }
            let given = &given[..given.len().min(most)];
            let (consumed, mut written) = (given.len(), 0);
            for byte in given {
                if self.held && *byte != b'\n' {
                    written = write(b'\r');
                }
                self.held = *byte == b'\r';
                if !self.held {
                    written = write(*byte);
                }
            }
            self.input.consume(consumed);
            self.of_record.set(self.of_record.get() + consumed);
            if self.of_record.get() > MAX_LINE_BYTES {
                return Err(io::Error::other("the record is too long; is a quotation mark not closed?"));
            }
            if written > 0 {
                return Ok(written);
            }
        }
    }
}

fn lines(mut input: Box<dyn BufRead + Send>, mut take: impl FnMut(Record) -> bool) -> Result<(), ReadError> {
    let mut line = Vec::new();
    for place in 1.. {
        line.clear();
        let limit = MAX_LINE_BYTES as u64;
        if Read::take(&mut input, limit).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let fields = serde_json::from_slice(&line).map_err(|error| ReadError::Malformed {
            place: format!("line {place}"),
            reason: error.to_string(),
        })?;
        if !take(Record { place, unit: "line", fields }) {
            return Err(ReadError::Stopped);
        }
    }
    Ok(())
}

/// A list of objects, or an object with such a list as `users` or `data`.
fn json(input: Box<dyn BufRead + Send>, take: impl FnMut(Record) -> bool) -> Result<(), ReadError> {
    let mut records = Records { take, read: 0, is_stopped: false };
    let mut reader = serde_json::Deserializer::from_reader(input);
    let read = Whole(&mut records).deserialize(&mut reader).and_then(|()| reader.end());
    match read {
        _ if records.is_stopped => Err(ReadError::Stopped),
        Ok(()) => Ok(()),
        Err(error) if error.is_io() => Err(ReadError::Io(error.into())),
        Err(error) => {
            let place = format!("record {}", records.read + 1);
            Err(ReadError::Malformed { place, reason: error.to_string() })
        }
    }
}

struct Records<F> {
    take: F,
    read: u64,
    is_stopped: bool,
}

/// The whole document.
struct Whole<'a, F>(&'a mut Records<F>);
/// A list of records.
struct List<'a, F>(&'a mut Records<F>);

impl<'de, F: FnMut(Record) -> bool> DeserializeSeed<'de> for Whole<'_, F> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: FnMut(Record) -> bool> Visitor<'de> for Whole<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of accounts, or an object with the list as `users` or `data`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        List(self.0).visit_seq(seq)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut found = false;
        while let Some(name) = map.next_key::<String>()? {
            if name == "users" || name == "data" {
                found = true;
                map.next_value_seed(List(self.0))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        if found { Ok(()) } else { Err(A::Error::custom("the object has no list `users` or `data`")) }
    }
}

impl<'de, F: FnMut(Record) -> bool> DeserializeSeed<'de> for List<'_, F> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(Record) -> bool> Visitor<'de> for List<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of accounts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(item) = seq.next_element::<Value>()? {
            let fields = Map::deserialize(item).map_err(A::Error::custom)?;
            self.0.read += 1;
            if !(self.0.take)(Record { place: self.0.read, unit: "record", fields }) {
                self.0.is_stopped = true;
                return Err(A::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}
