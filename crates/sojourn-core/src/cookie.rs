//! Cookies with their attributes, as data. `sojourn-server` writes them to responses.

use std::{fmt, time::Duration};

use crate::lifetime::{BROWSER_LIMIT, WEBKIT_FETCH_LIMIT};

/// One `Set-Cookie` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// The full name, including the suffix.
    pub name: String,
    /// Letters, digits, `-`, `_` and `.` only: the SDKs split cookie lines at `;` and `=`.
    pub value: String,
    /// `Domain`; `None` makes a host-only cookie.
    pub domain: Option<String>,
    /// `Max-Age`. Zero removes the cookie. At most 400 days (S7).
    pub max_age: Duration,
    /// Hidden from scripts.
    pub http_only: bool,
    /// Sent over https only. Set if and only if the page uses https.
    pub secure: bool,
}

impl Cookie {
    /// A cookie with the maximum age that browsers allow (COK-03).
    pub fn lasting(name: impl Into<String>, value: impl Into<String>, secure: bool) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            domain: None,
            max_age: BROWSER_LIMIT,
            http_only: false,
            secure,
        }
    }

    /// Removes a cookie: same attributes, empty value, `Max-Age=0`.
    pub fn removal(name: impl Into<String>, secure: bool) -> Self {
        Self { max_age: Duration::ZERO, ..Self::lasting(name, "", secure) }
    }

    /// Adds `HttpOnly`.
    #[must_use]
    pub fn hidden(mut self) -> Self {
        self.http_only = true;
        self
    }

    /// Sets `Max-Age`, at most the maximum that browsers allow.
    #[must_use]
    pub fn for_at_most(mut self, max_age: Duration) -> Self {
        self.max_age = max_age.min(BROWSER_LIMIT);
        self
    }

    /// Sets `Domain`: the cookie is sent to `domain` and its subdomains.
    #[must_use]
    pub fn on_domain(mut self, domain: Option<&str>) -> Self {
        self.domain = domain.map(str::to_owned);
        self
    }
}

impl fmt::Display for Cookie {
    /// The value of a `Set-Cookie` header. Always `SameSite=Lax`, so that other sites cannot send
    /// our cookies with their requests.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}; Path=/", self.name, self.value)?;
        if let Some(domain) = &self.domain {
            write!(f, "; Domain={domain}")?;
        }
        write!(f, "; Max-Age={}", self.max_age.as_secs())?;
        if self.http_only {
            f.write_str("; HttpOnly")?;
        }
        if self.secure {
            f.write_str("; Secure")?;
        }
        f.write_str("; SameSite=Lax")
    }
}

/// How long a browser certainly keeps a cookie that a response sets (S7). `across_hosts`: the
/// response belongs to a `fetch` from a page on another host, not to a navigation.
pub fn kept_for(user_agent: &str, across_hosts: bool) -> Duration {
    if across_hosts && is_webkit(user_agent) { WEBKIT_FETCH_LIMIT } else { BROWSER_LIMIT }
}

/// Whether the engine is WebKit: Safari, and every browser on iOS. Blink's user agent also contains
/// `AppleWebKit/`, but followed by `Chrome/`.
fn is_webkit(user_agent: &str) -> bool {
    let has = |engine| user_agent.contains(engine);
    has("AppleWebKit/") && !has("Chrome/") && !has("Chromium/")
}

/// The names of an instance's cookies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieNames {
    /// The cookie with the client secret. In development it has a suffix, because cookies ignore
    /// ports: several projects on one machine would overwrite each other's cookies (D10).
    pub client: String,
    /// First 8 characters of base64url(SHA-1(publishable key)).
    /// Compat: clerk/javascript packages/shared/src/keys.ts getCookieSuffix
    pub suffix: String,
}

/// The cookie with the session token.
pub const SESSION: &str = "__session";
/// The cookie with the time of the last change of the signed-in set.
pub const CLIENT_UAT: &str = "__client_uat";
/// The cookie with the nonce of a handshake.
pub const HANDSHAKE_NONCE: &str = "__clerk_handshake_nonce";
/// The cookie with a handshake token. Sojourn only removes it.
pub const HANDSHAKE: &str = "__clerk_handshake";

impl CookieNames {
    /// The names for the suffix of a publishable key.
    pub fn new(suffix: impl Into<String>, development: bool) -> Self {
        let suffix = suffix.into();
        let client = if development { format!("__client_{suffix}") } else { "__client".to_owned() };
        Self { client, suffix }
    }

    /// The two names under which the SDKs read a cookie: plain and with the suffix. Both have the
    /// same value.
    pub fn both(&self, name: &str) -> [String; 2] {
        [name.to_owned(), format!("{name}_{}", self.suffix)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::days;

    #[test]
    fn s7_no_cookie_asks_for_more_than_400_days() {
        let cookie = Cookie::lasting("__client", "x", true).hidden().for_at_most(days(4000));
        assert_eq!(
            cookie.to_string(),
            "__client=x; Path=/; Max-Age=34560000; HttpOnly; Secure; SameSite=Lax"
        );
    }

    #[test]
    fn s7_only_webkit_cuts_cookies_of_a_fetch_across_hosts() {
        let mac = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)";
        let phone =
            "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)";
        let blink = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)";
        let webkit = [
            format!("{mac} Version/26.0 Safari/605.1.15"),
            format!("{phone} CriOS/150.0.0.0 Mobile/15E148 Safari/604.1"),
            format!("{phone} FxiOS/150.0 Mobile/15E148 Safari/605.1.15"),
        ];
        let others = [
            format!("{blink} Chrome/150.0.0.0 Safari/537.36"),
            format!("{blink} Chrome/150.0.0.0 Safari/537.36 Edg/150.0.0.0"),
            "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0".to_owned(),
            String::new(),
        ];
        for browser in &webkit {
            assert_eq!(kept_for(browser, true), days(7), "{browser}");
        }
        for (browser, across_hosts) in
            others.iter().map(|browser| (browser, true)).chain(webkit.iter().map(|browser| (browser, false)))
        {
            assert_eq!(kept_for(browser, across_hosts), days(400), "{browser}");
        }
    }

    #[test]
    fn a_removal_has_the_attributes_of_what_it_removes() {
        let cookie = Cookie::removal("__client_uat", false).on_domain(Some("example.com"));
        assert_eq!(cookie.to_string(), "__client_uat=; Path=/; Domain=example.com; Max-Age=0; SameSite=Lax");
    }

    #[test]
    fn the_client_cookie_is_suffixed_in_development_only() {
        assert_eq!(CookieNames::new("dBT-gjlv", true).client, "__client_dBT-gjlv");
        assert_eq!(CookieNames::new("dBT-gjlv", false).client, "__client");
    }
}
