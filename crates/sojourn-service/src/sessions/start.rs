//! Starts a session on the requesting client: every sign-in and sign-up uses this function, with
//! every factor and on every page.

use sojourn_core::{
    client::{
        ClientStep, ClientWithSessions, Identity, NewSession, SecretHash, SignInRefused, admit,
        end_unanswered, readmit,
    },
    id::{ClientId, SessionId, UserId},
    impersonation::Impersonation,
};
use sojourn_store::ChangeSet;

use super::refuse;
use crate::{
    browser::{BrowserContext, RequestContext},
    instance::Service,
    outcome::Failure,
};

/// A new session, before its changes are committed.
#[derive(Clone, Debug)]
pub(crate) struct Started {
    /// The client with the new session, a rotated secret and no unfinished attempts.
    pub(crate) step: ClientStep,
    pub(crate) session_id: SessionId,
    /// The sessions that end on the previous client of the browser, if it got a new client.
    before: Option<ClientStep>,
}

impl Started {
    /// Adds the changes of both clients.
    pub(crate) fn write(&self, changes: ChangeSet) -> ChangeSet {
        let changes = changes.browser(&self.step);
        self.before.iter().fold(changes, ChangeSet::browser)
    }

    /// The client of the new session.
    pub(crate) const fn client_id(&self) -> ClientId {
        self.step.browser.client.id
    }
}

/// Why a session is not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotStarted {
    /// The request is from before a rotation of the client secret.
    NotThisBrowser,
    /// The client does not admit the account.
    Refused(SignInRefused),
}

/// Starts a session of `user_id` on the requesting client. `impersonation` is set if a staff member
/// acts as the user.
pub(crate) fn start_session(
    service: &Service,
    caller: &mut BrowserContext,
    user_id: UserId,
    strategy: &str,
    impersonation: Option<Impersonation>,
) -> Result<Started, NotStarted> {
    let (at, policy) = (caller.request.at, caller.request.policy.clone());
    let session_id = SessionId::generate(at.now, &mut service.random());
    let device = caller.request.device.clone();
    let new_session = |secret: SecretHash| NewSession {
        session_id,
        user_id,
        device,
        impersonation,
        strategy: strategy.to_owned(),
        secret,
    };
    let repeat = caller.repeat.take();
    let (mut step, before) = match (caller.identity, repeat) {
        // The user repeats the verification whose response was lost.
        (Identity::Predecessor { .. }, Some(repeat)) if repeat.is_all_of(user_id) => {
            let secret = caller.rotate(service, repeat.browser.client.id);
            caller.identity = Identity::Current { confirms_rotation: false };
            let step = readmit(at, &policy, &repeat.browser, &repeat.rotation, new_session(secret));
            (step.map_err(NotStarted::Refused)?, None)
        }
        // The lost response created no session (a sign-out): start in a new client, like an unknown
        // browser.
        (Identity::Predecessor { .. }, Some(repeat)) if repeat.unanswered.is_empty() => {
            (enter(service, caller, &policy, new_session)?, None)
        }
        (Identity::Retired, Some(repeat)) => {
            let before = end_unanswered(at, &policy, &repeat.browser, &repeat.rotation, user_id);
            (enter(service, caller, &policy, new_session)?, Some(before))
        }
        _ => (enter_known(service, caller, &policy, new_session)?, None),
    };
    caller.note_request(service, &mut step);
    step.browser.client.sign_in_id = None;
    step.browser.client.sign_up_id = None;
    Ok(Started { step, session_id, before })
}

/// Starts the session on a new client.
fn enter(
    service: &Service,
    caller: &mut BrowserContext,
    policy: &sojourn_core::policy::Policy,
    new_session: impl FnOnce(SecretHash) -> NewSession,
) -> Result<ClientStep, NotStarted> {
    let browser = caller.begin_anew(service);
    enter_browser(service, caller, policy, &browser, new_session)
}

fn enter_known(
    service: &Service,
    caller: &mut BrowserContext,
    policy: &sojourn_core::policy::Policy,
    new_session: impl FnOnce(SecretHash) -> NewSession,
) -> Result<ClientStep, NotStarted> {
    let browser = caller.browser_or_new(service).map_err(|_| NotStarted::NotThisBrowser)?;
    enter_browser(service, caller, policy, &browser, new_session)
}

fn enter_browser(
    service: &Service,
    caller: &mut BrowserContext,
    policy: &sojourn_core::policy::Policy,
    browser: &ClientWithSessions,
    new_session: impl FnOnce(SecretHash) -> NewSession,
) -> Result<ClientStep, NotStarted> {
    let secret = caller.rotate(service, browser.client.id);
    admit(caller.request.at, policy, browser, new_session(secret)).map_err(NotStarted::Refused)
}

/// Refuses a session that the client does not admit, with the current client (D7), after overdue
/// sessions were committed.
///
/// # Errors
/// Always: a conflict, or the refusal.
pub(crate) async fn refuse_start<T, R>(
    service: &Service,
    request: &RequestContext,
    why: NotStarted,
    convert: impl FnOnce(NotStarted) -> R,
) -> Result<T, Failure<R>> {
    let caller = BrowserContext::load(service, request).await?;
    refuse(service, caller, convert(why)).await
}
