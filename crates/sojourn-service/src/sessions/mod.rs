//! Use cases about existing sessions.

pub mod backend;
mod client;
mod handshake;
pub mod list;
mod of_user;
mod one;
pub mod record_ends;
pub mod revoke;
mod start;

pub use client::{create_client, delete_client, last_end, load_page, read_client, sign_out_of_all};
pub use handshake::{Handshaken, start_handshake};
pub use of_user::open_sessions_of;
pub use one::{SessionOutcome, end, read, refresh, touch};
pub(crate) use start::{NotStarted, refuse_start, start_session};

use sojourn_core::{id::SessionId, session::Session};
use sojourn_store::Engine as _;

use crate::{
    browser::BrowserContext,
    instance::Service,
    outcome::{Failure, Reason, Shown},
};

/// The session is over, or does not belong to this client.
#[derive(Clone, Debug, Default)]
pub struct SignedOut {
    /// The ended session, if this client held it. Foreign and unknown sessions get the same
    /// response.
    pub ended: Option<Box<Session>>,
}

impl Reason for SignedOut {}

/// Refuses with the current client, after overdue sessions were committed.
///
/// # Errors
/// Always: a conflict, or the refusal.
pub async fn refuse<T, R>(service: &Service, caller: BrowserContext, reason: R) -> Result<T, Failure<R>> {
    let step = caller.close_overdue();
    if let Some(step) = &step {
        caller.commit_step(service, step).await?;
    }
    Err(Failure::shown(reason, Shown::settled(caller, step.map(|step| step.browser))))
}

/// Refuses a request about a session that is not open on this client. If the client held the
/// session, the refusal contains its end.
///
/// # Errors
/// Always: a conflict, or the refusal.
pub(crate) async fn refuse_session<T>(
    service: &Service,
    caller: BrowserContext,
    id: SessionId,
) -> Result<T, Failure<SignedOut>> {
    let Some(step) = caller.close_overdue() else {
        return refuse(service, caller, SignedOut::default()).await;
    };
    caller.commit_step(service, &step).await?;
    let session = service.store().session(service.instance_id(), id).await?;
    let ended = session.filter(|session| session.closed.is_some() && caller.held(session)).map(Box::new);
    Err(Failure::shown(SignedOut { ended }, Shown::new(caller, step.browser)))
}
