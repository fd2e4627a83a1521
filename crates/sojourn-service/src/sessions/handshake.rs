//! The handshake: a nonce that identifies the client and the session. The token is issued when the
//! application's backend redeems the nonce.

use sojourn_core::{
    activity::ActivitySource,
    handshake::{Handshake, NONCE_LIFETIME},
    id::SessionId,
};
use sojourn_store::{CommitError, Write};

use super::client::count_activity;
use crate::{
    browser::{BrowserContext, RequestContext},
    instance::Service,
    keys::{random_secret, sha256},
    outcome::Shown,
};

/// A started handshake.
#[derive(Clone, Debug)]
pub struct Handshaken {
    pub shown: Shown,
    /// The nonce that the application's backend redeems.
    pub nonce: String,
}

/// Starts a handshake with the application at `origin`, for the session in the browser's expired
/// token if it is open on this client (the token is only a hint and authenticates nothing),
/// otherwise for the active session. Counts as activity (S3).
///
/// # Errors
/// The store fails.
pub async fn start_handshake(
    service: &Service,
    request: &RequestContext,
    hint: Option<SessionId>,
    origin: &str,
) -> Result<Handshaken, CommitError> {
    service
        .retry_on_conflict(|| async {
            let caller = BrowserContext::load(service, request).await?;
            let at = caller.request.at;
            let mut step = caller.close_overdue();
            let session_id = step.as_mut().and_then(|step| {
                let hinted = step.browser.sessions.iter().find(|session| Some(session.id) == hint);
                let id = hinted.or_else(|| step.browser.active_session())?.id;
                count_activity(&caller, step, id, ActivitySource::Handshake).then_some(id)
            });
            let nonce = random_secret(&mut service.random());
            let handshake = Handshake {
                client_id: step.as_ref().map(|step| step.browser.client.id),
                session_id,
                origin: origin.to_owned(),
                expires_at: at.now + NONCE_LIFETIME,
            };
            let mut changes =
                service.changes(at).write(Write::Handshake(sha256(nonce.as_bytes()), handshake));
            if let Some(step) = &mut step {
                caller.note_request(service, step);
                changes = changes.browser(step);
            }
            service.commit(changes).await?;
            if let Some(step) = &step {
                service.note_activity(step, at);
            }
            Ok(Handshaken { shown: Shown::settled(caller, step.map(|step| step.browser)), nonce })
        })
        .await
}
