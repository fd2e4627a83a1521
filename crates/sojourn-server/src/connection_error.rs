//! Responses on connections without a parsed request: the HTTP parser rejected the head, the head
//! was too slow, or there are too many connections. No router handles these.

use crate::{
    middleware::error_page,
    wire::{ApiError, ErrorCode},
};

/// The bytes of the complete response with this status: 400, 408, 414, 431 or 503. The connection
/// closes after it.
pub fn connection_error_response(status: u16, is_navigation: bool) -> Vec<u8> {
    let error = match status {
        408 => ApiError::new(ErrorCode::RequestTimeout)
            .why("The head of a request has to arrive within 10 seconds. Send it again."),
        414 => ApiError::new(ErrorCode::RequestUriTooLong).why("An address may have 16 KiB."),
        431 => ApiError::new(ErrorCode::RequestHeadersTooLarge)
            .why("A request may have 100 headers and 32 KiB of them."),
        503 => ApiError::new(ErrorCode::ServiceUnavailable)
            .why("There are too many connections. Close those that are not used, and try again."),
        _ => ApiError::new(ErrorCode::RequestMalformed)
            .why("This is no HTTP/1.1 request. Check what is sent, and that it is not https."),
    };
    let texts = error.log();
    let page = is_navigation.then(|| error_page::render(&texts, false, false).ok()).flatten();
    let (kind, body) = match page {
        Some(html) => {
            let policy = &*error_page::CONTENT_SECURITY_POLICY;
            (format!("text/html; charset=utf-8\r\ncontent-security-policy: {policy}"), html)
        }
        None => {
            ("application/json".to_owned(), serde_json::to_string(&error.body(&texts)).unwrap_or_default())
        }
    };
    let retry_after = if status == 503 { "retry-after: 5\r\n" } else { "" };
    format!(
        "HTTP/1.1 {}\r\ncontent-type: {kind}\r\ncache-control: no-store\r\n\
         x-content-type-options: nosniff\r\n{retry_after}connection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        error.code().status(),
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_navigation_gets_a_page_and_everyone_else_json() {
        for status in [400, 408, 414, 431, 503] {
            for (is_navigation, kind, begins) in
                [(true, "text/html; charset=utf-8", "<!doctype html>"), (false, "application/json", "{")]
            {
                let answer = String::from_utf8(connection_error_response(status, is_navigation)).unwrap();
                let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
                assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
                assert!(head.contains(&format!("\r\ncontent-type: {kind}\r\n")), "{head}");
                assert!(head.ends_with(&format!("\r\ncontent-length: {}", body.len())), "{head}");
                assert!(body.starts_with(begins), "{body}");
                assert_eq!(head.contains("\r\nretry-after: 5"), status == 503, "{head}");
            }
        }
    }
}
