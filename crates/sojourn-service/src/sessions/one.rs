//! One session of the requesting client: read, touch, end, refresh.

use sojourn_core::{
    activity::ActivitySource,
    claims::SessionClaims,
    client::{SignOutScope, close_overdue, refresh as refresh_session, sign_out, switch},
    id::SessionId,
    session::{Ending, Session},
};

use super::{SignedOut, refuse, refuse_session};
use crate::{
    browser::{BrowserContext, RequestContext},
    instance::Service,
    outcome::{Failure, Shown},
    tokens::session_claims,
};

/// A session, and the client after the use case.
#[derive(Clone, Debug)]
pub struct SessionOutcome {
    pub shown: Shown,
    pub session: Session,
}

/// One session of this client. Reading is not activity. Here and below, an `id` that is `None` was
/// not valid and is handled like an ended session.
///
/// # Errors
/// [`SignedOut`].
pub async fn read(
    service: &Service,
    request: &RequestContext,
    id: Option<SessionId>,
) -> Result<SessionOutcome, Failure<SignedOut>> {
    service
        .retry_on_conflict(|| async {
            let caller = BrowserContext::load(service, request).await?;
            let (Some(step), Some(id)) = (caller.close_overdue(), id) else {
                return refuse(service, caller, SignedOut::default()).await;
            };
            let Some(session) = step.browser.sessions.iter().find(|session| session.id == id).cloned() else {
                return refuse_session(service, caller, id).await;
            };
            caller.commit_step(service, &step).await?;
            Ok(SessionOutcome { shown: Shown::new(caller, step.browser), session })
        })
        .await
}

/// Records activity and makes the session the active one (S3, S8).
///
/// # Errors
/// [`SignedOut`].
pub async fn touch(
    service: &Service,
    request: &RequestContext,
    id: Option<SessionId>,
) -> Result<SessionOutcome, Failure<SignedOut>> {
    service
        .retry_on_conflict(|| async {
            let caller = BrowserContext::load(service, request).await?;
            let at = caller.request.at;
            let Some(id) = id else { return refuse(service, caller, SignedOut::default()).await };
            let Ok(browser) = caller.browser() else { return refuse_session(service, caller, id).await };
            let Ok(mut step) = switch(at, &caller.request.policy, browser, id) else {
                return refuse_session(service, caller, id).await;
            };
            let Some(session) = step.subject.clone() else {
                return refuse_session(service, caller, id).await;
            };
            caller.note_request(service, &mut step);
            service.commit(service.changes(at).browser(&step)).await?;
            service.note_activity(&step, at);
            Ok(SessionOutcome { shown: Shown::new(caller, step.browser), session })
        })
        .await
}

/// Signs out of one session, and rotates the client secret.
///
/// # Errors
/// [`SignedOut`].
pub async fn end(
    service: &Service,
    request: &RequestContext,
    id: Option<SessionId>,
    ending: Ending,
) -> Result<SessionOutcome, Failure<SignedOut>> {
    service
        .retry_on_conflict(|| async {
            let mut caller = BrowserContext::load(service, request).await?;
            let at = caller.request.at;
            let Some(id) = id else { return refuse(service, caller, SignedOut::default()).await };
            let Ok(browser) = caller.browser().cloned() else {
                return refuse_session(service, caller, id).await;
            };
            let without_overdue = close_overdue(at, &caller.request.policy, &browser);
            if !without_overdue.browser.sessions.iter().any(|session| session.id == id) {
                return refuse_session(service, caller, id).await;
            }
            let secret = caller.rotate(service, browser.client.id);
            let scope = SignOutScope::One(id);
            let step = sign_out(at, &caller.request.policy, &browser, scope, ending, Some(secret));
            let Some(session) = step.subject.clone() else {
                return refuse_session(service, caller, id).await;
            };
            service.commit(service.changes(at).browser(&step)).await?;
            Ok(SessionOutcome { shown: Shown::new(caller, step.browser), session })
        })
        .await
}

/// The claims of a new session token. Counts as activity (S3).
///
/// # Errors
/// [`SignedOut`], also if less than a second of the session is left.
pub async fn refresh(
    service: &Service,
    request: &RequestContext,
    id: Option<SessionId>,
    source: ActivitySource,
) -> Result<(Shown, SessionClaims), Failure<SignedOut>> {
    service
        .retry_on_conflict(|| async {
            let caller = BrowserContext::load(service, request).await?;
            let at = caller.request.at;
            let (Some(browser), Some(id)) = (caller.visible(), id) else {
                return refuse(service, caller, SignedOut::default()).await;
            };
            let Ok(mut step) = refresh_session(at, &caller.request.policy, browser, id, source) else {
                return refuse_session(service, caller, id).await;
            };
            caller.note_request(service, &mut step);
            service.commit(service.changes(at).browser(&step)).await?;
            let claims = step.subject.as_ref().and_then(|session| {
                session_claims(service, &caller.request, session, caller.user_of(session)).ok()
            });
            let Some(claims) = claims else { return refuse(service, caller, SignedOut::default()).await };
            // Recorded only with a token: a refused refresh must not extend the session.
            service.note_activity(&step, at);
            // The response shows only cookies of the client, so its sessions are not evaluated
            // again.
            let shown = Shown { browser: Some(step.browser), ..Shown::nobody(caller) };
            Ok((shown, claims))
        })
        .await
}
