//! The schemas of the settings endpoints, made from the registry: a new setting is in the document
//! of the API without being written there.

use std::borrow::Cow;

use serde_json::{Value, json};
use sojourn_core::{environment::Environment, settings::registry};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

macro_rules! schemas {
    ($($name:ident = $schema:expr;)*) => {
        $(
            #[derive(Clone, Copy, Debug)]
            pub struct $name;

            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    serde_json::from_value($schema).expect("a schema of ours")
                }
            }

            impl ToSchema for $name {
                fn name() -> Cow<'static, str> {
                    Cow::Borrowed(stringify!($name))
                }
            }
        )*
    };
}

schemas! {
    SessionSettingsChange = part("session_settings", &[]);
    SessionSettingsAnswer = versioned("session_settings", &[], &[]);
    SessionTokenChange = part("session", &[]);
    SessionTokenAnswer = versioned("session", &[], &[("claims_cut", json!({
        "type": "object",
        "description": "Tokens without the claims that they should have had, counted by this process.",
        "properties": {
            "since": {"type": "integer"},
            "tokens": {"type": "integer"},
            "user_ids": {"type": "array", "items": {"type": "string"}},
        },
    }))]);
    InstanceSettingsChange = part("", &TABLES);
    InstanceSettingsAnswer = versioned("", &TABLES, &[]);
    Configuration = {
        let mut schema = part("", &[]);
        schema["properties"]["config_version"] = json!({"type": "string"});
        schema
    };
    ConfigurationChanged = json!({
        "type": "object",
        "properties": {
            "config_version": {"type": "string"},
            "dry_run": {"type": "boolean"},
            "before": part("", &[]),
            "after": part("", &[]),
            "warnings": warnings(),
            "would_end": would_end(),
        },
    });
}

/// The documents that have an address of their own.
const TABLES: [&str; 2] = ["session_settings", "session"];

/// A table of the settings, any subset of which may be there; bounds are those of development,
/// the wider ones.
fn part(table: &str, without: &[&str]) -> Value {
    let mut schema = registry::schema(table, Environment::Development);
    let object = schema.as_object_mut().expect("an object");
    object.retain(|name, _| !name.starts_with('$'));
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        properties.retain(|name, _| !without.contains(&name.as_str()));
    }
    schema
}

/// What GET and PATCH answer; in a dry run `before` and `after` instead of the settings.
fn versioned(table: &str, without: &[&str], more: &[(&str, Value)]) -> Value {
    let settings = part(table, without);
    let mut schema = settings.clone();
    let beside = [
        ("object", json!({"type": "string"})),
        ("version", json!({"type": "integer"})),
        ("updated_at", json!({"type": "integer"})),
        ("warnings", warnings()),
        ("before", settings.clone()),
        ("after", settings),
        ("would_end", would_end()),
        ("rendered", json!({"type": "object", "description": "In a dry run with `user_id`: their claims."})),
    ];
    let is_of = |name: &str| match name {
        "would_end" => table == "session_settings",
        "rendered" => table == "session",
        _ => true,
    };
    for (name, property) in beside.into_iter().chain(more.iter().cloned()).filter(|(name, _)| is_of(name)) {
        schema["properties"][name] = property;
    }
    schema["required"] = json!(["object"]);
    schema
}

fn warnings() -> Value {
    json!({
        "type": "array",
        "items": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
        },
    })
}

fn would_end() -> Value {
    json!({
        "type": "object",
        "description": "Sessions that a dry run found to end by the change.",
        "properties": {"now": {"type": "integer"}, "within_one_hour": {"type": "integer"}},
    })
}

#[cfg(test)]
mod tests {
    use sojourn_core::settings::registry::names_in;

    use super::*;

    #[test]
    fn each_setting_is_in_the_schema_of_its_document() {
        let names = |schema: RefOr<Schema>| {
            let schema = serde_json::to_value(schema).expect("JSON");
            schema["properties"].as_object().expect("an object").keys().cloned().collect::<Vec<_>>()
        };
        for (table, without, schema) in [
            ("session_settings", &[][..], SessionSettingsChange::schema()),
            ("session", &[][..], SessionTokenChange::schema()),
            ("", &TABLES[..], InstanceSettingsChange::schema()),
        ] {
            let mut expected = names_in(table);
            expected.retain(|name| !without.contains(name));
            expected.sort_unstable();
            assert_eq!(names(schema), expected);
        }
        let lifetime = serde_json::to_value(SessionTokenAnswer::schema()).expect("JSON");
        let lifetime = &lifetime["properties"]["lifetime"];
        assert_eq!((&lifetime["maximum"], &lifetime["default"]), (&json!(300), &json!(60)));
        ConfigurationChanged::schema();
        Configuration::schema();
        InstanceSettingsAnswer::schema();
        SessionSettingsAnswer::schema();
    }
}
