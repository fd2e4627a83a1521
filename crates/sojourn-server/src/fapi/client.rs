//! The browser itself: read, make, forget, sign out of everything.

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use sojourn_api as api;
use sojourn_service::sessions;

use super::answer::{View, refused};
use crate::{
    app::App,
    auth::{BrowserCredentials, origin},
    wire::{ApiError, ApiResult, ErrorCode, Params},
};

/// The client, or null. Always 200, also for a cookie that is forged, rotated
/// away or of a closed client: browsers answer a 401 here with an endless storm
/// of requests. Counts as activity of the session it hands out as active (S3),
/// because a page load sends nothing else.
/// Compat: clerk/javascript packages/clerk-js/src/core/clerk.ts handleUnauthenticated
#[utoipa::path(
    get,
    path = "/v1/client",
    tag = "Client",
    operation_id = "frontend_get_client",
    responses((
        status = 200,
        description = "The client, or null",
        body = api::WithClient<Option<api::BrowserClient>>,
    )),
)]
pub async fn get_client(State(app): State<App>, parts: BrowserCredentials) -> ApiResult<Response> {
    let shown = sessions::load_page(&app, &parts.request).await?;
    let view = View::new(&app, &parts, &shown);
    Ok(view.read(&view.client()))
}

/// Makes a client for a browser that has none; else as the read.
#[utoipa::path(
    post,
    path = "/v1/client",
    tag = "Client",
    responses((status = 200, description = "The client", body = api::WithClient<api::BrowserClient>)),
    extensions(("x-error-codes" = json!(["authentication_invalid"]))),
)]
pub async fn create_client(State(app): State<App>, parts: BrowserCredentials) -> ApiResult<Response> {
    make_client(app, parts).await
}

/// As the POST.
#[utoipa::path(
    put,
    path = "/v1/client",
    tag = "Client",
    responses((status = 200, description = "The client", body = api::WithClient<api::BrowserClient>)),
    extensions(("x-error-codes" = json!(["authentication_invalid"]))),
)]
pub async fn put_client(State(app): State<App>, parts: BrowserCredentials) -> ApiResult<Response> {
    make_client(app, parts).await
}

async fn make_client(app: App, parts: BrowserCredentials) -> ApiResult<Response> {
    let made = sessions::create_client(&app, &parts.request).await;
    let shown = made.map_err(|failure| refused(&app, &parts, failure))?;
    let view = View::new(&app, &parts, &shown);
    Ok(view.changed(&view.client()))
}

/// Ends all sessions and forgets the browser.
#[utoipa::path(
    delete,
    path = "/v1/client",
    tag = "Client",
    responses((
        status = 200,
        description = "Nothing is left",
        body = api::WithClient<Option<api::BrowserClient>>,
    )),
    extensions(("x-error-codes" = json!(["authentication_invalid"]))),
)]
pub async fn delete_client(State(app): State<App>, parts: BrowserCredentials) -> ApiResult<Response> {
    let deleted = sessions::delete_client(&app, &parts.request).await;
    let shown = deleted.map_err(|failure| refused(&app, &parts, failure))?;
    Ok(View::new(&app, &parts, &shown).changed(&None::<api::BrowserClient>))
}

/// Signs out of all accounts. The client stays, with its id (S9: `signOut()`).
#[utoipa::path(
    delete,
    path = "/v1/client/sessions",
    tag = "Client",
    responses((
        status = 200,
        description = "The client without sessions",
        body = api::WithClient<Option<api::BrowserClient>>,
    )),
    extensions(("x-error-codes" = json!(["authentication_invalid"]))),
)]
pub async fn delete_client_sessions(
    State(app): State<App>,
    parts: BrowserCredentials,
) -> ApiResult<Response> {
    let signed_out = sessions::sign_out_of_all(&app, &parts.request).await;
    let shown = signed_out.map_err(|failure| refused(&app, &parts, failure))?;
    let view = View::new(&app, &parts, &shown);
    Ok(view.read(&view.client()))
}

/// Renews the client cookie by a navigation, and sends the browser on (S7).
/// Missing from the public document; Compat: clerk/javascript
/// packages/clerk-js/src/core/resources/Client.ts buildTouchUrl
#[utoipa::path(
    get,
    path = "/v1/client/touch",
    tag = "Client",
    params(api::RedirectQuery),
    responses((status = 307, description = "On to `redirect_url`")),
    extensions(("x-error-codes" = json!(["form_param_missing", "redirect_url_invalid"]))),
)]
pub async fn touch_client(
    State(app): State<App>,
    parts: BrowserCredentials,
    params: Params,
) -> ApiResult<Response> {
    let target = params.rejoined("redirect_url")?;
    let target =
        origin::redirect_target(&app, &parts.request.settings, &target).ok_or_else(redirect_refused)?;
    let shown = sessions::read_client(&app, &parts.request).await?;
    let location = HeaderValue::try_from(target.as_str()).map_err(ApiError::internal)?;
    let mut response = (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for cookie in parts.cookies(&app, &shown) {
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
