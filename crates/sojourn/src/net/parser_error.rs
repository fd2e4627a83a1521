//! Detects the response that hyper itself writes to a request that it cannot parse: a head without
//! a body, and always the last bytes of the connection. hyper 1 has no hook to replace it.

/// An upper bound of the length of such a response.
const MAX_ANSWER_BYTES: usize = 256;

/// The start of such a response in `bytes`, which end with it, and its status.
///
/// It is detected by a missing header: every response of the router has `x-content-type-options`,
/// even without a body.
pub fn detect_parser_error(bytes: &[u8]) -> Option<(usize, u16)> {
    let from = bytes.len().saturating_sub(MAX_ANSWER_BYTES);
    let tail = &bytes[from..];
    if !tail.ends_with(b"\r\n\r\n") {
        return None;
    }
    let at = tail.windows(7).rposition(|window| window == b"HTTP/1.")?;
    let mut lines = std::str::from_utf8(&tail[at..]).ok()?.trim_end().split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let is_hypers_own = |line: &str| {
        let name = line.split(':').next().unwrap_or(line);
        ["connection", "content-length", "date"].contains(&name.to_ascii_lowercase().as_str())
    };
    (matches!(status, 400 | 414 | 431) && lines.all(is_hypers_own)).then_some((from + at, status))
}

/// Whether an unparsed request head is a browser's navigation: browsers write the Fetch Metadata
/// header in this spelling over HTTP/1.1.
pub fn is_navigation(head: &[u8]) -> bool {
    const NAVIGATE: &[u8] = b"\r\nSec-Fetch-Mode: navigate\r\n";
    head.windows(NAVIGATE.len()).any(|window| window == NAVIGATE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYPERS_OWN: &str = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n";

    #[test]
    fn hypers_own_answer_is_found_also_behind_another() {
        assert_eq!(detect_parser_error(HYPERS_OWN.as_bytes()), Some((0, 431)));
        let before = format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "x".repeat(300));
        let both = format!("{before}{HYPERS_OWN}");
        assert_eq!(detect_parser_error(both.as_bytes()), Some((before.len(), 431)));
    }

    #[test]
    fn answers_of_the_router_are_left_alone() {
        for answer in [
            "HTTP/1.1 400 Bad Request\r\nx-content-type-options: nosniff\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}",
            "\r\n\r\n",
            "",
        ] {
            assert_eq!(detect_parser_error(answer.as_bytes()), None, "{answer}");
        }
    }
}
