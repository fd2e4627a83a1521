//! Values as people write them, made into what they mean.

use serde_json::Value;

use super::key::Kind;

/// Reads a text from the environment, a flag or `settings set` as a value of the kind.
pub fn from_text(kind: Kind, text: &str) -> Result<Value, String> {
    match kind {
        Kind::Text => Ok(Value::from(text)),
        Kind::Switch => match text {
            "true" => Ok(Value::from(true)),
            "false" => Ok(Value::from(false)),
            _ => Err(format!("\"{text}\" is neither true nor false")),
        },
        Kind::Port => {
            text.parse::<u16>().map(Value::from).map_err(|_| format!("\"{text}\" is not a port number"))
        }
        Kind::Count => count(text.parse().ok()).ok_or_else(|| format!("\"{text}\" is no such number")),
        Kind::Seconds => seconds(text).map(Value::from),
        Kind::Texts => {
            Ok(text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(Value::from).collect())
        }
        Kind::Object => match serde_json::from_str::<Value>(text) {
            Ok(value @ Value::Object(_)) => Ok(value),
            Ok(_) => Err("the JSON is not an object".to_owned()),
            Err(error) => Err(format!("the text is not JSON: {error}")),
        },
    }
}

/// Checks a value that already has a type (from the file) against the kind.
pub fn from_typed(kind: Kind, value: Value) -> Result<Value, String> {
    match (kind, &value) {
        (Kind::Text, Value::String(_))
        | (Kind::Switch, Value::Bool(_))
        | (Kind::Object, Value::Object(_)) => Ok(value),
        (Kind::Port, Value::Number(number)) => number
            .as_u64()
            .and_then(|number| u16::try_from(number).ok())
            .map(Value::from)
            .ok_or_else(|| format!("{number} is not a port number")),
        (Kind::Count, Value::Number(number)) => {
            count(number.as_u64()).ok_or_else(|| format!("{number} is no such number"))
        }
        (Kind::Seconds, Value::Number(number)) => number
            .as_u64()
            .map(Value::from)
            .ok_or_else(|| format!("{number} is not a whole number of seconds")),
        (Kind::Seconds, Value::String(text)) => seconds(text).map(Value::from),
        (Kind::Texts, Value::Array(items)) if items.iter().all(Value::is_string) => Ok(value),
        _ => Err(format!("the value is {}", article(&value))),
    }
}

fn article(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "a switch",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

fn count(number: Option<u64>) -> Option<Value> {
    number.filter(|number| *number > 0).map(Value::from)
}

/// `90`, `90s`, `30m`, `12h`, `7d` → seconds.
pub fn seconds(text: &str) -> Result<u64, String> {
    let not_a_duration = || format!("\"{text}\" is not a duration");
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let count: u64 = digits.parse().map_err(|_| not_a_duration())?;
    let unit = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(not_a_duration()),
    };
    count
        .checked_mul(unit)
        // Milliseconds of it must fit the 64-bit times of the core.
        .filter(|seconds| *seconds <= i64::MAX as u64 / 1_000)
        .ok_or_else(|| format!("\"{text}\" is longer than any clock can count"))
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
            ("0", Some(0)),
            ("", None),
            ("m", None),
            ("1.5h", None),
            ("-3s", None),
            ("3 days", None),
            ("99999999999999999999", None),
            ("999999999999999999d", None),
        ];
        for (text, expected) in cases {
            assert_eq!(seconds(text).ok(), expected, "{text}");
        }
    }
}
