//! The browser behind a Frontend API request: its client cookie, what the
//! store knows of it, and the cookies and client object of the answer.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, Method, header, request::Parts},
};
use sojourn_core::{
    client::{Client, ClientStep, ClientWithSessions, Identity, SecretHash, close_overdue},
    cookie::{CLIENT_UAT, Cookie},
    id::ClientId,
    lifetime::BROWSER_LIMIT,
    session::Session,
    sign_in::SignIn,
    sign_up::SignUp,
    time::{Timestamp, days},
    user::User,
};
use sojourn_service::keys::{random_secret, sha256};
use sojourn_store::{ClientRecord, Engine as _};

use super::{RequestContext, host::shared_domain};
use crate::{
    app::{App, AttemptError},
    wire::{ApiError, ApiResult, ErrorCode},
};

/// What the client cookie says: a client id, a secret, and how long the browser keeps it.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The browser it claims to be.
    pub client_id: ClientId,
    secret: String,
    /// When the browser drops it. Nobody but the browser itself can be misled by it.
    expires_at: Timestamp,
}

/// A cookie is given out again only if the browser keeps it so much longer then: an
/// answer that is late must not put an older secret back, and a `fetch` must not
/// shorten what a navigation gave to WebKit.
const RENEWED_FOR: Duration = days(1);

impl Credential {
    fn new(client_id: ClientId, app: &App, visit: &RequestContext) -> Self {
        let expires_at = visit.at.wall + visit.cookie_kept_for;
        Self { client_id, secret: random_secret(&mut app.random()), expires_at }
    }

    /// `<client id>.<secret>.<seconds>`: letters, digits, `-`, `_` and dots. The seconds
    /// are 400 days before the end: the date of the cookie where the browser cuts nothing.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (id, secret, issued_at) = (parts.next()?, parts.next()?, parts.next()?);
        let is_plain =
            secret.len() == 43 && secret.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        let is_number = issued_at.len() <= 12 && issued_at.bytes().all(|b| b.is_ascii_digit());
        (is_plain && is_number && parts.next().is_none()).then_some(())?;
        Some(Self {
            client_id: id.parse().ok()?,
            secret: secret.to_owned(),
            expires_at: Timestamp::from_secs(issued_at.parse().ok()?) + BROWSER_LIMIT,
        })
    }

    fn text(&self) -> String {
        format!("{}.{}.{}", self.client_id, self.secret, (self.expires_at - BROWSER_LIMIT).as_secs())
    }

    /// What is stored of the secret.
    pub fn hash(&self) -> SecretHash {
        SecretHash(sha256(self.secret.as_bytes()))
    }

    /// The same secret, kept for longer, if it is time.
    fn renewed(&self, visit: &RequestContext) -> Option<Self> {
        let (wall, expires_at) = (visit.at.wall, visit.at.wall + visit.cookie_kept_for);
        // An end that no browser allows is of a clock that was set back since.
        let is_due = expires_at.since(self.expires_at) >= RENEWED_FOR
            || self.expires_at.since(wall + BROWSER_LIMIT) >= RENEWED_FOR;
        is_due.then(|| Self { expires_at, ..self.clone() })
    }
}

/// The parts of a request that tell who the browser is; load again on a conflict.
#[derive(Clone, Debug)]
pub struct BrowserCredentials {
    /// The request itself.
    pub visit: RequestContext,
    credential: Option<Credential>,
    /// Whether a client cookie came, usable or not.
    presented: bool,
    /// What the browser says of `__client_uat`, plain and suffixed.
    uat: [Option<String>; 2],
}

impl FromRequestParts<App> for BrowserCredentials {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> ApiResult<Self> {
        let visit = RequestContext::from_request_parts(parts, app).await?;
        let values = cookie_values(&parts.headers, &app.cookie_names().client);
        let is_safe = matches!(parts.method, Method::GET | Method::HEAD);
        // Everything here is a simple form post, so CORS does not stop foreign
        // pages from sending it: the origin has to be named (D13).
        if !is_safe && !values.is_empty() && !parts.headers.contains_key(header::ORIGIN) {
            return Err(ApiError::new(ErrorCode::OriginMissing)
                .why("A request that changes something has to carry an Origin header. Browsers send it by themselves."));
        }
        // Two cookies of one name and different values: somebody put one there (COK-02).
        let same = values.windows(2).all(|pair| pair[0] == pair[1]);
        let credential = values.first().filter(|_| same).and_then(|value| Credential::parse(value));
        let one = |name: String| match cookie_values(&parts.headers, &name).as_slice() {
            [value] => Some((*value).to_owned()),
            _ => None,
        };
        let uat = app.cookie_names().both(CLIENT_UAT).map(one);
        Ok(Self { visit, credential, presented: !values.is_empty(), uat })
    }
}

