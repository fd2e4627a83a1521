//! Answers against the OpenAPI document: a field that is missing, or that the document does not
//! know, fails the story that received it.

pub mod sent;

use std::{collections::BTreeMap, sync::LazyLock};

use axum::http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value};

static DOCUMENT: LazyLock<Value> = LazyLock::new(sojourn_server::openapi);

/// Words of a schema that say nothing about the value's shape.
const ANNOTATIONS: &[&str] = &[
    "title",
    "description",
    "default",
    "example",
    "examples",
    "deprecated",
    "format",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "propertyNames",
    "readOnly",
    "writeOnly",
    "pattern",
];

/// What is wrong with an answer to `asked` (`GET /v1/client?…`), by the document.
///
/// # Errors
/// A line per fault.
pub fn check(asked: &str, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<(), String> {
    let (method, target) = asked.split_once(' ').unwrap_or((asked, ""));
    let path = target.split('?').next().unwrap_or("");
    let of_api = ["/v1/", "/dev/", "/.well-known/"].iter().any(|section| path.starts_with(section));
    let method = overriding_method(method, target);
    if !of_api || method == "OPTIONS" || method == "HEAD" {
        return Ok(());
    }
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    // Navigations get refusals as pages.
    if content_type.starts_with("text/html") && status.as_u16() >= 400 {
        return Ok(());
    }
    let body: Value = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(body).map_err(|error| format!("no JSON: {error}"))?
    };
    let error_schema = &DOCUMENT["components"]["schemas"]["ErrorAnswer"];
    let Some(operation) = operation(&method, path.trim_end_matches('/')) else {
        return match status.as_u16() >= 400 {
            true => faults(error_schema, &body),
            false => Err("the document has no such operation".to_owned()),
        };
    };
    let Some(response) = operation["responses"].get(status.as_str()) else {
        return Err(format!("the document has no answer {status} of {method} {path}"));
    };
    let response = resolve(response);
    if let Some(codes) = response["x-error-codes"].as_array() {
        let code = &body["errors"][0]["code"];
        if !codes.contains(code) {
            return Err(format!("the document has no code {code} among the answers of {method} {path}"));
        }
    }
    match response["content"].as_object().and_then(|content| content.values().next()) {
        Some(content) => faults(&content["schema"], &body),
        None if body.is_null() => Ok(()),
        None => Err("the document has no schema for this answer".to_owned()),
    }
}

/// Browsers send `POST …?_method=DELETE` for a DELETE. The last name counts; others than these are no
/// method and leave the POST as it is (`middleware::override_method`).
fn overriding_method(method: &str, target: &str) -> String {
    let named = target.split(['?', '&']).filter_map(|pair| pair.strip_prefix("_method=")).next_back();
    let named = named.map(str::to_ascii_uppercase).unwrap_or_default();
    let is_ours = target.starts_with("/v1/client") || target.starts_with("/v1/me");
    match (method, named.as_str()) {
        ("POST", "PATCH" | "PUT" | "DELETE") if is_ours => named,
        _ => method.to_owned(),
    }
}

/// The operation of the document, the one with the fewest placeholders first.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let parts: Vec<&str> = path.split('/').collect();
    let matches = |template: &&String| {
        let wanted: Vec<&str> = template.split('/').collect();
        wanted.len() == parts.len()
            && wanted.iter().zip(&parts).all(|(wanted, part)| wanted.starts_with('{') || wanted == part)
    };
    let paths = DOCUMENT["paths"].as_object()?;
    let template = paths.keys().filter(matches).min_by_key(|template| template.matches('{').count())?;
    paths[template].get(method.to_ascii_lowercase())
}

fn faults(schema: &Value, value: &Value) -> Result<(), String> {
    let mut faults = Vec::new();
    check_value(schema, value, "", &mut faults);
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

fn resolve(schema: &Value) -> &Value {
    match schema["$ref"].as_str() {
        Some(path) => resolve(DOCUMENT.pointer(path.trim_start_matches('#')).unwrap_or(&Value::Null)),
        None => schema,
    }
}

fn check_value(schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let schema = resolve(schema);
    let Some(keywords) = schema.as_object() else {
        // `true` and an absent schema allow everything.
        return;
    };
    for keyword in keywords.keys().filter(|keyword| !ANNOTATIONS.contains(&keyword.as_str())) {
        match keyword.as_str() {
            "type" => check_type(&keywords["type"], value, at, faults),
            "enum" if !schema["enum"].as_array().is_some_and(|words| words.contains(value)) => {
                faults.push(format!("{at}: {value} is none of {}", schema["enum"]));
            }
            "const" if schema["const"] != *value => faults.push(format!("{at}: is not {}", schema["const"])),
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check_value(&schema["items"], item, &format!("{at}[{index}]"), faults);
                }
            }
            "minItems" | "maxItems" => {
                let length = value.as_array().map_or(0, Vec::len) as u64;
                let bound = keywords[keyword].as_u64().unwrap_or(0);
                let fits = if keyword == "minItems" { length >= bound } else { length <= bound };
                if !fits {
                    faults.push(format!("{at}: has {length} items"));
                }
            }
            "oneOf" | "anyOf" => check_choices(&keywords[keyword], value, at, faults),
            // Together below, because an object of several parts has the fields of all.
            "properties" | "required" | "additionalProperties" | "allOf" | "enum" | "const" => {}
            other => {
                faults.push(format!("{at}: the keyword {other} is not understood; teach it to schema.rs"));
            }
        }
    }
    if let Some(fields) = value.as_object() {
        check_fields(schema, fields, at, faults);
    }
}

