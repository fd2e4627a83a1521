//! The sessions of the account in all browsers: see them, end them elsewhere.

use axum::{
    Json,
    extract::Path,
    response::{IntoResponse, Response},
};
use sojourn_api as api;
use sojourn_service::account::{self, AccountError};

use super::Whose;
use crate::{
    fapi::answer::Browser,
    wire::{self, ApiResult},
};

/// All open sessions of the account, whole but without tokens: those are for
/// the browser that holds the session.
#[utoipa::path(
    get, path = "/v1/me/sessions",
    operation_id = "frontend_list_sessions",
    params(api::SessionQuery),
    responses((status = 200, description = "Sessions with their user", body = Vec<api::BrowserSession>)),
)]
pub async fn list_sessions(browser: Browser, Whose(named): Whose) -> ApiResult<Response> {
    let listed = account::list_sessions(&browser.app, &browser.request, named).await;
    let (outcome, sessions) = browser.found(listed)?;
    let request = &outcome.shown.caller.request;
    let object = |session| {
        wire::session::frontend_session(request.now(), &request.policy, session, Some(&outcome.user), None)
    };
    Ok(Json(sessions.iter().map(object).collect::<Vec<_>>()).into_response())
}

/// All open sessions of the account, in all browsers: a bare array, in which
/// the device list finds its own. Compat: clerk/javascript
/// packages/clerk-js/src/core/resources/User.ts getSessions
#[utoipa::path(
    get, path = "/v1/me/sessions/active",
    params(api::SessionQuery),
    responses((status = 200, description = "Sessions with their devices", body = Vec<api::Session>)),
)]
pub async fn list_active_sessions(browser: Browser, Whose(named): Whose) -> ApiResult<Response> {
    let listed = account::list_sessions(&browser.app, &browser.request, named).await;
    let (outcome, sessions) = browser.found(listed)?;
    let request = &outcome.shown.caller.request;
    let object = |session| {
        wire::session::with_place(wire::session::backend_session(request.now(), &request.policy, session))
    };
    Ok(Json(sessions.iter().map(object).collect::<Vec<_>>()).into_response())
}

/// Ends a session of the account on another device.
#[utoipa::path(
    post, path = "/v1/me/sessions/{session_id}/revoke",
    operation_id = "frontend_revoke_session",
    params(api::SessionQuery),
    responses((status = 200, body = api::WithClient<api::BrowserSession>)),
    extensions(("x-error-codes" = json!(["authorization_invalid"]))),
)]
pub async fn revoke_session(
    browser: Browser,
    Path(id): Path<String>,
    Whose(named): Whose,
) -> ApiResult<Response> {
    let id = id.parse().map_err(|_| AccountError::NoSession)?;
    let revoked = account::revoke_session(&browser.app, &browser.request, named, id).await;
    let (outcome, session) = browser.found(revoked)?;
    let view = browser.view(&outcome.shown);
    Ok(view.changed(&view.session(&session)))
}
