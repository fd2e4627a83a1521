//! Who may see the development mailbox: whoever opened a one-time link that
//! the server printed, and from then on their browser (D3).

use std::sync::Mutex;

use axum::http::{HeaderMap, HeaderValue};
use sojourn_core::id::Randomness;
use sojourn_service::keys::{random_secret, sha256};

use crate::auth::browser::cookie_values;

/// Links that can still be opened; at most so many at a time.
const MOST_LINKS: usize = 20;

/// The links that are out and the cookie that they lead to. Both end with the
/// process: a restart prints a new link.
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
    /// Access by a cookie with this value. Its name carries the instance's
    /// suffix, because cookies ignore ports and projects on one laptop would
    /// lock each other out.
    pub fn new(cookie: String, suffix: &str) -> Self {
        Self { name: format!("sojourn_mailbox_{suffix}"), cookie, links: Mutex::new(Vec::new()) }
    }

    /// A key that opens the mailbox once.
    pub fn new_link(&self, random: &mut dyn Randomness) -> String {
        let key = random_secret(random);
        let mut links = self.links.lock().expect("nobody panics with the links");
        if links.len() == MOST_LINKS {
            links.remove(0);
        }
        links.push(sha256(key.as_bytes()));
        key
    }

    /// The `Set-Cookie` value for who opens a link the first time.
    pub fn redeem(&self, key: &str) -> Option<HeaderValue> {
        let mut links = self.links.lock().expect("nobody panics with the links");
        let at = links.iter().position(|link| *link == sha256(key.as_bytes()))?;
        links.remove(at);
        let line =
            format!("{}={}; Path=/mailbox; HttpOnly; SameSite=Strict; Max-Age=86400", self.name, self.cookie);
        Some(line.try_into().expect("a secret is plain ASCII"))
    }

    /// Whether one of the browser's cookies is the right one; compared by hash,
    /// so that time tells nothing.
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        let right = sha256(self.cookie.as_bytes());
        cookie_values(headers, &self.name).iter().any(|value| sha256(value.as_bytes()) == right)
    }
}
