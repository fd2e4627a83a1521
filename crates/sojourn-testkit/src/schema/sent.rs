//! Requests against the OpenAPI document: a field that the server took and that the document does
//! not know fails the story that sent it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{check_value, collect, faults, operation, overriding_method, resolve};

/// What SDKs add to the query of any request.
const OF_EVERY_REQUEST: [&str; 4] =
    ["_method", "_clerk_js_version", "__clerk_api_version", "_clerk_session_id"];

/// What is wrong, by the document, with a request that was answered with success.
///
/// # Errors
/// A line per fault.
pub fn check(asked: &str, content_type: &str, body: &[u8]) -> Result<(), String> {
    let (method, target) = asked.split_once(' ').unwrap_or((asked, ""));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let method = overriding_method(method, target);
    let Some(operation) = operation(&method, path.trim_end_matches('/')) else { return Ok(()) };
    let mut found = Vec::new();
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let described: BTreeMap<&str, &Value> = parameters
        .filter(|parameter| parameter["in"] == "query")
        .filter_map(|parameter| Some((parameter["name"].as_str()?, parameter)))
        .collect();
    for (name, texts) in pairs(query.as_bytes()) {
        match described.get(name.as_str()) {
            Some(parameter) => match typed(&parameter["schema"], &texts) {
                Value::Null if parameter["required"] != true => {}
                value => check_value(&parameter["schema"], &value, &name, &mut found),
            },
            None if OF_EVERY_REQUEST.contains(&name.as_str()) => {}
            None => found.push(format!("the document has no parameter {name}")),
        }
    }
    let described = operation["requestBody"]["content"].as_object();
    let schema = described.and_then(|content| content.values().next()).map(|content| &content["schema"]);
    let is_form = content_type.starts_with("application/x-www-form-urlencoded");
    let sent: Value = match (body.is_empty(), is_form) {
        (true, _) => Map::new().into(),
        (false, true) => of_form(schema.unwrap_or(&Value::Null), body),
        (false, false) => serde_json::from_slice(body).map_err(|error| error.to_string())?,
    };
    match schema {
        Some(schema) => found.extend(faults(schema, &sent).err()),
        None if sent.as_object().is_some_and(Map::is_empty) => {}
        None => found.push(format!("the document has no body for it, and it has {sent}")),
    }
    if found.is_empty() { Ok(()) } else { Err(found.join("\n")) }
}

fn pairs(text: &[u8]) -> BTreeMap<String, Vec<String>> {
    let mut pairs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(text) {
        pairs.entry(name.into_owned()).or_default().push(value.into_owned());
    }
    pairs
}

/// The fields of a form as JSON of the types that the schema has for them.
fn of_form(schema: &Value, body: &[u8]) -> Value {
    let (mut properties, mut required, mut open) = (BTreeMap::new(), Vec::new(), false);
    collect(resolve(schema), &mut properties, &mut required, &mut open);
    let field = |(name, texts): (String, Vec<String>)| {
        let schema = properties.get(name.as_str()).copied().unwrap_or(&Value::Null);
        let value = typed(schema, &texts);
        (name, value)
    };
    pairs(body).into_iter().map(field).collect::<Map<_, _>>().into()
}

/// Texts as the server reads them: an empty one means null, and a repeated name is a list.
fn typed(schema: &Value, texts: &[String]) -> Value {
    let schema = resolve(schema);
    let choices = schema["oneOf"].as_array().into_iter().flatten();
    let schema = choices.map(resolve).find(|choice| choice["type"] != "null").unwrap_or(schema);
    let is = |kind: &str| {
        schema["type"] == kind || schema["type"].as_array().is_some_and(|kinds| kinds.contains(&kind.into()))
    };
    if is("array") {
        return texts.iter().map(|text| typed(&schema["items"], std::slice::from_ref(text))).collect();
    }
    match texts.last().map_or("", String::as_str) {
        "" => Value::Null,
        "true" | "1" if is("boolean") => true.into(),
        "false" | "0" if is("boolean") => false.into(),
        text if is("integer") || is("object") => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        text => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_and_a_parameter_that_no_document_names_are_found() {
        let json = |body: Value| check("POST /v1/users", "application/json", body.to_string().as_bytes());
        assert_eq!(json(json!({"email_address": ["a@example.com"], "banned": true})), Ok(()));
        assert!(json(json!({"email_address": ["a@example.com"], "shoe_size": 42})).is_err());
        assert!(json(json!({"email_address": "a@example.com"})).is_err());
        assert_eq!(check("GET /v1/users?limit=5&user_id=a&user_id=b", "", b""), Ok(()));
        assert!(check("GET /v1/users?limit=five", "", b"").is_err());
        assert!(check("GET /v1/users?shoe_size=42", "", b"").is_err());
        assert!(check("POST /v1/users/user_1/ban", "application/json", b"{\"until\":1}").is_err());
    }

    #[test]
    fn a_form_has_the_types_of_the_document() {
        let form = |body: &str| {
            check("PATCH /v1/me?_method=PATCH", "application/x-www-form-urlencoded", body.as_bytes())
        };
        assert_eq!(form("first_name=Ada&last_name=&unsafe_metadata=%7B%7D"), Ok(()));
        assert!(form("unsafe_metadata=shoes").is_err());
        assert!(form("shoe_size=42").is_err());
    }
}
