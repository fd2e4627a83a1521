//! The OpenAPI document: what the routes say of themselves, and what holds for all of them.
//!
//! An operation names the error codes that it answers in the extension `x-error-codes`. Here they
//! become responses, together with those that every operation of its kind answers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use sojourn_api as api;
use utoipa::OpenApi as _;

use crate::{bapi, fapi, wire::ErrorCode};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Sojourn",
        description = "A self-hosted session server that speaks the public Frontend and Backend APIs of Clerk."
    ),
    components(schemas(api::ErrorAnswer))
)]
struct Documentation;

const ERROR_CODES: &str = "x-error-codes";

/// What any request may be answered with, before its operation sees it.
const ALWAYS: &[ErrorCode] = &[
    ErrorCode::HostUnknown,
    ErrorCode::HttpsRequired,
    ErrorCode::InternalError,
    ErrorCode::RequestBodyInvalid,
    ErrorCode::RequestBodyTooLarge,
    ErrorCode::RequestHeadersTooLarge,
    ErrorCode::RequestMalformed,
    ErrorCode::RequestTimeout,
    ErrorCode::RequestUriTooLong,
    ErrorCode::ServiceUnavailable,
];

/// Where parameters are read, from a query, a form or JSON.
const WITH_PARAMETERS: &[ErrorCode] = &[
    ErrorCode::FormParamFormatInvalid,
    ErrorCode::FormParamMaxLengthExceeded,
    ErrorCode::FormParamTypeInvalid,
    ErrorCode::MalformedRequestParameters,
    ErrorCode::UnsupportedContentType,
];

/// Where a secret key is needed.
const WITH_SECRET_KEY: &[ErrorCode] = &[
    ErrorCode::AuthenticationInvalid,
    ErrorCode::AuthorizationHeaderFormatInvalid,
    ErrorCode::ClerkKeyInvalid,
    ErrorCode::SecretKeyFromBrowser,
    ErrorCode::SecretKeyRoleInsufficient,
    ErrorCode::TooManyRequests,
];

/// Where a browser changes something with its cookie.
const FROM_BROWSER: &[ErrorCode] =
    &[ErrorCode::OriginInvalid, ErrorCode::OriginMissing, ErrorCode::TooManyRequests];

/// What a browser may ask that is signed in nowhere, whatever its cookie.
const SIGNED_IN_NOWHERE: [(&str, &str); 3] =
    [("get", "/v1/client"), ("get", "/v1/client/handshake"), ("get", "/v1/client/touch")];

/// The groups of operations; the longest path that an operation begins with says its group.
const TAGS: [(&str, &str); 27] = [
    ("/.well-known", "Well-known"),
    ("/dev", "Development"),
    ("/v1/actor_tokens", "Actor tokens"),
    ("/v1/audit_log", "Audit log"),
    ("/v1/client", "Client"),
    ("/v1/client/handshake", "Handshake"),
    ("/v1/client/sessions/{session_id}", "Sessions"),
    ("/v1/client/sign_ins", "Sign-ins"),
    ("/v1/client/sign_ups", "Sign-ups"),
    ("/v1/clients", "Clients"),
    ("/v1/environment", "Environment"),
    ("/v1/health", "Health"),
    ("/v1/instance", "Instance"),
    ("/v1/instance/secret_keys", "Secret keys"),
    ("/v1/instance/session_settings", "Settings"),
    ("/v1/instance/session_token", "Settings"),
    ("/v1/instance/settings", "Settings"),
    ("/v1/instance/settings_history", "Settings"),
    ("/v1/instance/signing_keys", "Signing keys"),
    ("/v1/jwks", "JWKS"),
    ("/v1/me", "Me"),
    ("/v1/platform", "Settings"),
    ("/v1/sessions", "Sessions"),
    ("/v1/sign_in_tokens", "Sign-in tokens"),
    ("/v1/testing_tokens", "Testing tokens"),
    ("/v1/users", "Users"),
    ("/v1/webhooks", "Webhooks"),
];

/// The document before the routes are added to it.
pub fn base() -> utoipa::openapi::OpenApi {
    Documentation::openapi()
}

/// The document with everything that holds for all operations.
pub fn complete(document: utoipa::openapi::OpenApi) -> Value {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    document["components"]["securitySchemes"] = json!({
        "secret_key": {"type": "http", "scheme": "bearer", "description": "A secret key of the instance."},
        "client": {
            "type": "apiKey", "in": "cookie", "name": "__client",
            "description": "The client's cookie; in development its name has a suffix.",
        },
    });
    for (status, codes) in by_status(ErrorCode::ALL.iter().copied().filter(|code| ALWAYS.contains(code))) {
        document["components"]["responses"][format!("Error{status}")] = error_response(&codes);
    }
    for (path, item) in document["paths"].as_object_mut().into_iter().flatten() {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            complete_operation(path, method, operation);
        }
    }
    require_nullable_fields(&mut document);
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schemas.extend(bapi::settings_schema::schemas());
    }
    describe_answers(&mut document);
    document
}

