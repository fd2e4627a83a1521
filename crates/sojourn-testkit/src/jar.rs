//! The cookies of one browser, with the rules of RFC 6265bis that Sojourn's cookies depend on.

use std::time::Duration;

use sojourn_core::{lifetime::BROWSER_LIMIT, time::Timestamp};
use url::Url;

/// A stored cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCookie {
    pub name: String,
    pub value: String,
    /// The host that set the cookie, or its `Domain` attribute.
    pub domain: String,
    /// Whether only this exact host gets the cookie.
    pub host_only: bool,
    pub path: String,
    /// When the cookie expires; `None` for a session cookie.
    pub expires_at: Option<Timestamp>,
    /// Sent over https or to loopback hosts only.
    pub secure: bool,
    /// Hidden from scripts.
    pub http_only: bool,
    /// `Lax`, `Strict`, `None`, or any other value in the header.
    pub same_site: Option<String>,
}

/// All cookies of one browser, by host. As in browsers, ports are ignored.
#[derive(Clone, Debug, Default)]
pub struct Jar(Vec<StoredCookie>);

impl Jar {
    /// Stores a cookie from `line`, the value of a `Set-Cookie` header, if `url` may set it.
    pub fn take(&mut self, url: &Url, line: &str, now: Timestamp) {
        let Some(cookie) = parse(url, line, now) else { return };
        self.0.retain(|old| {
            (&old.name, &old.domain, &old.path) != (&cookie.name, &cookie.domain, &cookie.path)
        });
        if cookie.expires_at.is_none_or(|at| at > now) {
            self.0.push(cookie);
        }
    }

    /// The `Cookie` header of a request to `url`. `from_page` is the page whose script sends the
    /// request; `None` means a top-level navigation.
    pub fn header(&self, url: &Url, from_page: Option<&Url>, now: Timestamp) -> Option<String> {
        let pairs: Vec<String> = self
            .sent(url, now)
            .into_iter()
            .filter(|cookie| {
                let lax_or_strict =
                    !cookie.same_site.as_deref().is_some_and(|s| s.eq_ignore_ascii_case("none"));
                !lax_or_strict || from_page.is_none_or(|page| is_same_site(page, url))
            })
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// The cookie with this name that a request to `url` would have.
    pub fn get(&self, url: &Url, name: &str, now: Timestamp) -> Option<&StoredCookie> {
        self.sent(url, now).into_iter().find(|cookie| cookie.name == name)
    }

    /// The cookies in `document.cookie` at `url`.
    pub fn seen_by_scripts(&self, url: &Url, now: Timestamp) -> Vec<(String, String)> {
        self.sent(url, now)
            .into_iter()
            .filter(|cookie| !cookie.http_only)
            .map(|cookie| (cookie.name.clone(), cookie.value.clone()))
            .collect()
    }

    /// Sets a cookie as a script or an attacker's page would.
    pub fn plant(&mut self, url: &Url, name: &str, value: &str) {
        let host = url.host_str().expect("a host");
        self.0.retain(|old| old.name != name || old.domain != host);
        self.0.push(StoredCookie {
            name: name.to_owned(),
            value: value.to_owned(),
            domain: host.to_owned(),
            host_only: true,
            path: "/".to_owned(),
            expires_at: None,
            secure: false,
            http_only: false,
            same_site: Some("Lax".to_owned()),
        });
    }

    /// Deletes all cookies, as when the user clears them (S7).
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Deletes session cookies.
    pub fn close_window(&mut self) {
        self.0.retain(|cookie| cookie.expires_at.is_some());
    }

    fn sent<'a>(&'a self, url: &Url, now: Timestamp) -> Vec<&'a StoredCookie> {
        let host = url.host_str().unwrap_or("");
        let asked = url.path();
        let trustworthy = url.scheme() == "https" || host == "localhost" || host.ends_with(".localhost");
        let goes = |cookie: &&StoredCookie| {
            let domain = cookie.domain == host
                || (!cookie.host_only && host.ends_with(&format!(".{}", cookie.domain)));
            let path = asked == cookie.path
                || url
                    .path()
                    .strip_prefix(&cookie.path)
                    .is_some_and(|rest| cookie.path.ends_with('/') || rest.starts_with('/'));
            domain && path && (!cookie.secure || trustworthy) && cookie.expires_at.is_none_or(|at| at > now)
        };
        self.0.iter().filter(goes).collect()
    }
}

