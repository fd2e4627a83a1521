//! The client cookie: who a browser says it is.

use std::time::Duration;

use sojourn_core::{
    client::SecretHash,
    id::ClientId,
    lifetime::BROWSER_LIMIT,
    time::{Timestamp, days},
};

use crate::{
    browser::RequestContext,
    instance::Service,
    keys::{random_secret, sha256},
};

/// What the client cookie says: a client id, a secret, and how long the browser keeps it.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The browser it claims to be.
    pub client_id: ClientId,
    secret: String,
    /// When the browser drops it. Nobody but the browser itself can be misled by it.
    pub expires_at: Timestamp,
}

/// A cookie is given out again only if the browser keeps it so much longer then: an
/// answer that is late must not put an older secret back, and a `fetch` must not
/// shorten what a navigation gave to WebKit.
const RENEWED_FOR: Duration = days(1);

impl Credential {
    pub(crate) fn new(client_id: ClientId, service: &Service, request: &RequestContext) -> Self {
        let expires_at = request.at.wall + request.cookie_kept_for;
        Self { client_id, secret: random_secret(&mut service.random()), expires_at }
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

    /// The value of the cookie.
    pub fn text(&self) -> String {
        format!("{}.{}.{}", self.client_id, self.secret, (self.expires_at - BROWSER_LIMIT).as_secs())
    }

    /// The same secret, kept for longer, if it is time.
    pub(crate) fn renewed(&self, request: &RequestContext) -> Option<Self> {
        let (wall, expires_at) = (request.at.wall, request.at.wall + request.cookie_kept_for);
        // An end that no browser allows is of a clock that was set back since.
        let is_due = expires_at.since(self.expires_at) >= RENEWED_FOR
            || self.expires_at.since(wall + BROWSER_LIMIT) >= RENEWED_FOR;
        is_due.then(|| Self { expires_at, ..self.clone() })
    }

    /// What is stored of the secret.
    pub fn hash(&self) -> SecretHash {
        SecretHash(sha256(self.secret.as_bytes()))
    }
}
