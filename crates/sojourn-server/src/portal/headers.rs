//! Headers of every page of ours, above all the content security policy.

use aws_lc_rs::rand;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The one style element of the components without a nonce: the blinking caret
/// of the code field. Its hash allows this very text and nothing else.
const CARET_STYLE_HASH: &str = "sha256-KQDhUccuEkZUQDnfbVDeY+ev2LZ+73AQR7ro4JppAY8=";

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// 128 random bits, fresh for each answer.
pub fn fresh_nonce() -> String {
    let mut bytes = [0_u8; 16];
    rand::fill(&mut bytes).expect("the operating system has randomness");
    STANDARD.encode(bytes)
}

/// Headers of a portal page rendered with the same nonce.
pub fn portal_headers(nonce: &str) -> HeaderMap {
    page_headers(&portal_policy(nonce))
}

/// Headers of the development mailbox's pages.
pub fn mailbox_headers() -> HeaderMap {
    page_headers(MAILBOX_POLICY)
}

/// Nothing but our own script and style sheet may load. The mail's HTML sits in
/// a sandboxed frame whose document inherits this policy: style attributes are
/// allowed because mail is laid out with them and nothing else, while scripts,
/// style elements and pictures of senders stay blocked.
const MAILBOX_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     style-src-attr 'unsafe-inline'; img-src 'self' data:; frame-src 'self'; \
     form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'";

fn portal_policy(nonce: &str) -> String {
    [
        "default-src 'none'",
        // 'self' and not only the nonce: the official scripts load their chunks
        // through script elements without a nonce.
        &format!("script-src 'self' 'nonce-{nonce}'"),
        // The components insert their styles through style elements that carry
        // the nonce given to Clerk.load; style properties go through the CSSOM,
        // which no policy restricts. So no 'unsafe-inline' is needed.
        &format!("style-src 'self' 'nonce-{nonce}' '{CARET_STYLE_HASH}'"),
        // Compat: clerk-js refreshes tokens on a timer that runs in a worker made
        // from a blob; without it background tabs are throttled to one tick a minute.
        "worker-src blob:",
        // data: are icons inside the components' styles; blob: previews a picture
        // before it is uploaded.
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "object-src 'none'",
        "frame-ancestors 'none'",
    ]
    .join("; ")
}

fn page_headers(policy: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_str(policy).expect("a base64 nonce is visible ASCII"),
    );
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Sign-in links carry tickets in their query: other origins must see the
    // origin at most. Same-origin requests keep the path, and `Origin` is sent in full.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin"));
    headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest;

    use super::*;

    #[test]
    fn the_policy_names_no_foreign_host_and_no_unsafe_source() {
        let headers = portal_headers("bm9uY2U=");
        let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(!policy.contains("http"), "{policy}");
        assert!(!policy.contains('*'), "{policy}");
        assert!(policy.contains("script-src 'self' 'nonce-bm9uY2U='"), "{policy}");
    }

    #[test]
    fn only_the_caret_style_of_the_components_is_allowed() {
        let style = super::super::bundles::embedded_texts("@clerk/ui")
            .find_map(|text| {
                let at = text.find("@keyframes caret-blink-animation")?;
                let start = text[..at].rfind('`')? + 1;
                let end = at + text[at..].find('`')?;
                Some(text[start..end].to_owned())
            })
            .expect("the components still have a blinking caret");
        let hash = digest::digest(&digest::SHA256, style.as_bytes());
        assert_eq!(format!("sha256-{}", STANDARD.encode(hash)), CARET_STYLE_HASH);
    }

    #[test]
    fn each_nonce_is_its_own() {
        assert_ne!(fresh_nonce(), fresh_nonce());
        assert_eq!(fresh_nonce().len(), 24);
    }
}
