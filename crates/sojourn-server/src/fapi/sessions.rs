//! One session of the calling browser: read, touch, end, remove, tokens.

use axum::{extract::Path, response::Response};
use sojourn_api as api;
use sojourn_core::{activity::ActivitySource, session::Ending};
use sojourn_service::{
    Failure,
    sessions::{self, SessionOutcome, SignedOut},
};

use super::answer::Browser;
use crate::wire::{ApiResult, Params, session::token_object};

/// One session of this browser. Reading is no activity.
#[utoipa::path(
    get, path = "/v1/client/sessions/{session_id}",
    operation_id = "frontend_get_session",
    responses((status = 200, body = api::WithClient<api::BrowserSession>)),
)]
pub async fn get_session(browser: Browser, Path(id): Path<String>) -> ApiResult<Response> {
    let read = sessions::read(&browser.app, &browser.request, id.parse().ok()).await;
    let SessionOutcome { shown, session } = browser.found(read)?;
    let view = browser.view(&shown);
    Ok(view.read(&view.session(&session)))
}

/// Counts as activity and makes the session the active one (S3, S8). What the
/// browser means by it (`focus`, `select_session`) makes no difference: the
/// tab in front is the one whose session counts.
#[utoipa::path(
    post, path = "/v1/client/sessions/{session_id}/touch",
    request_body = api::TouchSession,
    responses((status = 200, body = api::WithClient<api::BrowserSession>)),
    extensions(("x-error-codes" = json!(["form_param_unknown"]))),
)]
pub async fn touch_session(browser: Browser, Path(id): Path<String>, params: Params) -> ApiResult<Response> {
    params.refuse_not_offered(&["active_organization_id"])?;
    let touched = sessions::touch(&browser.app, &browser.request, id.parse().ok()).await;
    changed(&browser, touched)
}

/// Signs out of one session, which stays known as ended.
#[utoipa::path(
    post, path = "/v1/client/sessions/{session_id}/end",
    responses((status = 200, body = api::WithClient<api::BrowserSession>)),
)]
pub async fn end_session(browser: Browser, Path(id): Path<String>) -> ApiResult<Response> {
    let ended = sessions::end(&browser.app, &browser.request, id.parse().ok(), Ending::ENDED).await;
    changed(&browser, ended)
}

/// Signs out of one session, which leaves the client (S9: `signOut({sessionId})`).
#[utoipa::path(
    post, path = "/v1/client/sessions/{session_id}/remove",
    responses((status = 200, body = api::WithClient<api::BrowserSession>)),
)]
pub async fn remove_session(browser: Browser, Path(id): Path<String>) -> ApiResult<Response> {
    let removed = sessions::end(&browser.app, &browser.request, id.parse().ok(), Ending::SIGNED_OUT).await;
    changed(&browser, removed)
}

fn changed(browser: &Browser, result: Result<SessionOutcome, Failure<SignedOut>>) -> ApiResult<Response> {
    let SessionOutcome { shown, session } = browser.found(result)?;
    let view = browser.view(&shown);
    Ok(view.changed(&view.session(&session)))
}

/// A fresh session token, bare. Counts as activity (S3). A session that is
/// over is 401 with the client as it is: browsers retry a 404 for ever.
/// Compat: clerk/javascript packages/clerk-js/src/core/resources/Session.ts
#[utoipa::path(
    post, path = "/v1/client/sessions/{session_id}/tokens",
    operation_id = "frontend_create_session_token",
    request_body = api::RefreshToken,
    responses((status = 200, description = "A token", body = api::Token)),
    extensions(("x-error-codes" = json!(["form_param_unknown"]))),
)]
pub async fn create_session_token(
    browser: Browser,
    Path(id): Path<String>,
    params: Params,
) -> ApiResult<Response> {
    params.refuse_not_offered(&["organization_id"])?;
    let hidden = params.text("tab_state")?.as_deref() == Some("hidden");
    let source = ActivitySource::Token { hidden };
    let refreshed = sessions::refresh(&browser.app, &browser.request, id.parse().ok(), source).await;
    let (shown, claims) = browser.found(refreshed)?;
    Ok(browser.view(&shown).answer(&token_object(&browser.app.sign(&claims))))
}