fn complete_operation(path: &str, method: &str, operation: &mut Value) {
    name_path_parameters(path, operation);
    let is_of = |(group, _): &&(&str, &str)| {
        path.strip_prefix(group).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let tag = TAGS.iter().filter(is_of).max_by_key(|(group, _)| group.len());
    operation["tags"] = tag.map(|(_, tag)| *tag).into_iter().collect();
    let is_public = fapi::is_public(path);
    if !is_public {
        let scheme = if fapi::owns(path) { "client" } else { "secret_key" };
        operation["security"] = json!([{scheme: []}]);
    }
    let mut codes: BTreeSet<&str> = ALWAYS.iter().map(|code| code.as_str()).collect();
    let mut add = |more: &[ErrorCode]| codes.extend(more.iter().map(|code| code.as_str()));
    if operation.get("requestBody").is_some() || operation.get("parameters").is_some() {
        add(WITH_PARAMETERS);
    }
    match (is_public, fapi::owns(path)) {
        (true, _) => {}
        (false, true) => {
            // Browsers send forms: no preflight comes before them.
            if let Some(Value::Object(content)) = operation.pointer_mut("/requestBody/content")
                && let Some(json) = content.remove("application/json")
            {
                content.insert("application/x-www-form-urlencoded".to_owned(), json);
            }
            add(FROM_BROWSER);
            if !SIGNED_IN_NOWHERE.contains(&(method, path)) {
                add(&[ErrorCode::AuthenticationInvalid]);
            }
        }
        (false, false) => add(WITH_SECRET_KEY),
    }
    if method != "get" {
        add(&[ErrorCode::Conflict]);
    }
    // A path that could be read in two ways is none, development tools exist nowhere else, and an
    // address may serve the other API alone.
    if path.contains('{') || path.starts_with("/dev/") || !is_public {
        add(&[ErrorCode::ResourceNotFound]);
    }
    let own = operation.as_object_mut().and_then(|operation| operation.remove(ERROR_CODES));
    let own: Vec<String> = own.and_then(|codes| serde_json::from_value(codes).ok()).unwrap_or_default();
    codes.extend(own.iter().map(String::as_str));
    let unknown = own.iter().find(|code| ErrorCode::ALL.iter().all(|known| known.as_str() != *code));
    assert_eq!(unknown, None, "{method} {path} names a code that does not exist");
    let codes = ErrorCode::ALL.iter().copied().filter(|code| codes.contains(code.as_str()));
    for (status, codes) in by_status(codes) {
        operation["responses"][status.to_string()] = match codes.iter().all(|code| ALWAYS.contains(code)) {
            true => json!({"$ref": format!("#/components/responses/Error{status}")}),
            false => error_response(&codes),
        };
    }
}

fn by_status(codes: impl Iterator<Item = ErrorCode>) -> BTreeMap<u16, Vec<ErrorCode>> {
    let mut by_status: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
    for code in codes {
        by_status.entry(code.status().as_u16()).or_default().push(code);
    }
    by_status
}

fn error_response(codes: &[ErrorCode]) -> Value {
    let lines: Vec<String> = codes.iter().map(|code| code.description()).collect();
    json!({
        "description": lines.join("\n"),
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}},
        ERROR_CODES: codes.iter().map(|code| code.as_str()).collect::<Vec<_>>(),
    })
}

/// Answers that say nothing of themselves are described by their types.
fn describe_answers(document: &mut Value) {
    let schemas = document["components"]["schemas"].clone();
    let operations = document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut);
    for operation in operations.filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
        for response in operation["responses"].as_object_mut().into_iter().flat_map(Map::values_mut) {
            let name = response["content"]["application/json"]["schema"]["$ref"].as_str();
            let name = name.and_then(|path| path.rsplit('/').next()).unwrap_or_default().to_owned();
            if response["description"].as_str().is_none_or(str::is_empty) && !name.is_empty() {
                response["description"] = schemas[&name]["description"].as_str().unwrap_or(&name).into();
            }
        }
    }
}

/// Lists the parameters of the path that the operation does not describe itself.
fn name_path_parameters(path: &str, operation: &mut Value) {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    for name in names {
        let described = operation["parameters"].as_array().into_iter().flatten();
        if described.into_iter().any(|parameter| parameter["name"] == name) {
            continue;
        }
        let parameter = json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}});
        match operation["parameters"].as_array_mut() {
            Some(parameters) => parameters.push(parameter),
            None => operation["parameters"] = json!([parameter]),
        }
    }
}

/// Answers always have their nullable fields (see the conventions of `sojourn-api`); requests may
/// leave them out.
fn require_nullable_fields(document: &mut Value) {
    let mut requested = BTreeSet::new();
    let operations = document["paths"].as_object().into_iter().flat_map(Map::values);
    for operation in operations.filter_map(Value::as_object).flat_map(Map::values) {
        collect_schemas(&operation["requestBody"], document, &mut requested);
    }
    for (name, schema) in document["components"]["schemas"].as_object_mut().into_iter().flatten() {
        if requested.contains(name) {
            continue;
        }
        require_in(schema);
        for part in schema.get_mut("allOf").and_then(Value::as_array_mut).into_iter().flatten() {
            require_in(part);
        }
    }
}

fn require_in(schema: &mut Value) {
    let nullable = |(name, property): (&String, &Value)| is_nullable(property).then(|| name.clone());
    let names: Vec<String> =
        schema["properties"].as_object().into_iter().flatten().filter_map(nullable).collect();
    if names.is_empty() {
        return;
    }
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let missing = names.into_iter().map(Value::from).filter(|name| !required.contains(name));
    schema["required"] = required.iter().cloned().chain(missing).collect();
}

fn is_nullable(property: &Value) -> bool {
    let types = property["type"].as_array().into_iter().flatten();
    let choices = property["oneOf"].as_array().into_iter().flatten();
    types.into_iter().any(|kind| kind == "null") || choices.into_iter().any(|choice| choice["type"] == "null")
}

/// The names of the schemas that `value` refers to, directly or through others.
fn collect_schemas(value: &Value, document: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            let name = fields.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
            if let Some(name) = name.filter(|name| found.insert((*name).to_owned())) {
                collect_schemas(&document["components"]["schemas"][name], document, found);
            }
            fields.values().for_each(|value| collect_schemas(value, document, found));
        }
        Value::Array(items) => items.iter().for_each(|value| collect_schemas(value, document, found)),
        _ => {}
    }
}
