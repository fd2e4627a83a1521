//! Everything that is stored about one person.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{AuditEntry, Kind, OutgoingMail, SessionWithEnd, UnixMillis, User, named};

/// Everything that is stored about one person, without digests and secrets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UserExport {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub exported_at: UnixMillis,
    pub user: User,
    /// Open ones, and ended ones that are still stored, with the device and the reason of the end.
    pub sessions: Vec<SessionWithEnd>,
    /// Mails to the person on their way out, and what became of those of the last week.
    pub mails: Vec<OutgoingMail>,
    /// Mails to the person in the mailbox of a development instance.
    pub mailbox: Vec<MailboxEntry>,
    /// What was recorded for webhooks within the last week.
    pub events: Vec<UserEvent>,
    /// What administrators did with the account, newest first.
    pub audit_log: Vec<AuditEntry>,
}

/// A mail in the mailbox, without its text: that holds codes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MailboxEntry {
    pub id: String,
    pub to: String,
    pub subject: String,
    pub received_at: UnixMillis,
}

/// An event about the person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UserEvent {
    pub id: String,
    /// Such as `session.created`.
    pub name: String,
    pub at: UnixMillis,
    pub data: Value,
}

named! {
    UserExport = "user_export"
}
