//! What an act changes on an endpoint, as the audit log shows it: never the secret.

use serde_json::{Map, Value, json};
use sojourn_core::{
    audit::{Act, Action, FieldChange, REDACTED},
    settings::differences,
    webhook::WebhookEndpoint,
};

pub(super) fn creation(endpoint: &WebhookEndpoint) -> Act {
    act(Action::WebhookEndpointCreated, endpoint.id, &Map::new(), &shown(endpoint))
}

pub(super) fn deletion(endpoint: &WebhookEndpoint) -> Act {
    act(Action::WebhookEndpointDeleted, endpoint.id, &shown(endpoint), &Map::new())
}

pub(super) fn change(action: Action, before: &WebhookEndpoint, after: &WebhookEndpoint) -> Act {
    let mut act = act(action, after.id, &shown(before), &shown(after));
    if before.secrets != after.secrets {
        let (field, value) = ("secret".to_owned(), Value::from(REDACTED));
        act.changes.push(FieldChange { field, before: value.clone(), after: value });
    }
    act
}

fn act(
    action: Action,
    id: impl std::fmt::Display,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
) -> Act {
    Act::on(action, id).fields(differences(before, after).into_iter().map(FieldChange::from))
}

/// Receivers may put a token into the query, and everybody who reads the log would have it.
fn without_query(url: &str) -> String {
    match url.split_once('?') {
        Some((address, _)) => format!("{address}?{REDACTED}"),
        None => url.to_owned(),
    }
}

fn shown(endpoint: &WebhookEndpoint) -> Map<String, Value> {
    let WebhookEndpoint { url, description, events, disabled, .. } = endpoint;
    let fields = json!({
        "url": without_query(url),
        "description": description,
        "events": events,
        "enabled": disabled.is_none(),
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
