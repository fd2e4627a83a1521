//! One session of the calling browser: read, touch, end, remove, tokens.

use axum::{
    extract::{Path, State},
    response::Response,
};
use sojourn_api as api;
use sojourn_core::{activity::ActivitySource, session::Ending};
use sojourn_service::{
    Failure,
    sessions::{self, SessionOutcome, SignedOut},
};

use super::answer::{View, refused};
use crate::{
    app::App,
    auth::BrowserCredentials,
    wire::{ApiResult, Params, session::token_object},
};

/// One session of this browser. Reading is no activity.
#[utoipa::path(
    get,
    path = "/v1/client/sessions/{session_id}",
    tag = "Sessions",
    operation_id = "frontend_get_session",
    responses((status = 200, description = "The session", body = api::WithClient<api::BrowserSession>)),
    extensions(("x-error-codes" = json!(["authentication_invalid"]))),
)]
pub async fn get_session(
    State(app): State<App>,
    parts: BrowserCredentials,
    Path(id): Path<String>,
) -> ApiResult<Response> {
    let read = sessions::read(&app, &parts.request, id.parse().ok()).await;
    let SessionOutcome { shown, session } = read.map_err(|failure| refused(&app, &parts, failure))?;
    let view = View::new(&app, &parts, &shown);
    Ok(view.read(&view.session(&session)))
}

/// Counts as activity and makes the session the active one (S3, S8). What the
/// browser means by it (`focus`, `select_session`) makes no difference: the
/// tab in front is the one whose session counts.
#[utoipa::path(
    post,
    path = "/v1/client/sessions/{session_id}/touch",
    tag = "Sessions",
    request_body(content = api::TouchSession, content_type = "application/x-www-form-urlencoded"),
    responses((
        status = 200,
        description = "The session and the client",
        body = api::WithClient<api::BrowserSession>,
    )),
    extensions(("x-error-codes" = json!(["authentication_invalid", "form_param_unknown"]))),
)]
pub async fn touch_session(
    State(app): State<App>,
    parts: BrowserCredentials,
    Path(id): Path<String>,
    params: Params,
) -> ApiResult<Response> {
    params.refuse_not_offered(&["active_organization_id"])?;
    let touched = sessions::touch(&app, &parts.request, id.parse().ok()).await;
    changed(&app, &parts, touched)
}

/// Signs out of one session, which stays known as ended.
#[utoipa::path(
    post,
    path = "/v1/client/sessions/{session_id}/end",
    tag = "Sessions",
    responses((
        status = 200,
        description = "The ended session and the client",
        body = api::WithClient<api::BrowserSession>,
    )),
    extensions(("x-error-codes" = json!(["authentication_invalid"]))),
)]
pub async fn end_session(
    State(app): State<App>,
    parts: BrowserCredentials,
    Path(id): Path<String>,
) -> ApiResult<Response> {
    let ended = sessions::end(&app, &parts.request, id.parse().ok(), Ending::ENDED).await;
    changed(&app, &parts, ended)
}

/// Signs out of one session, which leaves the client (S9: `signOut({sessionId})`).
#[utoipa::path(
    post,
    path = "/v1/client/sessions/{session_id}/remove",
    tag = "Sessions",
    responses((
        status = 200,
        description = "The removed session and the client",
        body = api::WithClient<api::BrowserSession>,
    )),
    extensions(("x-error-codes" = json!(["authentication_invalid"]))),
)]
pub async fn remove_session(
    State(app): State<App>,
    parts: BrowserCredentials,
    Path(id): Path<String>,
) -> ApiResult<Response> {
    let removed = sessions::end(&app, &parts.request, id.parse().ok(), Ending::SIGNED_OUT).await;
    changed(&app, &parts, removed)
}

fn changed(
    app: &App,
    parts: &BrowserCredentials,
    result: Result<SessionOutcome, Failure<SignedOut>>,
) -> ApiResult<Response> {
    let SessionOutcome { shown, session } = result.map_err(|failure| refused(app, parts, failure))?;
    let view = View::new(app, parts, &shown);
    Ok(view.changed(&view.session(&session)))
}

/// A fresh session token, bare. Counts as activity (S3). A session that is
/// over is 401 with the client as it is: browsers retry a 404 for ever.
/// Compat: clerk/javascript packages/clerk-js/src/core/resources/Session.ts
#[utoipa::path(
    post,
    path = "/v1/client/sessions/{session_id}/tokens",
    tag = "Sessions",
    operation_id = "frontend_create_session_token",
    request_body(content = api::RefreshToken, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "A token", body = api::Token)),
    extensions(("x-error-codes" = json!(["authentication_invalid", "form_param_unknown"]))),
)]
pub async fn create_session_token(
    State(app): State<App>,
    parts: BrowserCredentials,
    Path(id): Path<String>,
    params: Params,
) -> ApiResult<Response> {
    params.refuse_not_offered(&["organization_id"])?;
    let hidden = params.text("tab_state")?.as_deref() == Some("hidden");
    let source = ActivitySource::Token { hidden };
    let refreshed = sessions::refresh(&app, &parts.request, id.parse().ok(), source).await;
    let (shown, token) = refreshed.map_err(|failure| refused(&app, &parts, failure))?;
    Ok(View::new(&app, &parts, &shown).answer(&token_object(&token)))
}
