//! The committed OpenAPI document is the one that the routes give, and it says everything. After a
//! change of routes: `make generate`, and read the difference.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_json::Value;

const PUBLIC_FIELDS: &str = include_str!("../../../openapi/public-required-fields.txt");

/// Method, path and description of every operation.
fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            operations.push((method.to_uppercase(), path.clone(), operation));
        }
    }
    operations
}

#[test]
fn the_committed_openapi_document_is_what_is_served() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi/sojourn.json");
    let mut document = serde_json::to_string_pretty(&sojourn_server::openapi()).expect("plain data");
    document.push('\n');
    if std::env::var_os("GENERATE").is_some() {
        fs::write(&path, &document).expect("writable");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == document,
        "openapi/sojourn.json is old: run `make generate` and commit the difference"
    );
}

#[test]
fn every_operation_has_a_name_a_tag_and_a_sentence() {
    let document = sojourn_server::openapi();
    let mut names = BTreeSet::new();
    let operations = operations(&document);
    assert!(operations.len() > 100, "only {} operations", operations.len());
    for (method, path, operation) in operations {
        for field in ["operationId", "summary"] {
            assert!(operation[field].is_string(), "{method} {path} has no {field}");
        }
        let name = operation["operationId"].as_str().expect("a name");
        assert!(names.insert(name), "two operations are called {name}");
        assert!(!operation["tags"].as_array().expect("tags").is_empty(), "{method} {path}");
    }
}

#[test]
fn every_operation_describes_its_answers_and_parameters() {
    let document = sojourn_server::openapi();
    for (method, path, operation) in operations(&document) {
        let responses = operation["responses"].as_object().expect("responses");
        assert!(responses.len() > 5, "{method} {path} answers no errors");
        for (status, response) in
            responses.iter().filter(|(status, _)| !["204", "307"].contains(&status.as_str()))
        {
            let shared = response["$ref"].as_str().and_then(|path| document.pointer(&path[1..]));
            let response = shared.unwrap_or(response);
            let schema = &response["content"]["application/json"]["schema"];
            assert!(schema.is_object(), "{method} {path}: {status} has no schema");
            let codes = response["x-error-codes"].as_array();
            assert_eq!(codes.is_some(), status.as_str() >= "400", "{method} {path}: {status}");
        }
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        for name in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            let is_it = |parameter: &Value| parameter["name"] == name && parameter["in"] == "path";
            assert!(parameters.iter().any(is_it), "{method} {path} does not describe {name}");
        }
    }
}

/// The required fields of a schema, through references and parts.
fn required(schemas: &Value, schema: &Value, found: &mut BTreeSet<String>) {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        required(schemas, &schemas[name], found);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        required(schemas, part, found);
    }
    let names = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    found.extend(names.map(str::to_owned));
}

#[test]
fn answers_have_the_fields_that_the_public_documents_require() {
    let document = sojourn_server::openapi();
    let schemas = &document["components"]["schemas"];
    let mut missing = BTreeMap::new();
    for line in PUBLIC_FIELDS.lines().filter(|line| !line.starts_with('#')) {
        let (names, fields) = line.split_once("): ").expect("a line of fields");
        let (name, _) = names.split_once(" (").expect("our name and the public ones");
        assert!(schemas[name].is_object(), "there is no schema {name}");
        let mut ours = BTreeSet::new();
        required(schemas, &schemas[name], &mut ours);
        let lacking: Vec<&str> = fields.split(' ').filter(|field| !ours.contains(*field)).collect();
        if !lacking.is_empty() {
            missing.insert(name, lacking);
        }
    }
    assert_eq!(missing, BTreeMap::new());
}
