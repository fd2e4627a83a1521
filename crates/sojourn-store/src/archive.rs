//! The archive: all rows of a database as text, for backups and for moving between engines.
//!
//! It is written from one snapshot ([`crate::Snapshot`]) and loaded into an empty database in one
//! transaction, or not at all. [`format`] describes the text, [`tables`] which tables and columns it
//! contains. The engines read and fill databases in `sqlite/archive.rs` and `postgres/archive.rs`.

mod error;
mod format;
mod tables;

pub use self::{
    error::{ArchiveError, Load},
    format::{ArchiveContents, ArchiveHeader, ArchiveNotes, ArchiveReader, ArchivedInstance},
};
pub(crate) use self::{
    format::{ArchiveWriter, INSTANCES, Line},
    tables::{
        ColumnType, FILLED_IN_POSTGRES, FORGOTTEN_ATTEMPTS, MARK_CLOSED_ACTIVITY, NEWEST_SETTINGS,
        POSTGRES_SEQ, REVOKE_TICKETS, SAVE_SETTINGS, Table, successor,
    },
};
