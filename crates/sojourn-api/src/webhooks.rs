//! Webhooks: endpoints and deliveries. The events themselves have the form of the vendor's document.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::{Kind, SessionEnd, UnixMillis, named};

/// A receiver of events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookEndpoint {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub id: String,
    pub url: String,
    pub description: Option<String>,
    /// The events that the endpoint asked for; empty: all events of the vendor's documentation.
    pub events: Vec<String>,
    pub enabled: bool,
    pub disabled_reason: Option<WebhookDisabledReason>,
    /// The first failure after the last success. After five days the endpoint is disabled.
    pub failing_since: Option<UnixMillis>,
    /// Until then the secret before the last rotation signs too.
    pub previous_secret_expires_at: Option<UnixMillis>,
    pub created_at: UnixMillis,
    pub updated_at: UnixMillis,
    /// The signing secret, `whsec_…`. Only in the response that created it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub secret: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WebhookDisabledReason {
    /// Somebody disabled it.
    ByRequest,
    /// Every attempt failed for five days.
    Failing,
    /// It responded with 410 Gone.
    Gone,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateWebhookEndpoint {
    /// An https URL. Its host has to be at a public address, unless the configuration of the server
    /// allows its network.
    pub url: String,
    /// Such as `session.created`; left out or empty: all events of the vendor's documentation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Fields that are left out stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpdateWebhookEndpoint {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<String>>,
    /// An empty text removes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RotateWebhookSecret {
    /// For how long the secret so far signs too: 86400 by default, at most 604800.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap_seconds: Option<u64>,
}

/// One event on its way to one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookDelivery {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    /// The header `svix-id` and `webhook-id` of every attempt.
    pub id: String,
    pub endpoint_id: String,
    pub event: String,
    pub user_id: Option<String>,
    pub status: WebhookDeliveryStatus,
    /// Attempts so far, since the last request for another one.
    pub attempts: u32,
    pub queued_at: UnixMillis,
    /// Null if it is finished, or waits for an earlier event of the same user.
    pub next_attempt_at: Option<UnixMillis>,
    pub finished_at: Option<UnixMillis>,
    pub last_attempt: Option<WebhookAttempt>,
    /// What is sent. Only in the response for one delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Object>)]
    pub payload: Option<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WebhookDeliveryStatus {
    Queued,
    Delivered,
    Failed,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookAttempt {
    pub at: UnixMillis,
    pub duration_ms: u64,
    /// Null without a response.
    pub http_status: Option<u16>,
    /// The first 200 characters of the response.
    pub response: Option<String>,
    /// Why there was no usable response.
    pub error: Option<String>,
}

/// The period of a replay, by the time at which the deliveries were queued.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReplayWebhooks {
    /// Unix milliseconds, inclusive.
    pub since: u64,
    /// Unix milliseconds, exclusive; now by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookReplay {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub endpoint_id: String,
    /// Deliveries that are sent again.
    pub queued: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListWebhookDeliveriesQuery {
    /// `queued`, `delivered` or `failed`.
    pub status: Option<String>,
    /// 1 to 500; 10 by default.
    pub limit: Option<u32>,
    pub offset: Option<u32>,
}

/// The body of a webhook. Source: spec webhooks/2025-04-15.yml `WebhookEventPayload`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WebhookPayload {
    pub data: Value,
    pub object: &'static str,
    #[serde(rename = "type")]
    pub event: String,
    pub timestamp: UnixMillis,
    pub instance_id: String,
    pub event_attributes: EventAttributes,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventAttributes {
    pub http_request: HttpRequestAttributes,
}

/// The request that caused the event; empty where it is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HttpRequestAttributes {
    pub client_ip: String,
    pub user_agent: String,
}

/// The `data` of a session's event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WebhookSession {
    #[serde(flatten)]
    pub session: crate::Session,
    /// Null if the user was deleted.
    pub user: Option<crate::User>,
    /// Why the session is over. An addition to the vendor's form; left out while it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<SessionEnd>,
}

named! {
    WebhookEndpoint = "webhook_endpoint"
    WebhookDelivery = "webhook_delivery"
    WebhookReplay = "webhook_replay"
}
