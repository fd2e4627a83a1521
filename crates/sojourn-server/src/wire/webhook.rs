//! Webhooks on the wire: the bodies of events, and the objects of the API.

use serde::Serialize;
use serde_json::{Value, json};
use sojourn_api as api;
use sojourn_core::{
    time::Timestamp,
    webhook::{DeliveryStatus, Disabled, WebhookAttempt, WebhookDelivery, WebhookEndpoint},
};
use sojourn_service::{
    users::ActiveUser,
    webhooks::{Subject, WebhookEvent},
};

use super::{
    millis,
    session::backend_session,
    session_end,
    user::{Audience, deleted, user as user_object},
};

/// The body of an event. It is never empty, not even for a test: some verifiers throw on an empty
/// body.
/// Compat: spec webhooks/2025-04-15.yml
pub fn compose(event: &WebhookEvent) -> String {
    let payload = api::WebhookPayload {
        data: data(event),
        object: "event",
        event: event.name.clone(),
        timestamp: millis(event.at),
        instance_id: event.instance_id.to_string(),
        event_attributes: api::EventAttributes { http_request: request(event) },
    };
    serde_json::to_string(&payload).expect("plain data")
}

fn data(event: &WebhookEvent) -> Value {
    match &event.subject {
        Subject::User(user) => value(&active_user(user, event.at)),
        Subject::DeletedUser(id) => value(&deleted("user", &id.to_string())),
        Subject::Session { session, policy, user } => value(&api::WebhookSession {
            session: backend_session(event.at, policy, session),
            user: user.as_ref().map(|user| active_user(user, event.at)),
            end: session.closed.map(|closing| session_end::record(session, &closing)),
        }),
        Subject::Test => json!({"object": "test", "message": "This webhook was sent to try the endpoint."}),
    }
}

fn active_user(user: &ActiveUser, at: Timestamp) -> api::User {
    user_object(&user.user, user.last_active_at, at, Audience::Backend)
}

fn value(data: &impl Serialize) -> Value {
    serde_json::to_value(data).expect("plain data")
}

/// A sign-in is the one request whose sender is stored.
fn request(event: &WebhookEvent) -> api::HttpRequestAttributes {
    match &event.subject {
        Subject::Session { session, .. } if event.name == "session.created" => api::HttpRequestAttributes {
            client_ip: session.device.ip_address.clone(),
            user_agent: session.device.user_agent.clone(),
        },
        _ => api::HttpRequestAttributes::default(),
    }
}

/// An endpoint, with its secret if it was just created.
pub fn endpoint(row: &WebhookEndpoint, wall: Timestamp, secret: Option<String>) -> api::WebhookEndpoint {
    api::WebhookEndpoint {
        object: api::Kind::default(),
        id: row.id.to_string(),
        url: row.url.clone(),
        description: row.description.clone(),
        events: row.events.clone(),
        enabled: row.disabled.is_none(),
        disabled_reason: row.disabled.map(|reason| match reason {
            Disabled::ByRequest => api::WebhookDisabledReason::ByRequest,
            Disabled::Failing => api::WebhookDisabledReason::Failing,
            Disabled::Gone => api::WebhookDisabledReason::Gone,
        }),
        failing_since: row.failing_since.map(millis),
        previous_secret_expires_at: row.valid_secrets(wall).find_map(|secret| secret.expires_at).map(millis),
        created_at: millis(row.created_at),
        updated_at: millis(row.updated_at),
        secret,
    }
}

/// A delivery, with its body if it is requested alone.
pub fn delivery(row: &WebhookDelivery, body: Option<&str>) -> api::WebhookDelivery {
    api::WebhookDelivery {
        object: api::Kind::default(),
        id: row.id.to_string(),
        endpoint_id: row.endpoint_id.to_string(),
        event: row.event.clone(),
        user_id: row.user_id.map(|id| id.to_string()),
        status: match row.status {
            DeliveryStatus::Queued => api::WebhookDeliveryStatus::Queued,
            DeliveryStatus::Delivered => api::WebhookDeliveryStatus::Delivered,
            DeliveryStatus::Failed => api::WebhookDeliveryStatus::Failed,
        },
        attempts: row.attempts,
        queued_at: millis(row.queued_at),
        next_attempt_at: row.due_at.map(millis),
        finished_at: row.finished_at.map(millis),
        last_attempt: row.last_attempt.as_ref().map(attempt),
        payload: body.and_then(|body| serde_json::from_str(body).ok()),
    }
}

fn attempt(attempt: &WebhookAttempt) -> api::WebhookAttempt {
    api::WebhookAttempt {
        at: millis(attempt.at),
        duration_ms: attempt.duration_ms,
        http_status: attempt.http_status,
        response: attempt.answer.clone(),
        error: attempt.error.clone(),
    }
}
