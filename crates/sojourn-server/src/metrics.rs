//! `/metrics` for Prometheus (docs/metrics.md).

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use sojourn_metrics::{CONTENT_TYPE, MAILS, WEBHOOKS, observe_process, render};
use sojourn_store::{Engine as _, QueueLengths};

use crate::{app::App, auth::Connection, wire::ApiError};

pub const PATH: &str = "/metrics";

/// What programs write that pass a request on, beside `X-Forwarded-…`.
const FORWARDING: [&str; 5] = ["forwarded", "via", "x-real-ip", "cf-connecting-ip", "true-client-ip"];

/// All metrics. The queues are looked up now; where the database does not answer, the rest is shown
/// with the lengths that were known last.
pub async fn show_metrics(State(app): State<App>) -> Response {
    match app.store().queue_lengths(app.instance_id()).await {
        Ok(lengths) => set(lengths),
        Err(error) => tracing::warn!(%error, "the lengths of the queues could not be read for the metrics"),
    }
    observe_process();
    match render() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The same on the address of a development instance, for this machine alone. Production and instances
/// that others may reach show metrics on the addresses of `admin_listen` and nowhere else.
pub async fn show_metrics_to_this_machine(
    State(app): State<App>,
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
) -> Response {
    let is_local = connection.client.is_some_and(|client| client.is_loopback());
    // Whoever passes requests on may do so for somebody else.
    let is_passed_on = headers
        .keys()
        .any(|name| FORWARDING.contains(&name.as_str()) || name.as_str().starts_with("x-forwarded-"));
    if !app.has_development_tools() || !is_local || is_passed_on {
        return ApiError::not_found("address").into_response();
    }
    show_metrics(State(app)).await
}

fn set(lengths: QueueLengths) {
    let QueueLengths { queued_mails, failed_mails, queued_webhooks, failed_webhooks } = lengths;
    let value = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    MAILS.set(0, value(queued_mails));
    MAILS.set(1, value(failed_mails));
    WEBHOOKS.set(0, value(queued_webhooks));
    WEBHOOKS.set(1, value(failed_webhooks));
}