/// Whether scheme and registrable domain are equal. Here a registrable domain is the last two
/// labels, or `localhost`.
fn is_same_site(page: &Url, url: &Url) -> bool {
    let site = |url: &Url| {
        let host = url.host_str().unwrap_or("").to_owned();
        let labels: Vec<&str> = host.split('.').collect();
        let from = labels.len().saturating_sub(2);
        match url.domain() {
            Some(_) => labels[from..].join("."),
            None => host,
        }
    };
    page.scheme() == url.scheme() && site(page) == site(url)
}

fn parse(url: &Url, line: &str, now: Timestamp) -> Option<StoredCookie> {
    let host = url.host_str()?.to_owned();
    let mut parts = line.split(';').map(str::trim);
    let (name, value) = parts.next()?.split_once('=')?;
    let mut cookie = StoredCookie {
        name: name.to_owned(),
        value: value.to_owned(),
        domain: host.clone(),
        host_only: true,
        path: "/".to_owned(),
        expires_at: None,
        secure: false,
        http_only: false,
        same_site: None,
    };
    for attribute in parts {
        let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        match key.to_ascii_lowercase().as_str() {
            "domain" => {
                let domain = value.trim_start_matches('.').to_ascii_lowercase();
                // A browser rejects a domain that does not cover the host, or that is a top-level
                // domain.
                let covers = host == domain || host.ends_with(&format!(".{domain}"));
                if !covers || !domain.contains('.') {
                    return None;
                }
                (cookie.domain, cookie.host_only) = (domain, false);
            }
            "path" => value.clone_into(&mut cookie.path),
            "max-age" => {
                let seconds: i64 = value.parse().ok()?;
                let span = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
                cookie.expires_at = Some(now + span.min(BROWSER_LIMIT));
            }
            "secure" => cookie.secure = true,
            "httponly" => cookie.http_only = true,
            "samesite" => cookie.same_site = Some(value.to_owned()),
            _ => {}
        }
    }
    let trustworthy = url.scheme() == "https" || host == "localhost" || host.ends_with(".localhost");
    (!cookie.secure || trustworthy).then_some(cookie)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{START, days};

    fn url(text: &str) -> Url {
        text.parse().expect("a URL")
    }

    #[test]
    fn a_domain_cookie_reaches_subdomains_a_host_only_one_not() {
        let mut jar = Jar::default();
        let here = url("https://clerk.example.com/");
        jar.take(&here, "a=1; Path=/; Max-Age=60", START);
        jar.take(&here, "b=2; Path=/; Domain=example.com; Max-Age=60", START);
        jar.take(&here, "c=3; Path=/; Domain=evil.com; Max-Age=60", START);
        assert_eq!(jar.header(&here, None, START).as_deref(), Some("a=1; b=2"));
        assert_eq!(jar.header(&url("https://app.example.com/"), None, START).as_deref(), Some("b=2"));
    }

    #[test]
    fn an_age_is_told_by_the_clock_and_never_above_400_days() {
        let mut jar = Jar::default();
        let here = url("http://localhost:4000/");
        jar.take(&here, "a=1; Path=/; Max-Age=99999999", START);
        assert!(jar.get(&here, "a", START + days(399)).is_some());
        assert!(jar.get(&here, "a", START + days(400)).is_none());
        jar.take(&here, "a=; Path=/; Max-Age=0", START);
        assert!(jar.get(&here, "a", START).is_none());
    }

    #[test]
    fn http_only_and_same_site_lax_are_respected() {
        let mut jar = Jar::default();
        let here = url("http://localhost:4000/");
        jar.take(&here, "a=1; Path=/; HttpOnly; SameSite=Lax", START);
        assert!(jar.seen_by_scripts(&here, START).is_empty());
        assert!(jar.header(&here, Some(&url("http://localhost:3000/")), START).is_some());
        assert!(jar.header(&here, Some(&url("http://evil.com/")), START).is_none());
    }
}
