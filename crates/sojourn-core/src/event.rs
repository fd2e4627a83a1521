//! Events for the outbox, from which webhooks, the audit log and notices of session ends are
//! produced. An event is written in the same commit as the change.

use crate::{
    id::{ClientId, SessionId, UserId},
    session::Closing,
};

/// A recorded change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    UserCreated(UserId),
    UserUpdated(UserId),
    UserDeleted(UserId),
    SessionCreated {
        session_id: SessionId,
        user_id: UserId,
        client_id: ClientId,
        /// The `sub` of the actor, for an impersonation session.
        actor: Option<String>,
    },
    SessionClosed {
        session_id: SessionId,
        user_id: UserId,
        closing: Closing,
    },
    SessionSettingsChanged {
        /// The version that is in force now.
        version: u64,
    },
}

impl Event {
    /// The name of the event. It is the vendor's webhook name where one exists (`session.ended`).
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