/// The values of a cookie, in the order they came. Pairs are read one by one:
/// on a laptop all applications share one jar, and what another one put there
/// must not hide ours.
pub fn cookie_values<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    let lines = headers.get_all(header::COOKIE).into_iter().map(HeaderValue::as_bytes);
    lines
        .flat_map(|line| line.split(|byte| *byte == b';'))
        .filter_map(|pair| std::str::from_utf8(pair).ok()?.trim().split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value)
        .collect()
}

impl BrowserCredentials {
    /// Loads the browser as it is now.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn load(&self, app: &App) -> ApiResult<BrowserContext> {
        let record = match &self.credential {
            Some(credential) => app.store().browser(app.instance_id(), credential.client_id).await?,
            None => None,
        };
        let identity = match (&record, &self.credential) {
            (Some(record), Some(credential)) => {
                record.browser.client.identify(self.visit.now(), &credential.hash())
            }
            _ => Identity::Stranger,
        };
        let mut visit = self.visit.clone();
        let mut record =
            record.filter(|_| matches!(identity, Identity::Current { .. } | Identity::Predecessor { .. }));
        if record.is_none() {
            // Settings that changed since the request came are judged anew, too.
            (visit.settings, visit.policy) = app.store().settings(app.instance_id()).await?;
        }
        if let Some(record) = &mut record {
            // One moment for everything: the settings that came with the browser.
            visit.settings.clone_from(&record.settings);
            visit.policy.clone_from(&record.policy);
            if let Identity::Predecessor { admitted_before } = identity {
                record.browser.sessions.retain(|session| session.created_at < admitted_before);
                record.sign_in = None;
                record.sign_up = None;
            }
            // Whom an attempt is for: its page needs the ways in after a reload.
            let attempted = record.sign_in.as_ref().and_then(|sign_in| sign_in.user_id);
            if let Some(id) = attempted.filter(|id| record.user(*id).is_none()) {
                record.users.extend(app.store().user(app.instance_id(), id).await?.map(Arc::new));
            }
        }
        Ok(BrowserContext {
            visit,
            identity,
            record,
            credential: self.credential.clone(),
            presented: self.presented,
            uat: self.uat.clone(),
            issued: None,
        })
    }
}

/// A browser that was loaded: what is known of it, and what it may do.
#[derive(Clone, Debug)]
pub struct BrowserContext {
    /// The request.
    pub visit: RequestContext,
    /// Who it is.
    pub identity: Identity,
    record: Option<ClientRecord>,
    credential: Option<Credential>,
    presented: bool,
    uat: [Option<String>; 2],
    issued: Option<Credential>,
}

impl BrowserContext {
    /// What is stored of the browser, if it is known and may see it.
    pub fn record(&self) -> Option<&ClientRecord> {
        self.record.as_ref()
    }

    /// The browser with what is over closed; `None` when it is not known.
    pub fn close_overdue(&self) -> Option<ClientStep> {
        self.record.as_ref().map(|record| close_overdue(self.visit.at, &self.visit.policy, &record.browser))
    }

    /// The browser, for a change. Requests that left before a rotation may only
    /// read and refresh.
    ///
    /// # Errors
    /// `authentication_invalid` for strangers and predecessors.
    pub fn browser(&self) -> ApiResult<&ClientWithSessions> {
        match (&self.record, self.identity) {
            (Some(record), Identity::Current { .. }) => Ok(&record.browser),
            _ => Err(signed_out()),
        }
    }

    /// The browser, or a new one that is written with the change.
    ///
    /// # Errors
    /// `authentication_invalid` for a request that left before a rotation: a
    /// second browser would be made beside the one it belongs to, with a second
    /// session in single-session mode (SES-14).
    pub fn browser_or_new(&mut self, app: &App) -> ApiResult<ClientWithSessions> {
        match self.identity {
            Identity::Current { .. } => return self.browser().cloned(),
            Identity::Predecessor { .. } | Identity::Superseded => return Err(signed_out()),
            // Who never got the answer that rotated the secret begins anew.
            Identity::Retired | Identity::Stranger => {}
        }
        let client_id = ClientId::generate(self.visit.now(), &mut app.random());
        let credential = Credential::new(client_id, app, &self.visit);
        let client = Client::new(client_id, credential.hash(), self.visit.at);
        self.issued = Some(credential);
        self.record = None;
        self.identity = Identity::Current { confirms_rotation: false };
        Ok(ClientWithSessions { client, sessions: Vec::new() })
    }

    /// Whether the cookie was the browser's until a rotation: what it asks to
    /// end must not be answered as done, because nothing ended (D10).
    pub const fn holds_an_old_secret(&self) -> bool {
        matches!(self.identity, Identity::Predecessor { .. } | Identity::Superseded | Identity::Retired)
    }

    /// Whether a session is or was this browser's, as far as the caller may know.
    pub fn held(&self, session: &Session) -> bool {
        let ours = self.record.as_ref().is_some_and(|record| record.browser.client.id == session.client_id);
        match self.identity {
            Identity::Current { .. } => ours,
            Identity::Predecessor { admitted_before } => ours && session.created_at < admitted_before,
            Identity::Superseded | Identity::Retired | Identity::Stranger => false,
        }
    }