fn check_type(kinds: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let is = |kind: &Value| match kind.as_str().unwrap_or("") {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    let fits = match kinds {
        Value::Array(kinds) => kinds.iter().any(is),
        kind => is(kind),
    };
    if !fits {
        faults.push(format!("{at}: {value} is not of type {kinds}"));
    }
}

fn check_choices(choices: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let mut nearest: Option<Vec<String>> = None;
    let choices = choices.as_array().into_iter().flatten();
    for choice in choices.filter(|choice| value.is_null() || choice["type"] != "null") {
        let mut found = Vec::new();
        check_value(choice, value, at, &mut found);
        // The choice that fits best tells most.
        if nearest.as_ref().is_none_or(|nearest| found.len() < nearest.len()) {
            nearest = Some(found);
        }
    }
    faults.extend(nearest.unwrap_or_default());
}

/// Every required field is there, and no field that the schema does not have.
fn check_fields(schema: &Value, fields: &Map<String, Value>, at: &str, faults: &mut Vec<String>) {
    let mut properties = BTreeMap::new();
    let mut required = Vec::new();
    let mut open = false;
    collect(schema, &mut properties, &mut required, &mut open);
    for name in required.iter().filter(|name| !fields.contains_key(**name)) {
        faults.push(format!("{at}: the field {name} is missing"));
    }
    for (name, value) in fields {
        match properties.get(name.as_str()) {
            Some(property) => check_value(property, value, &format!("{at}.{name}"), faults),
            None if open => {}
            None => faults.push(format!("{at}: the document has no field {name}")),
        }
    }
}

fn collect<'a>(
    schema: &'a Value,
    properties: &mut BTreeMap<&'a str, &'a Value>,
    required: &mut Vec<&'a str>,
    open: &mut bool,
) {
    for part in schema["allOf"].as_array().into_iter().flatten() {
        collect(resolve(part), properties, required, open);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        properties.insert(name, property);
    }
    required.extend(schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str));
    // A choice is checked by itself, and a map describes its values instead of fields.
    *open |= schema.get("oneOf").is_some()
        || schema.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false))
        || (schema.get("properties").is_none() && schema.get("allOf").is_none());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check_token(body: &Value) -> Result<(), String> {
        let asked = "POST /v1/client/sessions/sess_1/tokens?x=y";
        check(asked, StatusCode::OK, &HeaderMap::new(), body.to_string().as_bytes())
    }

    #[test]
    fn a_missing_an_unknown_and_a_wrong_field_are_found() {
        assert_eq!(check_token(&json!({"object": "token", "jwt": "a.b.c"})), Ok(()));
        assert!(check_token(&json!({"object": "token"})).is_err());
        assert!(check_token(&json!({"object": "token", "jwt": "a.b.c", "ttl": 1})).is_err());
        assert!(check_token(&json!({"object": "chair", "jwt": "a.b.c"})).is_err());
        assert!(check_token(&json!({"object": "token", "jwt": 1})).is_err());
    }

    #[test]
    fn an_object_of_several_parts_has_the_fields_of_all() {
        let schema = json!({"allOf": [
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            {"type": "object", "properties": {"b": {"type": ["string", "null"]}}, "required": ["b"]},
        ]});
        assert_eq!(faults(&schema, &json!({"a": 1, "b": null})), Ok(()));
        assert!(faults(&schema, &json!({"a": 1})).is_err());
        assert!(faults(&schema, &json!({"a": 1, "b": null, "c": 1})).is_err());
    }

    #[test]
    fn an_answer_and_a_code_that_no_document_names_are_found() {
        let error = |code: &str| json!({"errors": [{"code": code, "message": "m", "long_message": "l", "meta": {}}], "clerk_trace_id": "t"});
        let answer = |status, code| {
            let body = error(code).to_string();
            check("GET /v1/sessions/sess_1", status, &HeaderMap::new(), body.as_bytes())
        };
        assert_eq!(answer(StatusCode::NOT_FOUND, "resource_not_found"), Ok(()));
        assert!(answer(StatusCode::NOT_FOUND, "resource_gone").is_err());
        assert!(answer(StatusCode::IM_A_TEAPOT, "resource_not_found").is_err());
    }
}
