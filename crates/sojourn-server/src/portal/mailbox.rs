//! Access to the development mailbox: a browser that opens a one-time link printed by the server
//! gets a cookie (D3).

use std::sync::Mutex;

use axum::http::{HeaderMap, HeaderValue};
use sojourn_core::id::Randomness;
use sojourn_service::keys::{random_secret, sha256};

use crate::auth::browser::cookie_values;

/// The maximum number of unused links.
const MOST_LINKS: usize = 20;

/// The unused links, and the cookie that they grant. Both end with the process: a restart prints a
/// new link.
pub struct MailboxAccess {
    name: String,
    cookie: String,
    links: Mutex<Vec<[u8; 32]>>,
}

impl std::fmt::Debug for MailboxAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MailboxAccess(***)")
    }
}

impl MailboxAccess {
    /// Access by a cookie with this value. The name of the cookie has the instance's suffix,
    /// because cookies ignore ports and projects on one machine would overwrite each other's
    /// cookie.
    pub fn new(cookie: String, suffix: &str) -> Self {
        Self { name: format!("sojourn_mailbox_{suffix}"), cookie, links: Mutex::new(Vec::new()) }
    }

    /// Creates a one-time key for the mailbox.
    pub fn new_link(&self, random: &mut dyn Randomness) -> String {
        let key = random_secret(random);
        let mut links = self.links.lock().expect("nobody panics with the links");
        if links.len() == MOST_LINKS {
            links.remove(0);
        }
        links.push(sha256(key.as_bytes()));
        key
    }

    /// The `Set-Cookie` value for the first request with a key.
    pub fn redeem(&self, key: &str) -> Option<HeaderValue> {
        let mut links = self.links.lock().expect("nobody panics with the links");
        let at = links.iter().position(|link| *link == sha256(key.as_bytes()))?;
        links.remove(at);
        let line =
            format!("{}={}; Path=/mailbox; HttpOnly; SameSite=Strict; Max-Age=86400", self.name, self.cookie);
        Some(line.try_into().expect("a secret is plain ASCII"))
    }

    /// Whether one of the browser's cookies is valid. The hashes are compared, so the duration
    /// reveals nothing about the value.
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        let right = sha256(self.cookie.as_bytes());
        cookie_values(headers, &self.name).iter().any(|value| sha256(value.as_bytes()) == right)
    }
}
