//! The host name of a production instance: what it may be, and which domain it shares cookies with.

use std::fmt;

/// A DNS name that the internet can reach: at least two labels, lower case, in its ASCII form
/// (UTS 46), below a public suffix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicHost(String);

/// Why a text is no such host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    #[error("it has a scheme, a port, a path or a user name; a host is a name alone")]
    NotBare,
    #[error("it is an IP address; cookies and certificates need a name")]
    Address,
    #[error("it names this machine only; a production instance is reached from elsewhere")]
    Local,
    #[error("it has no dot; the SDKs take such a host for none")]
    SingleLabel,
    #[error("anybody can register names below it, so browsers keep no cookies for it")]
    PublicSuffix,
    #[error("it is no DNS name: labels have letters, digits and hyphens, 1 to 63 of them, 253 together")]
    Malformed,
}

/// Longest name in DNS, in its written form (RFC 1035, section 2.3.4).
const MAX_NAME_BYTES: usize = 253;
const MAX_LABEL_BYTES: usize = 63;

impl PublicHost {
    /// Reads a name in any spelling: upper case and international names become the one that DNS,
    /// certificates and browsers compare.
    ///
    /// # Errors
    /// [`HostError`].
    pub fn parse(text: &str) -> Result<Self, HostError> {
        let text = text.trim();
        let is_ipv6 = text.trim_matches(['[', ']']).parse::<std::net::Ipv6Addr>().is_ok();
        if is_ipv6 || text.parse::<std::net::Ipv4Addr>().is_ok() {
            return Err(HostError::Address);
        }
        if text.contains([':', '/', '@', '?', '#', '\\']) {
            return Err(HostError::NotBare);
        }
        // The WHATWG parser is the browsers' own, and sees IPv4 addresses in their odd spellings.
        match url::Host::parse(text) {
            Ok(url::Host::Domain(name)) => Self::of_ascii(name),
            Ok(_) => Err(HostError::Address),
            Err(_) => Err(HostError::Malformed),
        }
    }

    fn of_ascii(name: String) -> Result<Self, HostError> {
        let is_label = |label: &str| {
            (1..=MAX_LABEL_BYTES).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if name == "localhost" || name.ends_with(".localhost") {
            return Err(HostError::Local);
        }
        if name.len() > MAX_NAME_BYTES || !name.split('.').all(is_label) {
            return Err(HostError::Malformed);
        }
        if !name.contains('.') {
            return Err(HostError::SingleLabel);
        }
        if registrable_domain(&name).is_none() {
            return Err(HostError::PublicSuffix);
        }
        Ok(Self(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PublicHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The domain that somebody registered and `host` lies in (`example.co.uk` of
/// `clerk.example.co.uk`): browsers share cookies within it and nowhere above it. None for public
/// suffixes and single labels. By the Public Suffix List that was current at build time.
pub fn registrable_domain(host: &str) -> Option<&str> {
    let looks_like_address = host.split('.').next_back().is_some_and(|last| last.parse::<u32>().is_ok());
    if looks_like_address || host.contains(':') || !host.contains('.') {
        return None;
    }
    psl::domain_str(host)
}

/// Whether a cookie with this `Domain` is sent to `host` (RFC 6265, section 5.1.3).
pub fn is_within(host: &str, domain: &str) -> bool {
    host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_one_spelling() {
        for (text, spelled) in [
            ("clerk.example.com", "clerk.example.com"),
            ("Clerk.EXAMPLE.com", "clerk.example.com"),
            (" auth.example.co.uk ", "auth.example.co.uk"),
            ("clerk.bücher.example", "clerk.xn--bcher-kva.example"),
            ("clerk.Bücher.example", "clerk.xn--bcher-kva.example"),
            ("example.com", "example.com"),
        ] {
            assert_eq!(PublicHost::parse(text).expect(text).as_str(), spelled);
        }
    }

    #[test]
    fn what_browsers_cannot_reach_or_keep_cookies_for_is_no_host() {
        let long = format!("{}.example.com", "a".repeat(64));
        for (text, why) in [
            ("https://clerk.example.com", HostError::NotBare),
            ("clerk.example.com:443", HostError::NotBare),
            ("clerk.example.com/", HostError::NotBare),
            ("me@clerk.example.com", HostError::NotBare),
            ("192.0.2.1", HostError::Address),
            ("0x7f.1", HostError::Address),
            ("[2001:db8::1]", HostError::Address),
            ("2001:db8::1", HostError::Address),
            ("localhost", HostError::Local),
            ("clerk.localhost", HostError::Local),
            ("clerk", HostError::SingleLabel),
            ("com", HostError::SingleLabel),
            ("co.uk", HostError::PublicSuffix),
            ("github.io", HostError::PublicSuffix),
            ("", HostError::Malformed),
            ("clerk..example.com", HostError::Malformed),
            ("clerk.example.com.", HostError::Malformed),
            ("clerk_1.example.com", HostError::Malformed),
            ("-clerk.example.com", HostError::Malformed),
            ("clerk example.com", HostError::Malformed),
            (&long, HostError::Malformed),
        ] {
            assert_eq!(PublicHost::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn cookies_are_shared_within_what_somebody_registered() {
        for (host, domain) in [
            ("clerk.example.com", Some("example.com")),
            ("example.com", Some("example.com")),
            ("clerk.eu.example.com", Some("example.com")),
            ("clerk.example.co.uk", Some("example.co.uk")),
            ("clerk.acme.github.io", Some("acme.github.io")),
            ("acme.vercel.app", Some("acme.vercel.app")),
            ("com", None),
            ("co.uk", None),
            ("localhost", None),
            ("127.0.0.1", None),
            ("[::1]", None),
        ] {
            assert_eq!(registrable_domain(host), domain, "{host}");
        }
        assert!(is_within("app.example.com", "example.com") && is_within("example.com", "example.com"));
        assert!(!is_within("badexample.com", "example.com") && !is_within("com", "example.com"));
    }
}
