//! The parameters of a request, in any encoding. Browsers send forms, application backends JSON.
//! Unknown names are ignored in both (INP-06), and if a name occurs twice where one value is
//! expected, the last one counts.

use axum::{
    extract::{FromRequest, Request},
    http::{Method, header},
};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use sojourn_core::line::is_line;
use sojourn_service::users::MAX_METADATA_BYTES;

use super::{ApiError, ApiResult, ErrorCode};
use crate::middleware::MAX_BODY_BYTES;

/// The maximum length of a text field in bytes.
pub const MAX_TEXT_BYTES: usize = 4096;
const MAX_FIELDS: usize = 200;

/// The parameters of one request: the query of a GET, the body of other methods.
#[derive(Clone, Debug, Default)]
pub struct Params(Map<String, Value>);

impl Params {
    /// Parses a query string or a form body.
    ///
    /// # Errors
    /// The decoded text is not UTF-8 or contains NUL, or there are more than 200 fields.
    pub fn from_form(text: &str) -> ApiResult<Self> {
        let mut fields: Map<String, Value> = Map::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            match fields.get_mut(&name) {
                Some(Value::Array(values)) => values.push(value.into()),
                Some(first) => *first = Value::Array(vec![first.take(), value.into()]),
                None => {
                    fields.insert(name, value.into());
                }
            }
            if fields.len() > MAX_FIELDS {
                return Err(
                    ApiError::new(ErrorCode::RequestBodyInvalid).why("At most 200 fields are allowed.")
                );
            }
        }
        Ok(Self(fields))
    }

    /// The fields of an object within a request.
    pub const fn of(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    fn from_json(bytes: &[u8]) -> ApiResult<Self> {
        // serde_json itself rejects more than 128 levels, lone surrogates and invalid UTF-8.
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(fields)) if depth_within(&fields, 64) => Ok(Self(fields)),
            Ok(Value::Null) => Ok(Self::default()),
            Ok(_) => Err(ApiError::new(ErrorCode::RequestBodyInvalid)
                .why("A JSON object of at most 64 levels is expected.")),
            Err(error) => {
                Err(ApiError::new(ErrorCode::RequestBodyInvalid)
                    .why(format!("The body is not JSON: {error}.")))
            }
        }
    }

    pub fn fields(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Refuses fields that are not in `known`.
    ///
    /// # Errors
    /// `form_param_unknown`.
    pub fn only(&self, known: &[&str]) -> ApiResult<()> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(ApiError::param(ErrorCode::FormParamUnknown, name)
                .why(format!("{name} is unknown. Known here: {}.", known.join(", ")))),
            None => Ok(()),
        }
    }

    /// Whether the field was sent, even without a value.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Whether the field has a value that requests something: `null`, an empty text, an empty list
    /// and `false` do not.
    pub fn is_given(&self, name: &str) -> bool {
        match self.0.get(name) {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(items)) => !items.is_empty(),
            Some(_) => true,
        }
    }

    /// Refuses fields of the public API that have no effect here, so that the caller does not
    /// believe that they were applied.
    ///
    /// # Errors
    /// `form_param_unknown`, with the name of the field.
    pub fn refuse_not_offered(&self, names: &[&str]) -> ApiResult<()> {
        match names.iter().find(|name| self.is_given(name)) {
            Some(name) => Err(ApiError::param(ErrorCode::FormParamUnknown, name)
                .why(format!("{name} is not offered here, so nothing was changed. Leave it out."))),
            None => Ok(()),
        }
    }

    /// A text; `None` if the field is missing, null or empty, because browsers send an empty text
    /// for null.
    /// Compat: clerk/javascript packages/clerk-js/src/core/fapiClient.ts
    ///
    /// # Errors
    /// The value is not a text, is too long, or contains NUL.
    pub fn text(&self, name: &str) -> ApiResult<Option<String>> {
        let value = match self.0.get(name) {
            Some(Value::Array(values)) => values.last(),
            other => other,
        };
        match value {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => checked(name, text).map(|text| Some(text.to_owned())),
            Some(_) => Err(ApiError::param(ErrorCode::FormParamTypeInvalid, name)
                .why(format!("{name} has to be a text."))),
        }
    }

    /// A text of one line, as [`is_line`] says.
    ///
    /// # Errors
    /// As [`Self::text`]; and the text has a control character.
    pub fn line(&self, name: &str) -> ApiResult<Option<String>> {
        let text = self.text(name)?;
        match text.as_deref().is_none_or(is_line) {
            true => Ok(text),
            false => Err(ApiError::param(ErrorCode::FormParamFormatInvalid, name)
                .why(format!("{name} must not contain control characters, such as line ends."))),
        }
    }

    /// A required text.
    ///
    /// # Errors
    /// As [`Self::text`], and `form_param_missing`.
    pub fn required(&self, name: &str) -> ApiResult<String> {
        self.text(name)?.ok_or_else(|| {
            ApiError::param(ErrorCode::FormParamMissing, name).why(format!("{name} has to be given."))
        })
    }

    /// A text that browsers split at its commas, joined again.
    /// Compat: clerk/javascript packages/clerk-js/src/core/fapiClient.ts splits
    /// query values with a comma into repeated names.
    ///
    /// # Errors
    /// As [`Self::required`].
    pub fn rejoined(&self, name: &str) -> ApiResult<String> {
        match self.texts(name)?.join(",") {
            text if text.is_empty() => self.required(name),
            text => checked(name, &text).map(str::to_owned),
        }
    }

    /// Several texts: a list, or a repeated field.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub fn texts(&self, name: &str) -> ApiResult<Vec<String>> {
        let values = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(values)) => values.as_slice(),
            Some(one) => std::slice::from_ref(one),
        };
        values
            .iter()
            .map(|value| match value {
                Value::String(text) => checked(name, text).map(str::to_owned),
                _ => Err(ApiError::param(ErrorCode::FormParamTypeInvalid, name)),
            })
            .collect()
    }

    /// A boolean: `true` or `false`, as JSON or text.
    ///
    /// # Errors
    /// Any other value.
    pub fn flag(&self, name: &str) -> ApiResult<Option<bool>> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) => match text.as_str() {
                "" => Ok(None),
                "true" | "1" => Ok(Some(true)),
                "false" | "0" => Ok(Some(false)),
                _ => Err(ApiError::param(ErrorCode::FormParamTypeInvalid, name)
                    .why(format!("{name} has to be true or false."))),
            },
            Some(_) => Err(ApiError::param(ErrorCode::FormParamTypeInvalid, name)
                .why(format!("{name} has to be true or false."))),
        }
    }

    /// A whole number, as JSON or text.
    ///
    /// # Errors
    /// Any other value, or a negative number.
    pub fn number(&self, name: &str) -> ApiResult<Option<u64>> {
        let error = || {
            ApiError::param(ErrorCode::FormParamTypeInvalid, name)
                .why(format!("{name} has to be a whole number."))
        };
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(number)) => number.as_u64().map(Some).ok_or_else(error),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => text.parse().map(Some).map_err(|_| error()),
            Some(_) => Err(error()),
        }
    }

    /// A JSON object, as JSON or as JSON text in a form.
    ///
    /// # Errors
    /// Any other value.
    pub fn object(&self, name: &str) -> ApiResult<Option<Map<String, Value>>> {
        let error = || {
            ApiError::param(ErrorCode::FormParamTypeInvalid, name)
                .why(format!("{name} has to be a JSON object."))
        };
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object.clone())),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => serde_json::from_str(text).map(Some).map_err(|_| error()),
            Some(_) => Err(error()),
        }
    }
}

