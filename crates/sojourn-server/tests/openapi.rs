//! The committed OpenAPI document is the one that the routes give. After a
//! change of routes: `make generate`, and read the difference.

use std::{fs, path::Path};

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
    let document = serde_json::to_value(sojourn_server::openapi()).expect("plain data");
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() > 50, "only {} paths", paths.len());
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().expect("operations") {
            for field in ["operationId", "summary"] {
                assert!(operation[field].is_string(), "{method} {path} has no {field}");
            }
            assert!(!operation["tags"].as_array().expect("tags").is_empty(), "{method} {path}");
        }
    }
}
