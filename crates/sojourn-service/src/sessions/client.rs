//! The requesting client itself: read, create, delete, sign out of all accounts.

use sojourn_core::{
    activity::ActivitySource,
    client::{ClientStep, SignOutScope, close_overdue, refresh, sign_out},
    session::{Ending, Session},
};
use sojourn_store::{CommitError, Engine as _};

use super::{SignedOut, refuse};
use crate::{
    browser::{BrowserContext, RequestContext},
    instance::Service,
    outcome::{Failure, Shown},
};

/// The client on a page load. Counts as activity of the session that it returns as active (S3),
/// because a page load sends no other request.
///
/// # Errors
/// The store fails.
pub async fn load_page(service: &Service, request: &RequestContext) -> Result<Shown, CommitError> {
    service
        .retry_on_conflict(|| async {
            let caller = BrowserContext::load(service, request).await?;
            let Some(mut step) = caller.close_overdue() else { return Ok(Shown::nobody(caller)) };
            if let Some(active) = step.browser.active_session().map(|session| session.id) {
                count_activity(&caller, &mut step, active, ActivitySource::PageLoad);
            }
            caller.note_request(service, &mut step);
            service.commit(service.changes(caller.request.at).browser(&step)).await?;
            service.note_activity(&step, caller.request.at);
            Ok(Shown::new(caller, step.browser))
        })
        .await
}

/// Records activity of an open session in `step`. Returns whether the session is open.
pub(super) fn count_activity(
    caller: &BrowserContext,
    step: &mut ClientStep,
    id: sojourn_core::id::SessionId,
    source: ActivitySource,
) -> bool {
    let Ok(active) = refresh(caller.request.at, &caller.request.policy, &step.browser, id, source) else {
        return false;
    };
    (step.browser, step.seen) = (active.browser, active.seen);
    true
}

/// The client without recording activity.
///
/// # Errors
/// The store fails.
pub async fn read_client(service: &Service, request: &RequestContext) -> Result<Shown, CommitError> {
    service
        .retry_on_conflict(|| async {
            let caller = BrowserContext::load(service, request).await?;
            let step = caller.close_overdue();
            if let Some(step) = &step {
                caller.commit_step(service, step).await?;
            }
            Ok(Shown::settled(caller, step.map(|step| step.browser)))
        })
        .await
}

/// Creates a client for a browser without one; otherwise like [`read_client`].
///
/// # Errors
/// [`SignedOut`] for a request from before a rotation.
pub async fn create_client(service: &Service, request: &RequestContext) -> Result<Shown, Failure<SignedOut>> {
    service
        .retry_on_conflict(|| async {
            let mut caller = BrowserContext::load(service, request).await?;
            let Ok(browser) = caller.browser_or_new(service) else {
                return refuse(service, caller, SignedOut::default()).await;
            };
            let mut step = close_overdue(caller.request.at, &caller.request.policy, &browser);
            step.client_changed |= browser.client.version == 0;
            caller.note_request(service, &mut step);
            service.commit(service.changes(caller.request.at).browser(&step)).await?;
            Ok(Shown::new(caller, step.browser))
        })
        .await
}

/// Ends all sessions and removes the client from the browser.
///
/// # Errors
/// [`SignedOut`] for a request from before a rotation.
pub async fn delete_client(service: &Service, request: &RequestContext) -> Result<Shown, Failure<SignedOut>> {
    service
        .retry_on_conflict(|| async {
            let mut caller = BrowserContext::load(service, request).await?;
            if caller.holds_an_old_secret() {
                return refuse(service, caller, SignedOut::default()).await;
            }
            if let Ok(browser) = caller.browser().cloned() {
                let secret = caller.rotate(service, browser.client.id);
                let (all, ending) = (SignOutScope::All, Ending::SIGNED_OUT_EVERYWHERE);
                let step =
                    sign_out(caller.request.at, &caller.request.policy, &browser, all, ending, Some(secret));
                caller.commit_step(service, &step).await?;
            }
            caller.forget();
            Ok(Shown::nobody(caller))
        })
        .await
}

/// Signs out of all accounts. The client keeps its id.
///
/// # Errors
/// [`SignedOut`] for a request from before a rotation.
pub async fn sign_out_of_all(
    service: &Service,
    request: &RequestContext,
) -> Result<Shown, Failure<SignedOut>> {
    service
        .retry_on_conflict(|| async {
            let mut caller = BrowserContext::load(service, request).await?;
            if caller.holds_an_old_secret() {
                return refuse(service, caller, SignedOut::default()).await;
            }
            let Ok(browser) = caller.browser().cloned() else { return Ok(Shown::nobody(caller)) };
            // Overdue sessions do not rotate the secret, so the response must not set a new one for
            // them.
            let signed_in = caller.close_overdue().is_some_and(|step| !step.browser.sessions.is_empty());
            let secret = signed_in.then(|| caller.rotate(service, browser.client.id));
            let (all, ending) = (SignOutScope::All, Ending::SIGNED_OUT_EVERYWHERE);
            let step = sign_out(caller.request.at, &caller.request.policy, &browser, all, ending, secret);
            caller.commit_step(service, &step).await?;
            Ok(Shown::new(caller, step.browser))
        })
        .await
}

/// The session of this client that ended most recently, if nobody is signed in on it. A rotated
/// secret gets nothing.
///
/// # Errors
/// The store fails.
pub async fn last_end(service: &Service, request: &RequestContext) -> Result<Option<Session>, CommitError> {
    service
        .retry_on_conflict(|| async {
            let caller = BrowserContext::load(service, request).await?;
            let (Ok(browser), Some(step)) = (caller.browser(), caller.close_overdue()) else {
                return Ok(None);
            };
            caller.commit_step(service, &step).await?;
            if !step.browser.sessions.is_empty() {
                return Ok(None);
            }
            Ok(service.store().last_ended_session(service.instance_id(), browser.client.id).await?)
        })
        .await
}
