//! The types of settings: bounds, the check of a value, and the description for errors.

use serde_json::{Value, json};
use url::Url;

use crate::{
    email::Email,
    environment::Environment,
    language,
    template::{self, TemplateError},
};

/// The type of a setting, with its bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Flag,
    /// A flag that cannot be switched on in production.
    DevelopmentFlag,
    /// One of the listed words.
    Word(&'static [&'static str]),
    Seconds {
        least: u64,
        least_in_production: u64,
        most: u64,
    },
    Integer {
        least: u64,
        most: u64,
    },
    /// Any string.
    Text,
    /// A list of texts, none of them with a comma.
    Texts,
    /// A single line. It is used in mail subjects and page titles, where a line break would break
    /// the header.
    Line {
        most: usize,
    },
    /// An absolute http or https URL, a path on this server, or null.
    Address,
    /// An e-mail address, or null.
    EmailAddress,
    /// A language tag in small letters.
    Language,
    /// A list of origins in the form that browsers send: scheme, host and port only.
    Origins {
        most: usize,
    },
    /// A claims template.
    Claims,
}

/// Why a value is rejected, and what is expected.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    pub reason: Reason,
    /// For the sentence "… has to be {expected}".
    pub expected: String,
    /// The minimum and the maximum, if the setting has them.
    pub bounds: Option<(u64, u64)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    Null,
    Type,
    Format,
    Value,
    Production,
    Claims(TemplateError),
}

impl Kind {
    /// Session durations: 300 seconds to ten years in production. In development from one second,
    /// so that a test can show how a session ends.
    pub const SESSION_SECONDS: Self =
        Self::Seconds { least: 1, least_in_production: 300, most: 3650 * 86_400 };

    /// Checks a value and returns it in its stored form: strings trimmed, URLs normalised.
    ///
    /// # Errors
    /// The value is not valid in that environment.
    pub fn check(self, value: &Value, environment: Environment) -> Result<Value, Mismatch> {
        let refuse = |reason| Mismatch {
            reason,
            expected: self.expected(environment),
            bounds: self.bounds(environment),
        };
        let wrong_type = || refuse(if value.is_null() { Reason::Null } else { Reason::Type });
        match self {
            Self::Flag => value.is_boolean().then(|| value.clone()).ok_or_else(wrong_type),
            Self::DevelopmentFlag => match value.as_bool() {
                Some(true) if environment == Environment::Production => Err(refuse(Reason::Production)),
                flag => flag.map(Value::from).ok_or_else(wrong_type),
            },
            Self::Word(words) => {
                let word = value.as_str().ok_or_else(wrong_type)?;
                if words.contains(&word) { Ok(word.into()) } else { Err(refuse(Reason::Value)) }
            }
            Self::Seconds { .. } | Self::Integer { .. } => {
                let number = value.as_u64().ok_or_else(wrong_type)?;
                let (least, most) = self.bounds(environment).unwrap_or((0, u64::MAX));
                if (least..=most).contains(&number) { Ok(number.into()) } else { Err(refuse(Reason::Value)) }
            }
            Self::Text => value.as_str().map(Value::from).ok_or_else(wrong_type),
            Self::Texts => {
                let items = value.as_array().ok_or_else(wrong_type)?;
                let all_texts = items.iter().all(Value::is_string);
                all_texts.then(|| value.clone()).ok_or_else(wrong_type)
            }
            Self::Line { most } => {
                let line = value.as_str().ok_or_else(wrong_type)?.trim();
                let good = (1..=most).contains(&line.chars().count()) && !line.chars().any(char::is_control);
                if good { Ok(line.into()) } else { Err(refuse(Reason::Format)) }
            }
            Self::Address if value.is_null() => Ok(Value::Null),
            Self::Address => {
                let text = value.as_str().ok_or_else(wrong_type)?;
                address(text).map(Value::from).ok_or_else(|| refuse(Reason::Format))
            }
            Self::EmailAddress if value.is_null() => Ok(Value::Null),
            Self::EmailAddress => {
                let text = value.as_str().ok_or_else(wrong_type)?.trim();
                if Email::parse(text).is_ok() { Ok(text.into()) } else { Err(refuse(Reason::Format)) }
            }
            Self::Language => {
                let tag = language::tag(value.as_str().ok_or_else(wrong_type)?);
                tag.map(Value::from).ok_or_else(|| refuse(Reason::Format))
            }
            Self::Origins { most } => {
                let items = value.as_array().ok_or_else(wrong_type)?;
                let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
                let texts = texts.ok_or_else(wrong_type)?;
                if !texts.iter().all(|text| is_origin(text)) {
                    return Err(refuse(Reason::Format));
                }
                if texts.len() > most { Err(refuse(Reason::Value)) } else { Ok(value.clone()) }
            }
            Self::Claims if value.is_null() => Ok(json!({})),
            Self::Claims => {
                let claims = value.as_object().ok_or_else(wrong_type)?;
                template::check(claims).map_err(|error| refuse(Reason::Claims(error)))?;
                Ok(value.clone())
            }
        }
    }

