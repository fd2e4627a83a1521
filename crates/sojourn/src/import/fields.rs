//! The fields of a record, whether it came as CSV or JSON.

use jiff::{Timestamp, civil::DateTime, tz::Offset};
use serde_json::{Map, Value};

use super::Candidate;

/// The fields of one record. CSV has texts only, and an empty one stands for nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(pub &'a Map<String, Value>);

impl<'a> Fields<'a> {
    pub(super) fn value(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| says_something(value))
    }

    pub(super) fn text(self, name: &str) -> Option<&'a str> {
        self.value(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
    }

    /// A text, or a number as text: ids are either.
    pub(super) fn id(self, name: &str) -> Option<String> {
        match self.value(name)? {
            Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// PostgreSQL writes `t`, Firebase and JSON `true`, MySQL `1`.
    pub(super) fn flag(self, name: &str) -> Option<bool> {
        match self.0.get(name)? {
            Value::Bool(flag) => Some(*flag),
            Value::Number(number) => Some(number.as_i64() != Some(0)),
            Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "t" | "1" | "yes" => Some(true),
                "false" | "f" | "0" | "no" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// A list, or a text with commas.
    pub(super) fn list(self, name: &str) -> Vec<String> {
        let trimmed = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        match self.value(name) {
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).filter_map(trimmed).collect(),
            Some(Value::String(text)) => text.split([',', ';', '|']).filter_map(trimmed).collect(),
            _ => Vec::new(),
        }
    }

    /// An object, or its JSON as text.
    pub(super) fn object(self, name: &str) -> Option<Map<String, Value>> {
        match self.value(name)? {
            Value::Object(object) => Some(object.clone()),
            Value::String(text) => serde_json::from_str(text).ok(),
            _ => None,
        }
        .filter(|object: &Map<String, Value>| !object.is_empty())
    }

    pub(super) fn inner(self, name: &str) -> Option<Fields<'a>> {
        self.value(name)?.as_object().map(Fields)
    }

    /// A time in RFC 3339, from milliseconds, or from what databases write.
    pub(super) fn time(self, name: &str) -> Option<Value> {
        let value = self.value(name)?;
        let at = match value {
            Value::Number(number) => Timestamp::from_millisecond(number.as_i64()?).ok(),
            Value::String(text) => time(text.trim()),
            _ => None,
        }?;
        Some(at.to_string().into())
    }

    /// The time, or its name among what is left out.
    pub(super) fn time_into(self, candidate: &mut Candidate, from: &str, name: &str) {
        match (self.time(from), self.value(from)) {
            (Some(at), _) => candidate.set(name, at),
            (None, Some(value)) => drop(candidate.left_out.insert(from.to_owned(), Some(value.clone()))),
            (None, None) => {}
        }
    }

    pub(super) fn text_into(self, candidate: &mut Candidate, from: &str, name: &str) {
        candidate.set(name, self.text(from).map(Value::from));
    }

    /// Leaves out every field that says something and is not in `used`.
    pub(super) fn leave_out_except(self, candidate: &mut Candidate, used: &[&str]) {
        for (name, value) in self.0 {
            if says_something(value) && !used.contains(&name.as_str()) {
                candidate.left_out.insert(name.clone(), Some(value.clone()));
            }
        }
    }

    /// Leaves out secrets, which are never kept.
    pub(super) fn leave_out_secrets(self, candidate: &mut Candidate, names: &[&str]) {
        for name in names.iter().filter(|name| self.value(name).is_some()) {
            candidate.left_out.insert((*name).to_owned(), None);
        }
    }
}

/// First and last name of a name in one piece; an address is no name.
pub(super) fn split_name(candidate: &mut Candidate, name: Option<&str>) {
    let Some(name) = name.filter(|name| !name.contains('@')) else { return };
    match name.split_once(' ') {
        Some((first, last)) => {
            candidate.set("first_name", Value::from(first));
            candidate.set("last_name", Value::from(last.trim()));
        }
        None => candidate.set("first_name", Value::from(name)),
    }
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) => true,
        // A flag that is off, or a counter that never counted.
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// Databases write a space for `T`, and no offset where they mean UTC.
fn time(text: &str) -> Option<Timestamp> {
    if let Some(millis) = text.parse().ok().filter(|_| text.len() >= 12) {
        return Timestamp::from_millisecond(millis).ok();
    }
    let with_offset = text.parse::<Timestamp>().ok();
    with_offset.or_else(|| Offset::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_read_as_each_system_writes_them() {
        let at = "2024-01-31T12:00:00Z";
        for given in [
            json!(1_706_702_400_000_i64),
            json!("1706702400000"),
            json!("2024-01-31T12:00:00Z"),
            json!("2024-01-31T13:00:00+01:00"),
            json!("2024-01-31 12:00:00+00"),
            json!("2024-01-31 12:00:00"),
        ] {
            let fields = json!({ "at": given });
            assert_eq!(Fields(fields.as_object().expect("fields")).time("at"), Some(at.into()), "{given}");
        }
        for given in [json!("0000-00-00 00:00:00"), json!("yesterday"), json!({}), json!("")] {
            let fields = json!({ "at": given });
            assert_eq!(Fields(fields.as_object().expect("fields")).time("at"), None, "{given}");
        }
    }
}
