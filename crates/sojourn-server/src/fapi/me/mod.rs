//! The signed-in account, by the session that the request names.
//! Compat: clerk/openapi-specs fapi/2026-05-12.yml, tag `User`

pub mod account;
pub mod email_addresses;
pub mod password;
pub mod sessions;

use sojourn_core::{client::ClientStep, event::Event, session::Session, user::User};
use sojourn_store::Write;

use super::answer::{refuse_caller, refuse_gone, refuse_session};
use crate::{
    app::{App, AttemptError},
    auth::BrowserContext,
    wire::{ApiError, ApiResult, ErrorCode, Params},
};

/// Whose `me` it is: the session named by `_clerk_session_id`, which has to be
/// this browser's, else the active one.
async fn me(
    app: &App,
    caller: &BrowserContext,
    query: Option<&str>,
) -> Result<(ClientStep, Session, User), AttemptError> {
    let Ok(browser) = caller.browser() else { return refuse_caller(app, caller).await };
    let step = sojourn_core::client::close_overdue(caller.visit.at, &caller.visit.policy, browser);
    let named = Params::from_form(query.unwrap_or(""))?.text("_clerk_session_id")?;
    let session = match &named {
        Some(id) => step.browser.sessions.iter().find(|session| session.id.to_string() == *id),
        None => step.browser.active_session(),
    };
    let found = session.and_then(|session| Some((session.clone(), caller.user_of(session)?.clone())));
    match (found, named.and_then(|id| id.parse().ok())) {
        (Some((session, user)), _) => Ok((step, session, user)),
        (None, Some(id)) => refuse_session(app, caller, id).await,
        (None, None) => refuse_gone(app, caller, &step).await,
    }
}

/// As [`me`], for what only the account's owner may do.
async fn owner(
    app: &App,
    caller: &BrowserContext,
    query: Option<&str>,
) -> Result<(ClientStep, Session, User), AttemptError> {
    let (step, session, user) = me(app, caller, query).await?;
    if let Err(refused) = refuse_actor(&session) {
        caller.commit_step(app, &step).await?;
        return Err(refused.into());
    }
    Ok((step, session, user))
}

/// Refuses who only acts as the account: its credentials, its sessions elsewhere
/// and its existence are its owner's alone (SES-21).
///
/// # Errors
/// `authorization_invalid`: the vendor names no code for this, and this is its
/// code for what a caller may not do. Never 401, which signs the browser out.
fn refuse_actor(session: &Session) -> ApiResult<()> {
    if session.impersonation.is_none() {
        return Ok(());
    }
    Err(ApiError::new(ErrorCode::AuthorizationInvalid)
        .message("This is for the account's owner only")
        .why("You are signed in as somebody else. Passwords, e-mail addresses, other sessions and the account itself can be changed by the account's owner only. Use the Backend API, or ask them."))
}

async fn store_user(
    app: &App,
    caller: &BrowserContext,
    step: &ClientStep,
    user: &User,
) -> Result<(), AttemptError> {
    let changes = app
        .changes(caller.visit.at)
        .browser(step)
        .write(Write::User(user.clone()))
        .event(Event::UserUpdated(user.id));
    Ok(app.commit(changes).await?)
}
