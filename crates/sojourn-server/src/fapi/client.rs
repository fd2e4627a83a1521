//! The browser itself: read, make, forget, sign out of everything.

use axum::response::Response;
use sojourn_api as api;
use sojourn_service::sessions;

use super::answer::{Browser, redirect};
use crate::{
    auth::origin,
    wire::{ApiError, ApiResult, ErrorCode, Params},
};

/// The client, or null. Always 200, also for a cookie that is forged, rotated
/// away or of a closed client: browsers answer a 401 here with an endless storm
/// of requests. Counts as activity of the session it hands out as active (S3),
/// because a page load sends nothing else.
/// Compat: clerk/javascript packages/clerk-js/src/core/clerk.ts handleUnauthenticated
#[utoipa::path(
    get, path = "/v1/client",
    operation_id = "frontend_get_client",
    responses((status = 200, body = api::WithClient<Option<api::BrowserClient>>)),
)]
pub async fn get_client(browser: Browser) -> ApiResult<Response> {
    let shown = sessions::load_page(&browser.app, &browser.request).await?;
    let view = browser.view(&shown);
    Ok(view.read(&view.client()))
}

/// Makes a client for a browser that has none; else as the read.
#[utoipa::path(
    post, path = "/v1/client",
    responses((status = 200, body = api::WithClient<api::BrowserClient>)),
)]
pub async fn create_client(browser: Browser) -> ApiResult<Response> {
    make_client(&browser).await
}

/// As the POST.
#[utoipa::path(
    put, path = "/v1/client",
    responses((status = 200, body = api::WithClient<api::BrowserClient>)),
)]
pub async fn put_client(browser: Browser) -> ApiResult<Response> {
    make_client(&browser).await
}

async fn make_client(browser: &Browser) -> ApiResult<Response> {
    let made = sessions::create_client(&browser.app, &browser.request).await;
    let shown = browser.found(made)?;
    let view = browser.view(&shown);
    Ok(view.changed(&view.client()))
}

/// Ends all sessions and forgets the browser.
#[utoipa::path(
    delete, path = "/v1/client",
    responses((status = 200, body = api::WithClient<Option<api::BrowserClient>>)),
)]
pub async fn delete_client(browser: Browser) -> ApiResult<Response> {
    let deleted = sessions::delete_client(&browser.app, &browser.request).await;
    let shown = browser.found(deleted)?;
    Ok(browser.view(&shown).changed(&None::<api::BrowserClient>))
}

/// Signs out of all accounts. The client stays, with its id (S9: `signOut()`).
#[utoipa::path(
    delete, path = "/v1/client/sessions",
    responses((status = 200, body = api::WithClient<Option<api::BrowserClient>>)),
)]
pub async fn delete_client_sessions(browser: Browser) -> ApiResult<Response> {
    let signed_out = sessions::sign_out_of_all(&browser.app, &browser.request).await;
    let shown = browser.found(signed_out)?;
    let view = browser.view(&shown);
    Ok(view.read(&view.client()))
}

/// Renews the client cookie by a navigation, and sends the browser on (S7).
/// Missing from the public document; Compat: clerk/javascript
/// packages/clerk-js/src/core/resources/Client.ts buildTouchUrl
#[utoipa::path(
    get, path = "/v1/client/touch",
    params(api::RedirectQuery),
    responses((status = 307, description = "On to `redirect_url`")),
    extensions(("x-error-codes" = json!(["form_param_missing", "redirect_url_invalid"]))),
)]
pub async fn touch_client(browser: Browser, params: Params) -> ApiResult<Response> {
    let target = params.rejoined("redirect_url")?;
    let target = origin::redirect_target(&browser.app, &browser.request.settings, &target)
        .ok_or_else(redirect_refused)?;
    let shown = sessions::read_client(&browser.app, &browser.request).await?;
    redirect(&target, browser.cookies(&browser.app, &shown))
}

/// The refusal of a redirect target, which is never followed.
pub fn redirect_refused() -> ApiError {
    ApiError::param(ErrorCode::RedirectUrlInvalid, "redirect_url").why(
        "The address is not one that this instance may send people to. Add its origin to allowed_origins.",
    )
}
