//! Conversions of a client.

use sojourn_api as api;
use sojourn_core::{client::ClientWithSessions, cookie::Cookie, time::Timestamp};

use super::millis;

/// The client in the Frontend API. `sessions` are its signed-in sessions; the SDK selects the first
/// one if none is active.
pub fn frontend_client(
    cookie_expires_at: Timestamp,
    browser: &ClientWithSessions,
    sessions: Vec<api::BrowserSession>,
    sign_in: Option<api::SignIn>,
    sign_up: Option<api::SignUp>,
) -> api::BrowserClient {
    let client = &browser.client;
    api::BrowserClient {
        object: api::Kind::default(),
        id: client.id.to_string(),
        sessions,
        sign_in,
        sign_up,
        last_active_session_id: browser.active_session().map(|session| session.id.to_string()),
        last_authentication_strategy: client.last_authentication_strategy.clone(),
        cookie_expires_at: millis(cookie_expires_at),
        captcha_bypass: false,
        created_at: millis(client.created_at),
        updated_at: millis(client.updated_at),
    }
}

/// The client in the Backend API.
pub fn backend_client(browser: &ClientWithSessions, sessions: Vec<api::Session>) -> api::Client {
    let client = &browser.client;
    api::Client {
        object: api::Kind::default(),
        id: client.id.to_string(),
        session_ids: browser.sessions.iter().map(|session| session.id.to_string()).collect(),
        sessions,
        sign_in_id: client.sign_in_id.map(|id| id.to_string()),
        sign_up_id: client.sign_up_id.map(|id| id.to_string()),
        last_active_session_id: browser.active_session().map(|session| session.id.to_string()),
        last_authentication_strategy: client.last_authentication_strategy.clone(),
        created_at: millis(client.created_at),
        updated_at: millis(client.updated_at),
    }
}

/// `Set-Cookie` values.
///
/// # Panics
/// Never: cookies contain only letters, digits and a few punctuation characters.
pub fn set_cookies(cookies: &[Cookie]) -> Vec<axum::http::HeaderValue> {
    cookies.iter().map(|cookie| cookie.to_string().try_into().expect("cookies are plain ASCII")).collect()
}
