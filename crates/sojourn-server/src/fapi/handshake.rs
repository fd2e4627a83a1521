//! The handshake: an application's server sends a browser here whose token is
//! stale or missing, and gets it back with a nonce to redeem.

use axum::response::Response;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sojourn_api as api;
use sojourn_core::{
    cookie::{Cookie, HANDSHAKE_NONCE},
    handshake::NONCE_LIFETIME,
    id::SessionId,
};
use sojourn_service::sessions::{Handshaken, start_handshake};
use url::Url;

use super::{
    answer::{Browser, redirect},
    client::redirect_refused,
};
use crate::{
    app::App,
    auth::{host, origin},
    wire::{ApiError, ApiResult, ErrorCode, Params, client::set_cookies},
};

/// Sends the browser back to `redirect_url` with a nonce in a cookie. The nonce
/// stands for *who*; the token is minted when it is redeemed. Counts as
/// activity (S3), and always in the nonce form (COK-08).
/// Compat: clerk/javascript packages/backend/src/tokens/handshake.ts
#[utoipa::path(
    get, path = "/v1/client/handshake",
    params(api::HandshakeQuery),
    responses((status = 307, description = "Back to `redirect_url`")),
    extensions(("x-error-codes" = json!([
        "form_param_missing", "handshake_cookies_not_shared", "redirect_url_invalid",
    ]))),
)]
pub async fn perform_handshake(browser: Browser, params: Params) -> ApiResult<Response> {
    let app = &browser.app;
    let target = params.rejoined("redirect_url")?;
    let target = origin::redirect_target(&browser.app, &browser.request.settings, &target)
        .ok_or_else(redirect_refused)?;
    refuse_unshared_cookies(&browser.app, &browser.public_url, &target)?;
    let hint = params.text("__session").ok().flatten().and_then(|token| hinted_session(&token));
    let origin = target.origin().ascii_serialization();
    let Handshaken { shown, nonce } = start_handshake(app, &browser.request, hint, &origin).await?;
    let secure = target.scheme() == "https";
    let carrier = Cookie::lasting(HANDSHAKE_NONCE, nonce, secure)
        .for_at_most(NONCE_LIFETIME)
        .on_domain(host::shared_domain(app, target.host_str().unwrap_or("")));
    let mut cookies = set_cookies(&[carrier]);
    cookies.extend(browser.cookies(app, &shown));
    redirect(&target, cookies)
}

fn hinted_session(token: &str) -> Option<SessionId> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    claims["sid"].as_str()?.parse().ok()
}

/// The answer travels in a cookie, so both hosts have to share cookies. Where
/// they do not, the browser would go in circles: say so instead (D2).
fn refuse_unshared_cookies(app: &App, own: &Url, target: &Url) -> ApiResult<()> {
    let (own, theirs) = (own.host_str().unwrap_or(""), target.host_str().unwrap_or(""));
    if host::shares_cookies(app, own, theirs) {
        return Ok(());
    }
    let next = match app.is_development() {
        true => "Open both under one host name, on a laptop http://localhost with two ports.",
        false => {
            "Put both below one domain that is yours, such as clerk.example.com and app.example.com, or let the application pass /__clerk on."
        }
    };
    Err(ApiError::new(ErrorCode::HandshakeCannotReturn).why(format!(
        "The application runs on {theirs} and this server on {own}; a browser shares no cookie between the two, so nobody could be signed in. {next}"
    )))
}
