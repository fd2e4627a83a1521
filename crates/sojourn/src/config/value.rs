//! Values as people write them, made into what they mean.

use serde_json::Value;
use sojourn_core::environment::Environment;
use sojourn_core::settings::{Kind, Reason, parse_duration};

/// Reads a text from the environment, a flag or `settings set` as a value of the kind.
pub fn from_text(kind: Kind, text: &str) -> Result<Value, String> {
    match kind {
        Kind::Word(_)
        | Kind::Text
        | Kind::Line { .. }
        | Kind::Address
        | Kind::EmailAddress
        | Kind::Language => Ok(Value::from(text)),
        Kind::Flag | Kind::DevelopmentFlag => match text {
            "true" => Ok(Value::from(true)),
            "false" => Ok(Value::from(false)),
            _ => Err(format!("\"{text}\" is neither true nor false")),
        },
        Kind::Integer { .. } => {
            text.parse::<u64>().map(Value::from).map_err(|_| format!("\"{text}\" is no such number"))
        }
        Kind::Seconds { .. } => parse_duration(text).map(Value::from),
        Kind::Origins { .. } | Kind::Texts => {
            Ok(text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(Value::from).collect())
        }
        Kind::Claims => match serde_json::from_str::<Value>(text) {
            Ok(value @ Value::Object(_)) => Ok(value),
            Ok(_) => Err("the JSON is not an object".to_owned()),
            Err(error) => Err(format!("the text is not JSON: {error}")),
        },
    }
}

/// Reads a value of a file, which has a type already: durations, claims and lists of texts may be
/// one text there.
pub fn from_typed(kind: Kind, value: Value) -> Result<Value, String> {
    match (kind, &value) {
        (Kind::Seconds { .. } | Kind::Claims | Kind::Texts, Value::String(text)) => from_text(kind, text),
        _ => Ok(value),
    }
}

/// Which environment it is, is known when all layers are read; the bounds of production are checked
/// then, and these are the wider ones.
const ENVIRONMENT: Environment = Environment::Development;

/// The value as it is used, or why it cannot be.
pub fn checked(kind: Kind, value: &Value) -> Result<Value, String> {
    kind.check(value, ENVIRONMENT).map_err(|mismatch| match mismatch.reason {
        Reason::Null | Reason::Type if !value.is_number() => format!("the value is {}", article(value)),
        Reason::Claims(error) => error.to_string(),
        _ => format!("{value} is not accepted"),
    })
}

/// How to write a value of the kind, for "give …".
pub fn example(kind: Kind) -> String {
    example_in(kind, ENVIRONMENT)
}

/// As [`example`], for what an environment allows.
pub fn example_in(kind: Kind, environment: Environment) -> String {
    let expected = kind.expected(environment);
    match kind {
        Kind::Seconds { .. } => format!("{expected}, or a duration such as 90s, 30m, 1h30m or 7d"),
        Kind::Claims => "an object: { fullName = \"{{user.full_name}}\" } in a file, \
             {\"fullName\":\"{{user.full_name}}\"} elsewhere"
            .to_owned(),
        _ => expected,
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
