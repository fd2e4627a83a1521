//! Answers to what never became a request, as they go over the wire: the HTTP
//! parser refuses it, and nothing that knows requests is asked.

use super::{ApiError, ErrorCode};

/// The whole answer with this status: 400, 408, 414, 431 or 503. The
/// connection ends with it.
pub fn unread(status: u16) -> Vec<u8> {
    let (error, retry_after) = match status {
        408 => (
            ApiError::new(ErrorCode::RequestTimeout)
                .why("The head of a request has to arrive within 10 seconds. Send it again."),
            "",
        ),
        414 => (ApiError::new(ErrorCode::RequestUriTooLong).why("An address may have 16 KiB."), ""),
        431 => (
            ApiError::new(ErrorCode::RequestHeadersTooLarge)
                .why("A request may have 100 headers and 32 KiB of them."),
            "",
        ),
        503 => (
            ApiError::new(ErrorCode::ServiceUnavailable)
                .why("There are too many connections. Close those that are not used, and try again."),
            "retry-after: 5\r\n",
        ),
        _ => (
            ApiError::new(ErrorCode::RequestMalformed)
                .why("This is no HTTP/1.1 request. Check what is sent, and that it is not https."),
            "",
        ),
    };
    let status = error.code().status();
    let body = serde_json::to_string(&error.told()).unwrap_or_default();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n{retry_after}connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
