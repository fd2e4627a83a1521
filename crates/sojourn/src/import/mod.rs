//! Accounts in the files that other systems export, read one by one: whatever the size of the file,
//! one record is in memory. A source knows one system's fields and makes a [`Candidate`] of a record;
//! a [`Row`] is the candidate as `POST /v1/users/import` takes it.

mod candidate;
mod duplicates;
mod fields;
mod format;
mod record;
mod report;
mod sources;
#[cfg(test)]
mod tests;

pub use candidate::{Candidate, Password, Row, RowRefusal};
pub use format::Format;
pub use report::Report;
pub use sources::auth0::Auth0Passwords;
pub use sources::firebase::HashConfig;

use std::io::BufRead;

use duplicates::Seen;
use record::Record;

/// How records become rows.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Keep the old id where it has the form of ours.
    pub keep_ids: bool,
    /// Count addresses as verified where the source does not say.
    pub assume_verified: bool,
    /// Import an account without a password whose hash cannot be used.
    pub drop_unknown_passwords: bool,
    /// Keep what has no field here in the private metadata.
    pub keep_unknown: bool,
    /// The parameters of a Firebase project.
    pub firebase: Option<HashConfig>,
    /// The password hashes of Auth0, which it exports apart from the accounts.
    pub auth0: Auth0Passwords,
}

/// A record that was read: a row to send, or why there is none.
#[derive(Debug)]
pub struct Parsed {
    /// The line in CSV and in lines of JSON, the number of the record in other JSON.
    pub place: u64,
    /// The id at the source.
    pub source_id: Option<String>,
    /// What the account loses, by name.
    pub left_out: Vec<String>,
    pub row: Result<Box<Row>, RowRefusal>,
}

/// Why a file is not read to its end. The records before were read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("{place}: {reason}")]
    Malformed { place: String, reason: String },
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Nobody takes the records any more.
    #[error("reading was stopped")]
    Stopped,
}

/// Reads a file and hands each account to `take`, which returns false to stop.
///
/// # Errors
/// [`ReadError`].
pub fn read(
    input: Box<dyn BufRead + Send>,
    format: Format,
    options: &Options,
    mut take: impl FnMut(Parsed) -> bool,
) -> Result<(), ReadError> {
    let mut seen = Seen::default();
    let source = sources::of(format);
    record::read(input, format, |record: Record| {
        let Some(candidate) = (source.candidate)(&record.fields, options) else {
            // A record of another kind, as in a dump of several tables.
            return true;
        };
        take(parsed(&record, candidate, options, &mut seen))
    })
}

fn parsed(record: &Record, candidate: Candidate, options: &Options, seen: &mut Seen) -> Parsed {
    let (place, source_id) = (record.place, candidate.source_id.clone());
    let mut left_out: Vec<String> = candidate.left_out.keys().cloned().collect();
    let row = candidate.row(options, &mut left_out).and_then(|row| match seen.before(&row, place) {
        Some((what, first)) => Err(RowRefusal::new(
            what,
            format!("{} {first} of this file has the same", record.unit),
            "merge the two in the file, or take one out",
        )),
        None => Ok(Box::new(row)),
    });
    Parsed { place, source_id, left_out, row }
}
