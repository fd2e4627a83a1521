//! The client cookie.

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

/// The content of the client cookie: the client id, the secret, and the expiry date of the cookie.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The claimed client id.
    pub client_id: ClientId,
    secret: String,
    /// When the browser deletes the cookie. The value is not authenticated: a browser that changes
    /// it affects only itself.
    pub expires_at: Timestamp,
}

/// The cookie is sent again only if its expiry moves by at least this long: a late response must
/// not restore an older secret, and the response to a `fetch` must not shorten the expiry that
/// WebKit granted to a navigation.
const RENEWED_FOR: Duration = days(1);

impl Credential {
    pub(crate) fn new(client_id: ClientId, service: &Service, request: &RequestContext) -> Self {
        let expires_at = request.at.wall + request.cookie_kept_for;
        Self { client_id, secret: random_secret(&mut service.random()), expires_at }
    }

    /// Parses `<client id>.<secret>.<seconds>`: letters, digits, `-`, `_` and dots. The seconds are
    /// the expiry minus 400 days, which is the issue date unless the browser shortens the cookie.
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

    /// The same secret with a later expiry, if renewal is due.
    pub(crate) fn renewed(&self, request: &RequestContext) -> Option<Self> {
        let (wall, expires_at) = (request.at.wall, request.at.wall + request.cookie_kept_for);
        // An expiry that no browser allows comes from a clock that was ahead and was set back.
        let is_due = expires_at.since(self.expires_at) >= RENEWED_FOR
            || self.expires_at.since(wall + BROWSER_LIMIT) >= RENEWED_FOR;
        is_due.then(|| Self { expires_at, ..self.clone() })
    }

    /// The stored hash of the secret.
    pub fn hash(&self) -> SecretHash {
        SecretHash(sha256(self.secret.as_bytes()))
    }
}
