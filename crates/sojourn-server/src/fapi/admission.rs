//! Letting an account into the calling browser: the one place where a session
//! begins, whatever was proved and on whichever page.

use sojourn_core::{
    client::{ClientStep, ClientWithSessions, NewSession, SignInRefused, admit},
    id::{SessionId, UserId},
    impersonation::Impersonation,
};

use super::answer::View;
use crate::{
    app::{App, AttemptError},
    auth::{BrowserContext, BrowserCredentials},
    wire::{ApiError, ErrorCode},
};

/// The browser with a session of `user_id` in it, its secret rotated and its
/// unfinished attempts forgotten; and that session. `impersonation` says who it
/// is that acts as the account, if it is not its owner.
///
/// # Errors
/// [`SignInRefused`] says why the account is not admitted.
pub fn start_session(
    app: &App,
    caller: &mut BrowserContext,
    browser: &ClientWithSessions,
    user_id: UserId,
    strategy: &str,
    impersonation: Option<Impersonation>,
) -> Result<(ClientStep, SessionId), SignInRefused> {
    let now = caller.visit.now();
    let session_id = SessionId::generate(now, &mut app.random());
    let new_session = NewSession {
        session_id,
        user_id,
        device: caller.visit.device.clone(),
        impersonation,
        strategy: strategy.to_owned(),
        secret: caller.rotate(app, browser.client.id),
    };
    let mut step = admit(caller.visit.at, &caller.visit.policy, browser, new_session)?;
    caller.note_visit(&mut step);
    step.browser.client.sign_in_id = None;
    step.browser.client.sign_up_id = None;
    Ok((step, session_id))
}

/// Refuses whom the browser does not admit, with the client as it is
/// (D7), once the ends found on the way are durable.
///
/// # Errors
/// Always: a conflict, or the refusal.
pub async fn refuse_sign_in<T>(
    app: &App,
    parts: &BrowserCredentials,
    turned: SignInRefused,
) -> Result<T, AttemptError> {
    let caller = parts.load(app).await?;
    let Some(step) = caller.close_overdue() else { return Err(refusal(turned).into()) };
    caller.commit_step(app, &step).await?;
    Err(View::new(app, &caller, &step.browser).refuse(refusal(turned)).into())
}

/// The refusal of a second account in single-session mode.
pub fn session_exists() -> ApiError {
    ApiError::new(ErrorCode::SessionExists).why(
        "Somebody is signed in here. Sign out first; several accounts at once are not allowed by the settings.",
    )
}

/// The refusal of an account that is signed in here already. Browsers switch
/// to the session named. Compat: clerk/javascript packages/ui SignInStart
pub fn already_signed_in(session_id: SessionId) -> ApiError {
    ApiError::param(ErrorCode::IdentifierAlreadySignedIn, "identifier")
        .why("This account is signed in here already. Switch to it.")
        .meta("session_id", session_id.to_string())
}

fn refusal(turned: SignInRefused) -> ApiError {
    match turned {
        SignInRefused::SessionExists => session_exists(),
        SignInRefused::AlreadySignedIn(id) => already_signed_in(id),
        SignInRefused::TooManySessions => ApiError::new(ErrorCode::TooManySessions)
            .why("This browser holds as many accounts as it may. Sign out of one first."),
    }
}
