//! Durations in text form: `90`, `90s`, `30m`, `1h30m`, `7d`.

/// Unit and its length in seconds, longest first.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Parses a number of seconds, or a sequence of numbers with units, longest unit first. Returns
/// whole seconds.
///
/// # Errors
/// A sentence that says why the text is not a duration.
pub fn parse_duration(text: &str) -> Result<u64, String> {
    let not_a_duration = || format!("\"{text}\" is not a duration");
    let too_long = || format!("\"{text}\" is longer than any clock can count");
    let mut rest = text;
    let mut units = UNITS.as_slice();
    let mut total: u64 = 0;
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (count, after) = rest.split_at(digits);
        if count.is_empty() {
            return Err(not_a_duration());
        }
        let count: u64 = count.parse().map_err(|_| too_long())?;
        let mut letters = after.chars();
        let length = match letters.next() {
            // A number without a unit must be the whole text: in `1h30` it could mean minutes or
            // seconds.
            None if rest.len() == text.len() => 1,
            None => return Err(not_a_duration()),
            Some(letter) => {
                let at = units.iter().position(|(unit, _)| *unit == letter).ok_or_else(not_a_duration)?;
                let length = units[at].1;
                units = &units[at + 1..];
                length
            }
        };
        total = count.checked_mul(length).and_then(|part| total.checked_add(part)).ok_or_else(too_long)?;
        rest = letters.as_str();
        if rest.is_empty() {
            break;
        }
    }
    // The core counts milliseconds in an `i64`, so the seconds times 1,000 must fit into one.
    if total > i64::MAX as u64 / 1_000 { Err(too_long()) } else { Ok(total) }
}

/// `5400` as `1h30m`.
pub fn format_duration(seconds: u64) -> String {
    let mut rest = seconds;
    let mut text = String::new();
    for (unit, length) in UNITS {
        if rest >= length {
            text.push_str(&format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let cases = [
            ("45", Some(45)),
            ("90s", Some(90)),
            ("30m", Some(1_800)),
            ("12h", Some(43_200)),
            ("7d", Some(604_800)),
            ("400d", Some(34_560_000)),
            ("1h30m", Some(5_400)),
            ("1d12h", Some(129_600)),
            ("2h5s", Some(7_205)),
            ("90m30s", Some(5_430)),
            ("0", Some(0)),
            ("", None),
            ("m", None),
            ("1.5h", None),
            ("-3s", None),
            ("3 days", None),
            ("1h30", None),
            ("30m1h", None),
            ("1h1h", None),
            ("1é", None),
            ("99999999999999999999", None),
            ("999999999999999999d", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_duration(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_the_same() {
        for (seconds, text) in [(0, "0s"), (45, "45s"), (1800, "30m"), (5400, "1h30m"), (604_805, "7d5s")] {
            assert_eq!(format_duration(seconds), text);
            assert_eq!(parse_duration(text), Ok(seconds));
        }
    }
}