fn checked<'a>(name: &str, text: &'a str) -> ApiResult<&'a str> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(ApiError::param(ErrorCode::FormParamMaxLengthExceeded, name)
            .why(format!("{name} may have {MAX_TEXT_BYTES} bytes.")));
    }
    if text.contains('\0') {
        return Err(ApiError::param(ErrorCode::FormParamFormatInvalid, name)
            .why(format!("{name} must not contain NUL.")));
    }
    Ok(text)
}

fn depth_within(fields: &Map<String, Value>, levels: usize) -> bool {
    levels > 0
        && fields.values().all(|value| match value {
            Value::Object(inner) => depth_within(inner, levels - 1),
            Value::Array(items) => items.iter().all(|item| match item {
                Value::Object(inner) => depth_within(inner, levels - 1),
                Value::Array(_) => levels > 1 && !nested_too_deep(item, levels - 1),
                _ => true,
            }),
            _ => true,
        })
}

fn nested_too_deep(value: &Value, levels: usize) -> bool {
    match value {
        _ if levels == 0 => true,
        Value::Array(items) => items.iter().any(|item| nested_too_deep(item, levels - 1)),
        Value::Object(inner) => inner.values().any(|item| nested_too_deep(item, levels - 1)),
        _ => false,
    }
}

/// Decodes the name or the value of a form pair.
fn decode(text: &str) -> ApiResult<String> {
    percent_decoded(&text.replace('+', " ")).ok_or_else(|| {
        ApiError::new(ErrorCode::MalformedRequestParameters).why("A parameter is not valid UTF-8.")
    })
}

