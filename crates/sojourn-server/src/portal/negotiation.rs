//! Content negotiation of static files.

use axum::http::HeaderValue;

/// Whether the client accepts gzip (RFC 9110 12.5.3): named, or covered by `*`, with a weight above
/// 0.
pub(super) fn accepts_gzip<'a>(values: impl IntoIterator<Item = &'a HeaderValue>) -> bool {
    let (mut gzip, mut any) = (None, None);
    for item in items(values) {
        let (coding, weight) = item.split_once(';').unwrap_or((item, ""));
        let acceptable = weight
            .trim()
            .strip_prefix("q=")
            .is_none_or(|weight| weight.trim().parse::<f32>().is_ok_and(|weight| weight > 0.0));
        match coding.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => gzip = Some(acceptable),
            "*" => any = Some(acceptable),
            _ => {}
        }
    }
    gzip.or(any).unwrap_or(false)
}

/// Whether `If-None-Match` names this tag. The comparison is weak (RFC 9110 13.1.2),
/// because proxies that recompress a body mark its tag as weak.
pub(super) fn matches_etag<'a>(values: impl IntoIterator<Item = &'a HeaderValue>, etag: &str) -> bool {
    items(values).any(|item| item == "*" || item.trim_start_matches("W/") == etag)
}

fn items<'a>(values: impl IntoIterator<Item = &'a HeaderValue>) -> impl Iterator<Item = &'a str> {
    values
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip_for(header: &'static str) -> bool {
        accepts_gzip(&[HeaderValue::from_static(header)])
    }

    #[test]
    fn gzip_is_chosen_only_when_it_is_acceptable() {
        assert!(gzip_for("gzip, deflate, br"));
        assert!(gzip_for("br;q=1.0, gzip;q=0.8, *;q=0.1"));
        assert!(gzip_for("*"));
        assert!(!gzip_for("identity"));
        assert!(!gzip_for("gzip;q=0, *"));
        assert!(!gzip_for("br"));
        assert!(!gzip_for(""));
        assert!(!accepts_gzip(&[]));
    }

    #[test]
    fn a_tag_weakened_by_a_proxy_still_matches() {
        let sent = [HeaderValue::from_static("\"other\", W/\"abc\"")];
        assert!(matches_etag(&sent, "\"abc\""));
        assert!(!matches_etag(&sent, "\"abcd\""));
        assert!(matches_etag(&[HeaderValue::from_static("*")], "\"abc\""));
    }
}
