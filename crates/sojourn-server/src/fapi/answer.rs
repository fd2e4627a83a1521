//! Answers to browsers: the envelope, the client that comes along, the cookies.

use std::ops::Deref;

use axum::{
    Json,
    extract::FromRequestParts,
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use sojourn_api as api;
use sojourn_core::{id::UserId, session::Session, user::User};
use sojourn_service::{Failure, Shown, tokens::issue_token};
use url::Url;

use crate::{
    app::App,
    auth::BrowserCredentials,
    wire::{self, ApiError, ApiResult, user::Audience},
};

/// A browser that asks, and the way back to it.
#[derive(Debug)]
pub struct Browser {
    pub app: App,
    credentials: BrowserCredentials,
}

impl FromRequestParts<App> for Browser {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> ApiResult<Self> {
        let credentials = BrowserCredentials::from_request_parts(parts, app).await?;
        Ok(Self { app: app.clone(), credentials })
    }
}

impl Deref for Browser {
    type Target = BrowserCredentials;

    fn deref(&self) -> &BrowserCredentials {
        &self.credentials
    }
}

impl Browser {
    /// What the use case found, for this browser.
    pub const fn view<'a>(&'a self, shown: &'a Shown) -> View<'a> {
        View { app: &self.app, parts: &self.credentials, shown }
    }

    /// What a use case found.
    ///
    /// # Errors
    /// What it refused, with the client as it is now and its cookies where the
    /// refusal shows them: the browser signs the tab out without asking again.
    pub fn found<T, R: Into<ApiError>>(&self, result: Result<T, Failure<R>>) -> ApiResult<T> {
        result.map_err(|failure| match failure {
            Failure::Storage(error) => error.into(),
            Failure::Refused(reason, None) => reason.into(),
            Failure::Refused(reason, Some(shown)) => {
                let view = self.view(&shown);
                reason.into().with_client(view.client(), view.cookies())
            }
        })
    }
}

/// A browser as it is shown to itself.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    app: &'a App,
    parts: &'a BrowserCredentials,
    shown: &'a Shown,
}

impl<'a> View<'a> {
    fn user(&self, id: UserId) -> Option<&'a User> {
        let new = self.shown.user.as_ref().filter(|user| user.id == id);
        new.or_else(|| self.shown.caller.user(id))
    }

    /// A session with its user, and a fresh token while it is open.
    pub fn session(&self, session: &Session) -> api::BrowserSession {
        let request = &self.shown.caller.request;
        let user = self.user(session.user_id);
        let token = issue_token(self.app, request, session, user).ok();
        wire::session::frontend_session(request.now(), &request.policy, session, user, token.as_deref())
    }

    /// The account by whose session the browser asks.
    pub fn account(&self, user: &User) -> api::User {
        let sessions = self.shown.browser.iter().flat_map(|browser| &browser.sessions);
        let active = sessions.filter(|session| session.user_id == user.id);
        let last_active_at = active.map(|session| session.last_active_at).max().or(user.last_sign_in_at);
        wire::user::user(user, last_active_at, self.shown.caller.request.now(), Audience::Browser)
    }

    /// The client object, where there is a client.
    pub fn client(&self) -> Option<api::BrowserClient> {
        let browser = self.shown.browser.as_ref()?;
        let request = &self.shown.caller.request;
        let now = request.now();
        let sessions = browser.sessions.iter().map(|session| self.session(session)).collect();
        let sign_in = self.shown.sign_in.as_ref().map(|sign_in| {
            wire::sign_in::sign_in(now, sign_in, sign_in.user_id.and_then(|id| self.user(id)))
        });
        let verify_email = request.settings.instance.verifies_at_sign_up();
        let sign_up =
            self.shown.sign_up.as_ref().map(|sign_up| wire::sign_up::sign_up(now, sign_up, verify_email));
        let expires_at = self.shown.caller.cookie_expires_at();
        Some(wire::client::frontend_client(expires_at, browser, sessions, sign_in, sign_up))
    }

    /// `Set-Cookie` values for this browser.
    pub fn cookies(&self) -> Vec<HeaderValue> {
        self.parts.cookies(self.app, self.shown)
    }

    /// The answer to a change: `{"response": …, "client": …}`.
    pub fn changed(&self, response: &impl Serialize) -> Response {
        self.answer(&api::WithClient { response, client: self.client() })
    }

    /// The answer to a question: `{"response": …, "client": null}`.
    pub fn read(&self, response: &impl Serialize) -> Response {
        self.answer(&api::WithClient { response, client: None })
    }

    /// An answer without envelope.
    pub fn answer(&self, body: &impl Serialize) -> Response {
        let mut response = Json(body).into_response();
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for cookie in self.cookies() {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }
}

/// Sends a browser on, with cookies.
///
/// # Errors
/// The address is none that a header can carry.
pub fn redirect(target: &Url, cookies: Vec<HeaderValue>) -> ApiResult<Response> {
    let location = HeaderValue::try_from(target.as_str()).map_err(ApiError::internal)?;
    let mut response = (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}
