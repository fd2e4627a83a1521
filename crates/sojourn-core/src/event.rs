//! What happened, for the outbox: webhooks, the audit log and reasoned ends
//! read from there. Written in the same commit as the change itself.

use crate::{
    id::{ClientId, SessionId, UserId},
    session::Closing,
};

/// A fact for the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An account exists.
    UserCreated(UserId),
    /// An account changed.
    UserUpdated(UserId),
    /// An account is gone.
    UserDeleted(UserId),
    /// A session began.
    SessionCreated {
        /// The new session.
        session_id: SessionId,
        /// Whose.
        user_id: UserId,
        /// Where.
        client_id: ClientId,
        /// The `sub` of who really acts, when it is not the account itself.
        actor: Option<String>,
    },
    /// A session is over.
    SessionClosed {
        /// The session.
        session_id: SessionId,
        /// Whose.
        user_id: UserId,
        /// How it ended.
        closing: Closing,
    },
    /// The session settings changed.
    SessionSettingsChanged {
        /// The version that is now in force.
        version: u64,
    },
}

impl Event {
    /// The name as webhooks know it where they do (`session.ended`), ours otherwise.
    pub const fn name(&self) -> &'static str {
        use crate::session::ClosedStatus::{Abandoned, Ended, Expired, Removed, Replaced, Revoked};
        match self {
            Self::UserCreated(_) => "user.created",
            Self::UserUpdated(_) => "user.updated",
            Self::UserDeleted(_) => "user.deleted",
            Self::SessionCreated { .. } => "session.created",
            Self::SessionClosed { closing, .. } => match closing.status {
                Ended => "session.ended",
                Removed => "session.removed",
                Revoked => "session.revoked",
                Expired => "session.expired",
                Abandoned => "session.abandoned",
                Replaced => "session.replaced",
            },
            Self::SessionSettingsChanged { .. } => "session_settings.changed",
        }
    }
}
