//! The sessions of the account in all browsers: see them, end them elsewhere.

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    response::{IntoResponse, Response},
};
use sojourn_api as api;
use sojourn_service::account::{self, AccountError};

use super::named;
use crate::{
    app::App,
    auth::BrowserCredentials,
    fapi::answer::{View, refused},
    wire::{self, ApiResult},
};

/// All open sessions of the account, whole but without tokens: those are for
/// the browser that holds the session.
#[utoipa::path(
    get,
    path = "/v1/me/sessions",
    tag = "Me",
    operation_id = "frontend_list_sessions",
    params(api::SessionQuery),
    responses((status = 200, description = "Sessions with their user", body = Vec<api::BrowserSession>)),
    extensions(("x-error-codes" = json!(["authentication_invalid"]))),
)]
pub async fn list_sessions(
    State(app): State<App>,
    parts: BrowserCredentials,
    RawQuery(query): RawQuery,
) -> ApiResult<Response> {
    let listed = account::list_sessions(&app, &parts.request, named(query.as_deref())?).await;
    let (outcome, sessions) = listed.map_err(|failure| refused(&app, &parts, failure))?;
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
    get,
    path = "/v1/me/sessions/active",
    tag = "Me",
    params(api::SessionQuery),
    responses((status = 200, description = "Sessions with their devices", body = Vec<api::Session>)),
    extensions(("x-error-codes" = json!(["authentication_invalid"]))),
)]
pub async fn list_active_sessions(
    State(app): State<App>,
    parts: BrowserCredentials,
    RawQuery(query): RawQuery,
) -> ApiResult<Response> {
    let listed = account::list_sessions(&app, &parts.request, named(query.as_deref())?).await;
    let (outcome, sessions) = listed.map_err(|failure| refused(&app, &parts, failure))?;
    let request = &outcome.shown.caller.request;
    let object = |session| {
        wire::session::with_place(wire::session::backend_session(request.now(), &request.policy, session))
    };
    Ok(Json(sessions.iter().map(object).collect::<Vec<_>>()).into_response())
}

/// Ends a session of the account on another device.
#[utoipa::path(
    post,
    path = "/v1/me/sessions/{session_id}/revoke",
    tag = "Me",
    operation_id = "frontend_revoke_session",
    params(api::SessionQuery),
    responses((
        status = 200,
        description = "The revoked session and the client",
        body = api::WithClient<api::BrowserSession>,
    )),
    extensions(("x-error-codes" = json!([
        "authentication_invalid", "authorization_invalid", "resource_not_found",
    ]))),
)]
pub async fn revoke_session(
    State(app): State<App>,
    parts: BrowserCredentials,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> ApiResult<Response> {
    let id = id.parse().map_err(|_| AccountError::NoSession)?;
    let revoked = account::revoke_session(&app, &parts.request, named(query.as_deref())?, id).await;
    let (outcome, session) = revoked.map_err(|failure| refused(&app, &parts, failure))?;
    let view = View::new(&app, &parts, &outcome.shown);
    Ok(view.changed(&view.session(&session)))
}
