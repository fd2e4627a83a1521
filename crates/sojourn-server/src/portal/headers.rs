//! Response headers of our pages, above all the content security policy.

use aws_lc_rs::rand;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The hash of the only style element of the components without a nonce: the blinking caret of the
/// code field. It allows exactly this text.
const CARET_STYLE_HASH: &str = "sha256-KQDhUccuEkZUQDnfbVDeY+ev2LZ+73AQR7ro4JppAY8=";

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// 128 random bits, new for each response.
pub fn fresh_nonce() -> String {
    let mut bytes = [0_u8; 16];
    rand::fill(&mut bytes).expect("the operating system has randomness");
    STANDARD.encode(bytes)
}

/// The headers of a portal page that was rendered with the same nonce.
pub fn portal_headers(nonce: &str) -> HeaderMap {
    page_headers(&portal_policy(nonce))
}

/// The headers of the development mailbox.
pub fn mailbox_headers() -> HeaderMap {
    page_headers(MAILBOX_POLICY)
}

/// Only our own script and style sheet may load. The mail's HTML is in a sandboxed frame that
/// inherits this policy: style attributes are allowed because mails use them for layout; scripts,
/// style elements and images of senders are blocked.
const MAILBOX_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     style-src-attr 'unsafe-inline'; img-src 'self' data:; frame-src 'self'; \
     form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'";

fn portal_policy(nonce: &str) -> String {
    [
        "default-src 'none'",
        // 'self' besides the nonce: the official scripts load their chunks through script elements
        // without a nonce.
        &format!("script-src 'self' 'nonce-{nonce}'"),
        // The components insert their styles through style elements with the nonce given to
        // Clerk.load; style properties use the CSSOM, which no policy restricts. So 'unsafe-inline'
        // is not needed.
        &format!("style-src 'self' 'nonce-{nonce}' '{CARET_STYLE_HASH}'"),
        // Compat: clerk-js refreshes tokens by a timer in a worker that is created from a blob;
        // without it browsers limit background tabs to one timer per minute.
        "worker-src blob:",
        // data: for icons in the components' styles; blob: for the preview of an image before its
        // upload.
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
    // Sign-in links have tickets in their query: other origins must get at most the origin.
    // Same-origin requests keep the path, and `Origin` is sent in full.
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