    /// The expected values, for the sentence "… has to be …".
    pub fn expected(self, environment: Environment) -> String {
        match self {
            Self::Flag | Self::DevelopmentFlag => "true or false".to_owned(),
            Self::Word(words) => words.join(" or "),
            Self::Seconds { .. } => match self.bounds(environment) {
                Some((least, most)) => format!("from {least} to {most} whole seconds on this instance"),
                None => "a whole number of seconds".to_owned(),
            },
            Self::Integer { least, most: u64::MAX } => format!("a whole number of at least {least}"),
            Self::Integer { least, most } => format!("a whole number from {least} to {most}"),
            Self::Text => "a text".to_owned(),
            Self::Texts => "a list of texts".to_owned(),
            Self::Line { most } => format!("one line of 1 to {most} characters"),
            Self::Address => {
                "an http or https address such as https://example.com/, a path such as /user, or null"
                    .to_owned()
            }
            Self::EmailAddress => "an e-mail address such as help@example.com, or null".to_owned(),
            Self::Language => "a language such as en, de or pt-br".to_owned(),
            Self::Origins { most } => format!(
                "a list of at most {most} origins such as https://app.example.com: scheme, host and port in lower case, without path, wildcard or slash at the end"
            ),
            Self::Claims => "an object of claims such as {\"name\": \"{{user.full_name}}\"}".to_owned(),
        }
    }

    const fn bounds(self, environment: Environment) -> Option<(u64, u64)> {
        match (self, environment) {
            (Self::Seconds { least, most, .. }, Environment::Development)
            | (Self::Seconds { least_in_production: least, most, .. }, Environment::Production)
            | (Self::Integer { least, most }, _) => Some((least, most)),
            _ => None,
        }
    }

    /// Type and bounds as JSON Schema.
    pub(super) fn schema(self, environment: Environment) -> Value {
        match self {
            Self::Flag | Self::DevelopmentFlag => json!({"type": "boolean"}),
            Self::Word(words) => json!({"type": "string", "enum": words}),
            Self::Seconds { .. } | Self::Integer { .. } => match self.bounds(environment) {
                Some((least, most)) => json!({"type": "integer", "minimum": least, "maximum": most}),
                None => json!({"type": "integer"}),
            },
            Self::Text => json!({"type": "string"}),
            Self::Texts => json!({"type": "array", "items": {"type": "string"}}),
            Self::Line { most } => json!({"type": "string", "minLength": 1, "maxLength": most}),
            Self::Address => json!({"type": ["string", "null"], "format": "uri-reference"}),
            Self::EmailAddress => json!({"type": ["string", "null"], "format": "email"}),
            Self::Language => json!({"type": "string", "pattern": "^[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*$"}),
            Self::Origins { most } => {
                json!({"type": "array", "items": {"type": "string", "format": "uri"}, "maxItems": most})
            }
            // Null stands for none.
            Self::Claims => json!({"type": ["object", "null"]}),
        }
    }
}

fn address(text: &str) -> Option<String> {
    // Browsers resolve "//host" and "/\host" to another host, not to a path.
    if let Some(path) = text.strip_prefix('/') {
        let path = !path.starts_with(['/', '\\']) && !text.chars().any(char::is_control);
        return path.then(|| text.to_owned());
    }
    let url = Url::parse(text).ok()?;
    let plain = url.username().is_empty() && url.password().is_none();
    (matches!(url.scheme(), "http" | "https") && plain).then(|| url.into())
}

fn is_origin(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text
    })
}
