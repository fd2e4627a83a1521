//! Languages that a reader prefers, as browsers and accounts tell them (RFC 9110, section 12.5.4).

/// Ranges of one header that are looked at.
const MOST: usize = 16;

/// The tags of an `Accept-Language` header in lower case, the preferred ones first. What is not
/// understood, `*`, and what is refused (`q=0`) are left out.
pub fn accepted(header: &str) -> Vec<String> {
    let mut ranges: Vec<(u16, String)> = header.split(',').take(MOST).filter_map(range).collect();
    // Stable: of two that are liked alike, the first one counts.
    ranges.sort_by_key(|(quality, _)| std::cmp::Reverse(*quality));
    ranges.into_iter().map(|(_, tag)| tag).collect()
}

fn range(text: &str) -> Option<(u16, String)> {
    let mut parts = text.split(';');
    let tag = tag(parts.next()?)?;
    let quality = match parts.find_map(|part| part.trim().strip_prefix("q=")) {
        Some(quality) => (quality.parse::<f32>().ok()?.clamp(0.0, 1.0) * 1000.0) as u16,
        None => 1000,
    };
    (quality > 0).then_some((quality, tag))
}

/// A language tag in lower case, such as `de` or `pt-br`; `_` is taken for `-`.
pub fn tag(text: &str) -> Option<String> {
    let tag = text.trim().replace('_', "-").to_ascii_lowercase();
    let mut parts = tag.split('-');
    let is_language = parts.next().is_some_and(|language| {
        (2..=3).contains(&language.len()) && language.bytes().all(|byte| byte.is_ascii_alphabetic())
    });
    let rest_is_plain = parts
        .all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    (is_language && rest_is_plain && tag.len() <= 35).then_some(tag)
}

/// The first wanted tag that is available: as a whole, or else without its last parts
/// (RFC 4647, section 3.4).
pub fn best<'a>(
    wanted: impl IntoIterator<Item = &'a str>,
    is_available: impl Fn(&str) -> bool,
) -> Option<String> {
    wanted.into_iter().find_map(|tag| {
        let mut tag = tag;
        loop {
            if is_available(tag) {
                return Some(tag.to_owned());
            }
            tag = tag.rsplit_once('-')?.0;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_liked_language_comes_first() {
        assert_eq!(accepted("en;q=0.8, de-CH, fr;q=0.9,*;q=0.5"), ["de-ch", "fr", "en"]);
        assert_eq!(accepted("de;q=0, en"), ["en"]);
    }

    #[test]
    fn what_is_no_language_is_left_out() {
        for header in ["", "*", "../../etc", "d", "de;q=often", "\u{7f}de", "de--", "abcdefghij"] {
            assert!(accepted(header).is_empty(), "{header}");
        }
        assert_eq!(accepted(&"de,".repeat(10_000)).len(), MOST);
        assert_eq!(tag("pt_BR").as_deref(), Some("pt-br"));
    }

    #[test]
    fn a_region_falls_back_to_its_language() {
        let is_available = |tag: &str| ["en", "de", "pt-br"].contains(&tag);
        assert_eq!(best(["de-at"], is_available).as_deref(), Some("de"));
        assert_eq!(best(["fr", "pt-br-x", "de"], is_available).as_deref(), Some("pt-br"));
        assert_eq!(best(["fr"], is_available), None);
    }
}
