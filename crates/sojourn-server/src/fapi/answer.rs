//! Answers to browsers: the envelope, the client that comes along, the cookies.

use axum::{
    Json,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use sojourn_core::{
    claims::time_left,
    client::{ClientStep, ClientWithSessions},
    id::SessionId,
    session::Session,
    sign_in::SignIn,
    sign_up::SignUp,
    user::User,
};
use sojourn_service::tokens::issue_token;
use sojourn_store::Engine as _;

use crate::{
    app::{App, AttemptError},
    auth::{BrowserContext, browser::signed_out},
    wire::{self, ApiError},
};

/// A browser as it is shown to itself.
#[derive(Clone, Debug)]
pub struct View<'a> {
    app: &'a App,
    caller: &'a BrowserContext,
    browser: Option<ClientWithSessions>,
    newcomer: Option<&'a User>,
    sign_in: Option<&'a SignIn>,
    sign_up: Option<&'a SignUp>,
}

impl<'a> View<'a> {
    /// The browser after a decision: without_overdue, so that all its sessions are open.
    /// A session in its last second is not shown any more, because there is no
    /// token for it: the browser would ask for one again and again.
    pub fn new(app: &'a App, caller: &'a BrowserContext, browser: &ClientWithSessions) -> Self {
        let now = caller.visit.now();
        let sign_in = caller
            .sign_in()
            .filter(|sign_in| sign_in.is_open(now) && browser.client.sign_in_id == Some(sign_in.id));
        let sign_up = caller
            .sign_up()
            .filter(|sign_up| browser.client.sign_up_id == Some(sign_up.id) && now < sign_up.abandon_at());
        let mut browser = browser.clone();
        browser.sessions.retain(|session| time_left(now, &caller.visit.policy, session).is_some());
        Self { app, caller, browser: Some(browser), newcomer: None, sign_in, sign_up }
    }

    /// A browser that is not known.
    pub const fn nobody(app: &'a App, caller: &'a BrowserContext) -> Self {
        Self { app, caller, browser: None, newcomer: None, sign_in: None, sign_up: None }
    }

    /// With a user whose session was not there when the browser was loaded.
    #[must_use]
    pub const fn with_user(mut self, user: &'a User) -> Self {
        self.newcomer = Some(user);
        self
    }

    /// With the unfinished attempt to sign in.
    #[must_use]
    pub const fn with_sign_in(mut self, sign_in: &'a SignIn) -> Self {
        self.sign_in = Some(sign_in);
        self
    }

    /// With the unfinished attempt to sign up.
    #[must_use]
    pub const fn with_sign_up(mut self, sign_up: &'a SignUp) -> Self {
        self.sign_up = Some(sign_up);
        self
    }

    fn user_of(&self, session: &Session) -> Option<&'a User> {
        self.newcomer.filter(|user| user.id == session.user_id).or_else(|| self.caller.user_of(session))
    }

    /// A session with its user, and a fresh token while it is open.
    pub fn session(&self, session: &Session) -> Value {
        let visit = &self.caller.visit;
        let user = self.user_of(session);
        let token = issue_token(self.app, visit, session, user).ok();
        wire::session::frontend_session(visit.now(), &visit.policy, session, user, token.as_deref())
    }

    /// The client object, or null.
    pub fn client(&self) -> Value {
        let Some(browser) = &self.browser else { return Value::Null };
        let visit = &self.caller.visit;
        let now = visit.now();
        let sessions = browser.sessions.iter().map(|session| self.session(session)).collect();
        let known = |id| {
            self.newcomer
                .filter(|user| Some(user.id) == id)
                .or_else(|| self.caller.record().and_then(|record| id.and_then(|id| record.user(id))))
        };
        let sign_in = self
            .sign_in
            .map_or(Value::Null, |sign_in| wire::sign_in::sign_in(now, sign_in, known(sign_in.user_id)));
        let verify_email = visit.settings.instance.verifies_at_sign_up();
        let sign_up =
            self.sign_up.map_or(Value::Null, |sign_up| wire::sign_up::sign_up(now, sign_up, verify_email));
        wire::client::frontend_client(self.caller.cookie_expires_at(), browser, sessions, sign_in, sign_up)
    }

    /// `Set-Cookie` values for this browser.
    pub fn cookies(&self) -> Vec<HeaderValue> {
        self.caller.cookies(self.app, self.browser.as_ref())
    }

    /// The answer to a change: `{"response": …, "client": …}`.
    pub fn changed(&self, response: &Value) -> Response {
        self.answer(&json!({"response": response, "client": self.client()}))
    }

    /// The answer to a question: `{"response": …, "client": null}`.
    pub fn read(&self, response: &Value) -> Response {
        self.answer(&json!({"response": response, "client": null}))
    }

    /// An answer without envelope.
    pub fn answer(&self, body: &Value) -> Response {
        let mut response = Json(body).into_response();
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for cookie in self.cookies() {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }

    /// `error`, with the client as it is now and its cookies: the browser
    /// signs the tab out without asking again.
    pub fn refuse(&self, error: ApiError) -> ApiError {
        error.with_client(self.client(), self.cookies())
    }
}

/// Commits the ends that `step` found, then refuses with the client as it is.
///
/// # Errors
/// Always: a conflict, or the refusal.
pub async fn refuse_gone<T>(
    app: &App,
    caller: &BrowserContext,
    step: &ClientStep,
) -> Result<T, AttemptError> {
    caller.commit_step(app, step).await?;
    Err(View::new(app, caller, &step.browser).refuse(signed_out()).into())
}

/// Refuses a request about a session that this browser does not hold open, with
/// the client as it is. If the browser held it once, the refusal says how it
/// ended; foreign and unknown ones are refused alike.
///
/// # Errors
/// Always: a conflict, or the refusal.
pub async fn refuse_session<T>(app: &App, caller: &BrowserContext, id: SessionId) -> Result<T, AttemptError> {
    let Some(step) = caller.close_overdue() else { return refuse_caller(app, caller).await };
    caller.commit_step(app, &step).await?;
    let session = app.store().session(app.instance_id(), id).await?.filter(|session| caller.held(session));
    let ended = session.and_then(|session| Some(wire::session_end::notice(&session, &session.closed?)));
    let refusal = match ended {
        Some(notice) => signed_out().with_session_end(notice),
        None => signed_out(),
    };
    Err(View::new(app, caller, &step.browser).refuse(refusal).into())
}

/// Refuses a request that is not a known browser's, or that left before a rotation.
///
/// # Errors
/// Always: a conflict, or the refusal.
pub async fn refuse_caller<T>(app: &App, caller: &BrowserContext) -> Result<T, AttemptError> {
    match caller.close_overdue() {
        Some(step) => refuse_gone(app, caller, &step).await,
        None => Err(View::nobody(app, caller).refuse(signed_out()).into()),
    }
}
