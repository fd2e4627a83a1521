//! The answer that hyper gives by itself to what it cannot parse: a head and
//! nothing else, and always the last that it writes.

/// Longer than any such answer.
const LONGEST: usize = 256;

/// Where such an answer begins in `bytes` that it ends, and its status.
///
/// It is told by what it lacks: answers of ours say how their content is to be
/// read, even without content.
pub fn find(bytes: &[u8]) -> Option<(usize, u16)> {
    let from = bytes.len().saturating_sub(LONGEST);
    let tail = &bytes[from..];
    if !tail.ends_with(b"\r\n\r\n") {
        return None;
    }
    let at = tail.windows(7).rposition(|window| window == b"HTTP/1.")?;
    let mut lines = std::str::from_utf8(&tail[at..]).ok()?.trim_end().split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let names_of_its = |line: &str| {
        let name = line.split(':').next().unwrap_or(line);
        ["connection", "content-length", "date"].contains(&name.to_ascii_lowercase().as_str())
    };
    (matches!(status, 400 | 414 | 431) && lines.all(names_of_its)).then_some((from + at, status))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNASKED: &str = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n";

    #[test]
    fn an_answer_of_hypers_own_is_found_also_behind_another() {
        assert_eq!(find(UNASKED.as_bytes()), Some((0, 431)));
        let before = format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "x".repeat(300));
        assert_eq!(find(format!("{before}{UNASKED}").as_bytes()), Some((before.len(), 431)));
    }

    #[test]
    fn answers_of_ours_are_left_alone() {
        for ours in [
            "HTTP/1.1 400 Bad Request\r\nx-content-type-options: nosniff\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}",
            "\r\n\r\n",
            "",
        ] {
            assert_eq!(find(ours.as_bytes()), None, "{ours}");
        }
    }
}
