//! The tools of a development instance: its clock and its mailbox.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Kind, UnixMillis, named};

/// The session clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Clock {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub now: UnixMillis,
    pub frozen: bool,
    /// How far it is ahead of the clock on the wall.
    pub offset_ms: i64,
    /// The sessions that ended because it was moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub effects: Option<Vec<ClockEffect>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClockEffect {
    /// `session.` and the status that it ended with.
    #[serde(rename = "type")]
    pub kind: String,
    pub session_id: String,
    pub at: UnixMillis,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdvanceClock {
    pub seconds: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetClock {
    pub now: UnixMillis,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Mail {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub id: String,
    pub to: String,
    pub subject: String,
    pub code: Option<String>,
    pub link: Option<String>,
    pub text: String,
    pub html: String,
    pub received_at: UnixMillis,
}

/// A one-time link to the mailbox page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MailboxLink {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub url: String,
}

named! {
    Clock = "clock"
    Mail = "mail"
    MailboxLink = "mailbox_link"
}