/// Decodes percent escapes; `None` if an escape is malformed or the bytes are not UTF-8: such text
/// is refused, not repaired (INP-03).
pub fn percent_decoded(text: &str) -> Option<String> {
    let is_escape = |rest: &str| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let is_well_formed = text.split('%').skip(1).all(is_escape);
    let decoded = is_well_formed.then(|| percent_decode_str(text).decode_utf8());
    decoded?.ok().map(std::borrow::Cow::into_owned)
}

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> ApiResult<Self> {
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            return Self::from_form(request.uri().query().unwrap_or(""));
        }
        let content_type = request.headers().get(header::CONTENT_TYPE).cloned();
        let bytes =
            axum::body::to_bytes(request.into_body(), MAX_BODY_BYTES).await.map_err(ApiError::internal)?;
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let content_type = content_type.as_ref().and_then(|value| value.to_str().ok()).unwrap_or("");
        match content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase().as_str() {
            "application/json" => Self::from_json(&bytes),
            "application/x-www-form-urlencoded" => {
                let text = std::str::from_utf8(&bytes).map_err(|_| {
                    ApiError::new(ErrorCode::RequestBodyInvalid).why("The body is not valid UTF-8.")
                })?;
                Self::from_form(text)
            }
            _ => Err(ApiError::new(ErrorCode::UnsupportedContentType)
                .why("Send application/json or application/x-www-form-urlencoded.")),
        }
    }
}

/// Refuses metadata larger than [`MAX_METADATA_BYTES`].
///
/// # Errors
/// `form_param_exceeds_allowed_size`.
pub fn within_metadata_limit(name: &str, metadata: &Map<String, Value>) -> ApiResult<()> {
    let bytes = serde_json::to_string(metadata).map_or(0, |text| text.len());
    if bytes <= MAX_METADATA_BYTES {
        return Ok(());
    }
    Err(metadata_too_large(name, bytes))
}

/// The error for metadata that would have this many bytes.
pub fn metadata_too_large(name: &str, bytes: usize) -> ApiError {
    ApiError::param(ErrorCode::FormParamExceedsAllowedSize, name).why(format!(
        "{name} would have {bytes} bytes, {MAX_METADATA_BYTES} are allowed. Keep large things in a database of your own."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_text_is_none_because_browsers_send_it_for_null() {
        let params = Params::from_form("active_organization_id=&intent=focus").expect("a form");
        assert_eq!(params.text("active_organization_id").expect("valid"), None);
        assert_eq!(params.text("intent").expect("valid").as_deref(), Some("focus"));
    }

    #[test]
    fn what_is_not_utf8_or_holds_nul_is_refused() {
        assert_eq!(
            Params::from_form("a=%ff").expect_err("refused").code(),
            ErrorCode::MalformedRequestParameters
        );
        assert_eq!(
            Params::from_form("a=%c3%28").expect_err("refused").code(),
            ErrorCode::MalformedRequestParameters
        );
        assert_eq!(
            Params::from_form("a=%zz").expect_err("refused").code(),
            ErrorCode::MalformedRequestParameters
        );
        let nul = Params::from_form("a=x%00y").expect("a form");
        assert_eq!(nul.text("a").expect_err("refused").code(), ErrorCode::FormParamFormatInvalid);
        assert_eq!(
            Params::from_json(b"{\"a\":\"\\ud800\"}").expect_err("refused").code(),
            ErrorCode::RequestBodyInvalid
        );
    }

    #[test]
    fn deep_json_is_refused() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(70), "]".repeat(70));
        assert_eq!(
            Params::from_json(deep.as_bytes()).expect_err("refused").code(),
            ErrorCode::RequestBodyInvalid
        );
    }

    #[test]
    fn a_name_that_comes_twice_is_a_list_and_its_last_value_counts() {
        let params = Params::from_form("email_address=a%40b.c&email_address=d%2Be%40f.g").expect("a form");
        assert_eq!(params.texts("email_address").expect("valid"), ["a@b.c", "d+e@f.g"]);
        assert_eq!(params.text("email_address").expect("valid").as_deref(), Some("d+e@f.g"));
    }
}
