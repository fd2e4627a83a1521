//! Which tables and columns an archive contains.
//!
//! The list is that of the schema itself: the migrations of SQLite are applied to a database in
//! memory, and its tables are read. So a new table is archived without a change here. What the two
//! engines store differently is listed below; a test compares both schemas with these lists.

use sojourn_core::{
    settings::Settings,
    time::{Moment, Timestamp},
};

use crate::error::StoreError;

/// Tables that are not archived.
const LEFT_OUT: &[(&str, &str)] = &[
    ("schema_version", "in the header"),
    ("leases", "they belong to running nodes, and expire within seconds"),
];

/// Columns that only PostgreSQL has, with the SQL expression that fills them during a load. They
/// are derived from other columns, so they are not archived.
pub(crate) const FILLED_IN_POSTGRES: &[(&str, &str, &str)] = &[
    // Set afterwards, by MARK_CLOSED_ACTIVITY.
    ("activity", "closed", "FALSE"),
    // The order of events without a number; all archived events have one.
    ("outbox", "written_at", "0"),
];

/// Stores in PostgreSQL's activity rows which sessions are closed.
pub(crate) const MARK_CLOSED_ACTIVITY: &str = "
    UPDATE activity
    SET closed = TRUE
    FROM sessions
    WHERE sessions.instance_id = activity.instance_id AND sessions.id = activity.session_id
        AND sessions.closed_at IS NOT NULL";

/// PostgreSQL's events get their number from their readers (decision 6). An archive numbers the
/// others in the order in which a reader would.
pub(crate) const POSTGRES_SEQ: (&str, &str, &str) = (
    "outbox",
    "seq",
    "COALESCE(seq, (
        SELECT COALESCE(MAX(numbered.seq), 0)
        FROM outbox numbered
        WHERE numbered.instance_id = outbox.instance_id
    ) + ROW_NUMBER() OVER (PARTITION BY instance_id, seq IS NULL ORDER BY written_at, id))",
);

/// What an archive may revive besides sessions: tickets that were used since, and attempts whose
/// factors were verified.
pub(crate) const REVOKE_TICKETS: &str =
    "UPDATE sign_in_tokens SET status = 'revoked' WHERE status = 'pending'";
pub(crate) const FORGOTTEN_ATTEMPTS: &[&str] =
    &["DELETE FROM sign_ins", "DELETE FROM sign_ups", "DELETE FROM handshakes"];

/// The newest settings of each instance.
pub(crate) const NEWEST_SETTINGS: &str = "
    SELECT instance_id, document
    FROM settings
    WHERE version = (
        SELECT MAX(newest.version)
        FROM settings newest
        WHERE newest.instance_id = settings.instance_id
    )";
pub(crate) const SAVE_SETTINGS: &str =
    "INSERT INTO settings (instance_id, version, document, in_force_from) VALUES ($1, $2, $3, $4)";

/// The settings version that ends all sessions (decision 16): its number, its document, and when
/// it is in force.
pub(crate) fn successor(document: &str, at: Moment) -> Result<(u64, String, Timestamp), StoreError> {
    let unreadable =
        |error: serde_json::Error| StoreError::Corrupt { table: "settings", reason: error.to_string() };
    let before: Settings = serde_json::from_str(document).map_err(unreadable)?;
    let after =
        Settings { ends_all_sessions: true, ..before.succeeded_by(before.clone(), at, "cli:backup restore") };
    let document = serde_json::to_string(&after).map_err(unreadable)?;
    Ok((after.version, document, after.in_force_from))
}

/// What a column stores, in both engines. Booleans are integers, 0 or 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnType {
    Int,
    Text,
    Blob,
}

impl ColumnType {
    const ALL: [Self; 3] = [Self::Int, Self::Text, Self::Blob];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Text => "text",
            Self::Blob => "blob",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// The type of a column in a STRICT table of SQLite.
    pub(crate) fn of_sqlite(declared: &str) -> Option<Self> {
        match declared {
            "INTEGER" => Some(Self::Int),
            "TEXT" => Some(Self::Text),
            "BLOB" => Some(Self::Blob),
            _ => None,
        }
    }
}

/// A table with its columns, in the order of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) columns: Vec<(String, ColumnType)>,
}

impl Table {
    /// Whether rows of the table are archived.
    pub(crate) fn is_archived(name: &str) -> bool {
        !name.starts_with("sqlite_") && !LEFT_OUT.iter().any(|(left_out, _)| *left_out == name)
    }

    pub(crate) fn types(&self) -> Vec<ColumnType> {
        self.columns.iter().map(|(_, kind)| *kind).collect()
    }

    /// The column names, separated by commas.
    pub(crate) fn column_list(&self) -> String {
        self.columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    }
}