    /// A fresh secret for a rotation of `client_id`; the answer carries it.
    pub fn rotate(&mut self, app: &App, client_id: ClientId) -> SecretHash {
        let credential = Credential::new(client_id, app, &self.visit);
        let hash = credential.hash();
        self.issued = Some(credential);
        hash
    }

    /// Forgets the browser: the answer removes its cookies.
    pub fn forget(&mut self) {
        self.record = None;
        self.credential = None;
        self.issued = None;
        self.identity = Identity::Stranger;
        self.presented = true;
    }

    /// Notes what every visit notes, in the same commit as its change: that
    /// the new secret was seen, and where the browser calls from.
    pub fn note_visit(&self, step: &mut ClientStep) {
        let now = self.visit.now();
        if self.identity == (Identity::Current { confirms_rotation: true }) && self.issued.is_none() {
            step.browser.client.retire_predecessor(now);
            step.client_changed = true;
        }
        let is_current = matches!(self.identity, Identity::Current { .. });
        let application = self.visit.origin.as_ref().filter(|origin| **origin != self.visit.own_origin);
        if is_current && application.is_some() && step.browser.client.last_origin.as_ref() != application {
            step.browser.client.last_origin = application.cloned();
            step.client_changed = true;
        }
    }

    /// The `Set-Cookie` values of the answer: a new client secret, or the same
    /// one renewed once a day (S7), and `__client_uat` where the browser's is
    /// not true. What the browser holds rightly is not sent again, because an
    /// answer that comes late would put it back in the place of something newer.
    pub fn cookies(&self, app: &App, browser: Option<&ClientWithSessions>) -> Vec<HeaderValue> {
        let secure = self.visit.is_secure();
        let names = app.cookie_names();
        let domain = shared_domain(app, self.visit.public_url.host_str().unwrap_or(""));
        let mut cookies = Vec::new();
        let uat = |uat: i64| {
            names
                .both(CLIENT_UAT)
                .map(|name| Cookie::lasting(name, uat.to_string(), secure).on_domain(domain))
        };
        let holds = |uat: i64| self.uat.iter().all(|held| *held == Some(uat.to_string()));
        match (self.identity, browser) {
            (Identity::Current { .. }, Some(browser)) => {
                let issued = self.newly_issued();
                if issued.is_some() || !holds(browser.client_uat()) {
                    cookies.extend(uat(browser.client_uat()));
                }
                // Last, because the Express proxy keeps only the last one.
                // Compat: clerk/javascript packages/express/src/authenticateRequest.ts
                cookies
                    .extend(issued.map(|credential| {
                        Cookie::lasting(&names.client, credential.text(), secure).hidden()
                    }));
            }
            (Identity::Stranger, _) if self.presented => {
                cookies.extend(uat(0));
                cookies.push(Cookie::removal(&names.client, secure).hidden());
            }
            _ => {}
        }
        crate::wire::client::set_cookies(&cookies)
    }

    fn newly_issued(&self) -> Option<Credential> {
        let renewed = || self.credential.as_ref().and_then(|credential| credential.renewed(&self.visit));
        self.issued.clone().or_else(renewed)
    }

    /// When the browser will drop the client cookie it has after this answer. A date at
    /// most 8 days away has clerk-js renew it by a navigation.
    /// Compat: clerk/javascript packages/clerk-js/src/core/resources/Client.ts
    /// isEligibleForTouch, packages/clerk-js/src/core/clerk.ts setActive
    pub fn cookie_expires_at(&self) -> Timestamp {
        let newest = self.newly_issued().or_else(|| self.credential.clone());
        newest.map_or(self.visit.at.wall + self.visit.cookie_kept_for, |credential| credential.expires_at)
    }

    /// The user of one of the browser's sessions.
    pub fn user_of(&self, session: &Session) -> Option<&User> {
        self.record.as_ref().and_then(|record| record.user(session.user_id))
    }

    /// The attempt to sign in that this browser is at.
    pub fn sign_in(&self) -> Option<&SignIn> {
        self.record.as_ref().and_then(|record| record.sign_in.as_ref())
    }

    /// The attempt to sign up that this browser is at.
    pub fn sign_up(&self) -> Option<&SignUp> {
        self.record.as_ref().and_then(|record| record.sign_up.as_ref())
    }

    /// Commits the ends that were found on the way, before a refusal is told.
    ///
    /// # Errors
    /// A conflict: load again.
    pub async fn commit_step(&self, app: &App, step: &ClientStep) -> Result<(), AttemptError> {
        Ok(app.commit(app.changes(self.visit.at).browser(step)).await?)
    }
}

/// The refusal for everyone who is not signed in as they claim.
pub fn signed_out() -> ApiError {
    ApiError::new(ErrorCode::AuthenticationInvalid)
        .why("The session is over, or it does not belong to this browser. Sign in again.")
}
