//! The static files of the pages: style sheet, scripts, logo.

use aws_lc_rs::digest;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::negotiation::matches_etag;

pub const MARK: &str = include_str!("../../../../web/portal/mark.svg");
pub const STYLE: &str = include_str!("../../../../web/portal/portal.css");
const PORTAL_SCRIPT: &str = include_str!("../../../../web/portal/portal.js");
const MAILBOX_SCRIPT: &str = include_str!("../../../../web/portal/mailbox.js");

const SVG: &str = "image/svg+xml";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A file below `/portal/`.
pub async fn serve_static(Path(file): Path<String>, headers: HeaderMap) -> Response {
    match file.as_str() {
        "mark.svg" => answer(MARK, SVG, &headers),
        "portal.css" => answer(STYLE, "text/css; charset=utf-8", &headers),
        "portal.js" => answer(PORTAL_SCRIPT, SCRIPT, &headers),
        "mailbox.js" => answer(MAILBOX_SCRIPT, SCRIPT, &headers),
        _ => super::refusal::not_found(
            "There is no such file",
            "The portal's files are mark.svg, portal.css, portal.js and mailbox.js.",
        ),
    }
}

/// The logo as icon; every browser that runs the official components supports SVG icons.
pub async fn serve_favicon(headers: HeaderMap) -> Response {
    answer(MARK, SVG, &headers)
}

fn answer(text: &'static str, content_type: &'static str, request: &HeaderMap) -> Response {
    let etag = etag(text);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Revalidated each time, so that page and script always have the same version.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(ETAG, HeaderValue::from_str(&etag).expect("hexadecimal in quotes"));
    if matches_etag(request.get_all(IF_NONE_MATCH), &etag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, text).into_response()
}

fn etag(text: &str) -> String {
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    format!("\"{}\"", hex::encode(&hash.as_ref()[..12]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_file_is_answered_with_its_tag_and_then_not_again() {
        let first = answer(STYLE, "text/css", &HeaderMap::new());
        assert_eq!(first.status(), StatusCode::OK);
        let mut again = HeaderMap::new();
        again.insert(IF_NONE_MATCH, first.headers()[ETAG].clone());
        assert_eq!(answer(STYLE, "text/css", &again).status(), StatusCode::NOT_MODIFIED);
    }

    #[test]
    fn no_file_of_ours_names_another_host() {
        for text in [MARK, STYLE, PORTAL_SCRIPT, MAILBOX_SCRIPT] {
            let foreign = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!foreign.contains("http://") && !foreign.contains("https://"));
        }
    }
}
