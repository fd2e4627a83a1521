//! A browser on the wire.

use serde_json::{Value, json};
use sojourn_core::{client::ClientWithSessions, cookie::Cookie, time::Timestamp};

/// The client object that browsers get; `sessions` are its signed-in sessions
/// as [`super::session::frontend_session`] shows them, the first one being the
/// one that is chosen when none is named.
#[expect(clippy::needless_pass_by_value, reason = "json! hides that the values move into the document")]
pub fn frontend_client(
    cookie_expires_at: Timestamp,
    browser: &ClientWithSessions,
    sessions: Vec<Value>,
    sign_in: Value,
    sign_up: Value,
) -> Value {
    let client = &browser.client;
    json!({
        "object": "client",
        "id": client.id,
        "sessions": sessions,
        "sign_in": sign_in,
        "sign_up": sign_up,
        "last_active_session_id": browser.active_session().map(|session| session.id),
        "last_authentication_strategy": client.last_authentication_strategy,
        "cookie_expires_at": cookie_expires_at,
        "captcha_bypass": false,
        "created_at": client.created_at,
        "updated_at": client.updated_at,
    })
}

/// The client object that application servers get.
#[expect(clippy::needless_pass_by_value, reason = "json! hides that the values move into the document")]
pub fn backend_client(browser: &ClientWithSessions, sessions: Vec<Value>) -> Value {
    let client = &browser.client;
    json!({
        "object": "client",
        "id": client.id,
        "session_ids": browser.sessions.iter().map(|session| session.id).collect::<Vec<_>>(),
        "sessions": sessions,
        "sign_in_id": client.sign_in_id,
        "sign_up_id": client.sign_up_id,
        "last_active_session_id": browser.active_session().map(|session| session.id),
        "last_authentication_strategy": client.last_authentication_strategy,
        "created_at": client.created_at,
        "updated_at": client.updated_at,
    })
}

/// `Set-Cookie` values.
///
/// # Panics
/// Never: cookies are made of letters, digits and a few marks.
pub fn set_cookies(cookies: &[Cookie]) -> Vec<axum::http::HeaderValue> {
    cookies.iter().map(|cookie| cookie.to_string().try_into().expect("cookies are plain ASCII")).collect()
}
