//! The documents of the settings as types of the API. The registry makes their schemas, so a new
//! setting is in the OpenAPI document without being written there, and an answer that lacks one
//! differs from it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sojourn_core::{environment::Environment, settings::registry};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{Ref, RefOr, Schema},
};

/// Each becomes a type whose schema is a reference to one of [`schemas`].
macro_rules! documents {
    ($($name:ident = $schema:expr;)*) => {
        $(
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            #[serde(transparent)]
            pub struct $name(Map<String, Value>);

            impl From<Map<String, Value>> for $name {
                fn from(document: Map<String, Value>) -> Self {
                    Self(document)
                }
            }

            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    Ref::from_schema_name(stringify!($name)).into()
                }
            }

            impl ToSchema for $name {
                fn name() -> Cow<'static, str> {
                    stringify!($name).into()
                }
            }
        )*

        /// The schemas of the documents by their names.
        pub fn schemas() -> Map<String, Value> {
            Map::from_iter([$((stringify!($name).to_owned(), $schema)),*])
        }
    };
}

documents! {
    SessionSettings = whole(change("session_settings"));
    SessionSettingsChange = change("session_settings");
    SessionTokenSettings = whole(change("session"));
    SessionTokenSettingsChange = change("session");
    InstanceSettings = whole(without_tables(change("")));
    InstanceSettingsChange = without_tables(change(""));
    Configuration = whole(change(""));
    ConfigurationPart = part(whole(change("")));
    ConfigurationChange = or_null(change(""));
    NewConfiguration = or_null(whole(change("")));
}

/// The documents that have an address of their own.
pub const TABLES: [&str; 2] = ["session_settings", "session"];

/// Any subset of a table of the settings; bounds are those of development, the wider ones.
fn change(table: &str) -> Value {
    let mut schema = registry::schema(table, Environment::Development);
    if let Some(keywords) = schema.as_object_mut() {
        keywords.retain(|name, _| !name.starts_with('$'));
    }
    schema
}

fn without_tables(mut schema: Value) -> Value {
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.retain(|name, _| !TABLES.contains(&name.as_str()));
    }
    schema
}

/// With all its settings, as an answer has it; other fields may stand beside them.
fn whole(mut schema: Value) -> Value {
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        let names: Vec<String> = properties.keys().cloned().collect();
        properties.values_mut().for_each(|property| *property = whole(property.take()));
        schema["required"] = json!(names);
        schema.as_object_mut().map(|keywords| keywords.remove("additionalProperties"));
    }
    schema
}

/// Some of its tables, each of them whole.
fn part(mut schema: Value) -> Value {
    schema.as_object_mut().map(|keywords| keywords.remove("required"));
    schema
}

/// With null for what goes back to its default.
fn or_null(mut schema: Value) -> Value {
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for property in properties.into_iter().flat_map(Map::values_mut) {
        *property = json!({"oneOf": [{"type": "null"}, or_null(property.take())]});
    }
    schema
}

#[cfg(test)]
mod tests {
    use sojourn_core::settings::registry::names_in;

    use super::*;

    #[test]
    fn each_setting_is_in_the_schema_of_its_document() {
        let schemas = schemas();
        for (table, without, name) in [
            ("session_settings", &[][..], "SessionSettings"),
            ("session", &[][..], "SessionTokenSettings"),
            ("", &TABLES[..], "InstanceSettings"),
            ("", &[][..], "Configuration"),
        ] {
            let mut expected = names_in(table);
            expected.retain(|name| !without.contains(name));
            expected.sort_unstable();
            assert_eq!(schemas[name]["required"], json!(expected));
            let properties = schemas[name]["properties"].as_object().expect("properties");
            assert_eq!(properties.keys().collect::<Vec<_>>(), expected);
        }
        let lifetime = &schemas["SessionTokenSettingsChange"]["properties"]["lifetime"];
        assert_eq!((&lifetime["maximum"], &lifetime["default"]), (&json!(300), &json!(60)));
        let limit =
            &schemas["Configuration"]["properties"]["session_settings"]["properties"]["maximum_lifetime"];
        assert_eq!(limit["required"], json!(["duration_seconds", "enabled"]));
    }
}
