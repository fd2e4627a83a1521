//! The JSON Schema of the configuration: what each setting means, what it is
//! without being set, and what it may be. The command line writes its comments
//! from it.

use serde_json::{Map, Value, json};
use sojourn_core::{
    activity::Activity,
    lifetime::Bounds,
    settings::{MOST_CLOCK_SKEW, Settings, TokenSettings},
    time::Timestamp,
};

use super::instance_settings::{MAX_NAME_CHARS, MAX_ORIGINS};

/// The settings of a new instance.
pub fn defaults() -> Map<String, Value> {
    Settings::initial(Timestamp::from_millis(0)).config()
}

/// The schema for an instance that accepts durations within `bounds`.
pub fn schema(bounds: Bounds, development: bool) -> Value {
    let (least, most) = (bounds.least.as_secs(), bounds.most.as_secs());
    let (shortest, longest) = TokenSettings::lifetime_bounds(development);
    let duration = |description: &str| json!({"type": "integer", "minimum": least, "maximum": most, "description": description});
    let flag = |description: &str| json!({"type": "boolean", "description": description});
    let object = |description: &str, properties: Value| json!({"type": "object", "additionalProperties": false, "description": description, "properties": properties});
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "sojourn:config",
        "title": "Configuration of an instance",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "application_name": {
                "type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARS,
                "description": "How the application calls itself, on the sign-in pages and in mails.",
            },
            "allowed_origins": {
                "type": "array", "items": {"type": "string", "format": "uri"}, "maxItems": MAX_ORIGINS,
                "description": "Origins that may call the Frontend API, beside those of the server's own configuration.",
            },
            "test_mode": flag("Test addresses (+clerk_test) and their code work; development instances only."),
            "auth_email": object("E-mail addresses.", json!({
                "verify_at_sign_up": flag("A sign-up has to prove its address by a code sent there."),
            })),
            "auth_attack_protection": object("Protection against guessing.", json!({
                "enumeration_protection": {
                    "type": "string", "enum": ["off", "strict"],
                    "description": "Whether the sign-in pages hide which addresses have an account. strict answers alike for every address.",
                },
            })),
            "paths": object("Where people are sent.", json!({
                "home_url": {
                    "type": ["string", "null"], "format": "uri",
                    "description": "Where people go who opened the sign-in page by themselves.",
                },
            })),
            "session_settings": object("How long sessions live, and how many a browser holds. One of the two limits has to be on; the earlier one ends the session.", json!({
                "inactivity_timeout": object("The session is over when the application was closed, or did not refresh its token, for that long.", json!({
                    "enabled": flag("Whether it is on."),
                    "duration_seconds": duration("How long. Below twice the session token's lifetime it signs active users out; beyond 400 days browsers do not keep their cookies."),
                })),
                "maximum_lifetime": object("The session is over that long after sign-in, whatever happens.", json!({
                    "enabled": flag("Whether it is on."),
                    "duration_seconds": duration("How long. Beyond 400 days browsers do not keep their cookies, unless users come back in between."),
                })),
                "multi_session_enabled": flag("Several accounts are signed in at once in one browser."),
                "activity": {
                    "type": "string", "enum": [Activity::Token.as_str(), Activity::Visible.as_str()],
                    "description": "What keeps a session from being inactive: token counts every refresh of the token, visible none that a hidden tab makes.",
                },
                "ended_sessions_kept_seconds": duration("How long ended sessions and the records of their ends are kept."),
            })),
            "session": object("The session token, not the session.", json!({
                "claims": {
                    "type": "object",
                    "description": "Claims of one's own, with shortcodes such as {{user.full_name}}; replaced whole, but for a PATCH of the configuration.",
                },
                "lifetime": {
                    "type": "integer", "minimum": shortest, "maximum": longest,
                    "description": "Seconds a token is good for. That long a revocation takes to reach applications that verify tokens on their own.",
                },
                "allowed_clock_skew": {
                    "type": "integer", "minimum": 0, "maximum": MOST_CLOCK_SKEW,
                    "description": "Seconds by which nbf lies before iat.",
                },
            })),
        },
    });
    add_defaults(&mut schema, &Value::Object(defaults()));
    schema
}

/// Writes the defaults where they belong, so that they stand in one place only.
fn add_defaults(schema: &mut Value, defaults: &Value) {
    match schema.get_mut("properties").and_then(Value::as_object_mut) {
        Some(properties) => {
            for (name, inner) in properties {
                add_defaults(inner, &defaults[name.as_str()]);
            }
        }
        None => schema["default"] = defaults.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(path: &str, schema: &Value, default: &Value) {
        assert!(schema["description"].is_string() || path.is_empty(), "{path} says nothing");
        let Some(properties) = schema["properties"].as_object() else {
            assert_eq!(&schema["default"], default, "{path}");
            return;
        };
        let names = |object: &Map<String, Value>| object.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(properties), names(default.as_object().expect("an object")), "{path}");
        for (name, inner) in properties {
            walk(&format!("{path}.{name}"), inner, &default[name.as_str()]);
        }
    }

    #[test]
    fn the_schema_lists_exactly_the_settings_with_defaults() {
        walk("", &schema(Bounds::DEVELOPMENT, true), &Value::Object(defaults()));
    }

    #[test]
    fn the_bounds_are_those_of_the_instance() {
        let bounds = |schema: &Value, path: &str| {
            let at = schema.pointer(path).expect("a setting");
            (at["minimum"].as_u64(), at["maximum"].as_u64())
        };
        let maximum = "/properties/session_settings/properties/maximum_lifetime/properties/duration_seconds";
        let token = "/properties/session/properties/lifetime";
        let production = schema(Bounds::PRODUCTION, false);
        assert_eq!(bounds(&production, maximum), (Some(300), Some(315_360_000)));
        assert_eq!(bounds(&production, token), (Some(30), Some(300)));
        let development = schema(Bounds::DEVELOPMENT, true);
        assert_eq!(bounds(&development, maximum), (Some(1), Some(315_360_000)));
        assert_eq!(bounds(&development, token), (Some(10), Some(300)));
    }
}
