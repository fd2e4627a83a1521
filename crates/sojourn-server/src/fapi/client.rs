//! The browser itself: read, make, forget, sign out of everything.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use sojourn_core::{
    activity::ActivitySource,
    client::{SignOutScope, refresh, sign_out},
    session::Ending,
};

use super::answer::{View, refuse_caller};
use crate::{
    app::App,
    auth::{BrowserCredentials, origin},
    refusal_page::refuse,
    wire::{ApiError, ApiResult, ErrorCode, Params},
};

/// The client, or null. Always 200, also for a cookie that is forged, rotated
/// away or of a closed client: browsers answer a 401 here with an endless storm
/// of requests. Counts as activity of the session it hands out as active (S3),
/// because a page load sends nothing else.
/// Compat: clerk/javascript packages/clerk-js/src/core/clerk.ts handleUnauthenticated
#[utoipa::path(get, path = "/v1/client", tag = "Client", responses((status = 200, description = "The client, or null")))]
pub async fn get_client(State(app): State<App>, parts: BrowserCredentials) -> ApiResult<Response> {
    app.retry_on_conflict(|| async {
        let caller = parts.load(&app).await?;
        let Some(mut step) = caller.close_overdue() else {
            return Ok(View::nobody(&app, &caller).read(&Value::Null));
        };
        let policy = &caller.visit.policy;
        let active = step.browser.active_session().map(|session| session.id);
        if let Some(id) = active
            && let Ok(active) = refresh(caller.visit.at, policy, &step.browser, id, ActivitySource::PageLoad)
        {
            (step.browser, step.seen) = (active.browser, active.seen);
        }
        caller.note_visit(&mut step);
        app.commit(app.changes(caller.visit.at).browser(&step)).await?;
        app.note_activity(&step, caller.visit.at);
        let view = View::new(&app, &caller, &step.browser);
        Ok(view.read(&view.client()))
    })
    .await
}

/// Makes a client for a browser that has none; else as the read.
#[utoipa::path(post, path = "/v1/client", tag = "Client", responses((status = 200, description = "The client")))]
pub async fn create_client(State(app): State<App>, parts: BrowserCredentials) -> ApiResult<Response> {
    make_client(app, parts).await
}

/// As the POST.
#[utoipa::path(put, path = "/v1/client", tag = "Client", responses((status = 200, description = "The client")))]
pub async fn put_client(State(app): State<App>, parts: BrowserCredentials) -> ApiResult<Response> {
    make_client(app, parts).await
}

async fn make_client(app: App, parts: BrowserCredentials) -> ApiResult<Response> {
    app.retry_on_conflict(|| async {
        let mut caller = parts.load(&app).await?;
        let Ok(browser) = caller.browser_or_new(&app) else { return refuse_caller(&app, &caller).await };
        let mut step = sojourn_core::client::close_overdue(caller.visit.at, &caller.visit.policy, &browser);
        step.client_changed |= browser.client.version == 0;
        caller.note_visit(&mut step);
        app.commit(app.changes(caller.visit.at).browser(&step)).await?;
        let view = View::new(&app, &caller, &step.browser);
        Ok(view.changed(&view.client()))
    })
    .await
}

/// Ends all sessions and forgets the browser.
#[utoipa::path(delete, path = "/v1/client", tag = "Client", responses((status = 200, description = "Nothing is left")))]
pub async fn delete_client(State(app): State<App>, parts: BrowserCredentials) -> ApiResult<Response> {
    app.retry_on_conflict(|| async {
        let mut caller = parts.load(&app).await?;
        if caller.holds_an_old_secret() {
            return refuse_caller(&app, &caller).await;
        }
        if let Ok(browser) = caller.browser().cloned() {
            let (all, ending) = (SignOutScope::All, Ending::SIGNED_OUT_EVERYWHERE);
            let secret = caller.rotate(&app, browser.client.id);
            let step = sign_out(caller.visit.at, &caller.visit.policy, &browser, all, ending, Some(secret));
            app.commit(app.changes(caller.visit.at).browser(&step)).await?;
        }
        caller.forget();
        Ok(View::nobody(&app, &caller).changed(&Value::Null))
    })
    .await
}

/// Signs out of all accounts. The client stays, with its id (S9: `signOut()`).
#[utoipa::path(delete, path = "/v1/client/sessions", tag = "Client", responses((status = 200, description = "The client without sessions")))]
pub async fn delete_client_sessions(
    State(app): State<App>,
    parts: BrowserCredentials,
) -> ApiResult<Response> {
    app.retry_on_conflict(|| async {
        let mut caller = parts.load(&app).await?;
        if caller.holds_an_old_secret() {
            return refuse_caller(&app, &caller).await;
        }
        let Ok(browser) = caller.browser().cloned() else {
            return Ok(View::nobody(&app, &caller).read(&Value::Null));
        };
        let (all, ending) = (SignOutScope::All, Ending::SIGNED_OUT_EVERYWHERE);
        // Sessions that are over already rotate nothing, so no secret may be told for them.
        let signed_in = caller.close_overdue().is_some_and(|step| !step.browser.sessions.is_empty());
        let secret = signed_in.then(|| caller.rotate(&app, browser.client.id));
        let step = sign_out(caller.visit.at, &caller.visit.policy, &browser, all, ending, secret);
        app.commit(app.changes(caller.visit.at).browser(&step)).await?;
        let view = View::new(&app, &caller, &step.browser);
        Ok(view.read(&view.client()))
    })
    .await
}

/// Renews the client cookie by a navigation, and sends the browser on (S7).
/// Missing from the public document; Compat: clerk/javascript
/// packages/clerk-js/src/core/resources/Client.ts buildTouchUrl
#[utoipa::path(get, path = "/v1/client/touch", tag = "Client", responses((status = 307, description = "On to redirect_url"), (status = 422, description = "redirect_url is not allowed")))]
pub async fn touch_client(
    State(app): State<App>,
    headers: HeaderMap,
    parts: BrowserCredentials,
    params: Params,
) -> Response {
    renew_cookie(&app, parts, params).await.unwrap_or_else(|error| refuse(error, &headers))
}

async fn renew_cookie(app: &App, parts: BrowserCredentials, params: Params) -> ApiResult<Response> {
    let target = params.rejoined("redirect_url")?;
    let target = origin::redirect_target(app, &parts.visit.settings, &target).ok_or_else(redirect_refused)?;
    let (caller, step) = app
        .retry_on_conflict(|| async {
            let caller = parts.load(app).await?;
            let step = caller.close_overdue();
            if let Some(step) = &step {
                caller.commit_step(app, step).await?;
            }
            Ok((caller, step))
        })
        .await?;
    let location = HeaderValue::try_from(target.as_str()).map_err(ApiError::internal)?;
    let mut response = (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for cookie in caller.cookies(app, step.as_ref().map(|step| &step.browser)) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// The refusal of a redirect target, which is never followed.
pub fn redirect_refused() -> ApiError {
    ApiError::param(ErrorCode::RedirectUrlInvalid, "redirect_url").why(
        "The address is not one that this instance may send people to. Add its origin to allowed_origins.",
    )
}
