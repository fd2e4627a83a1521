//! Webhook endpoints.

use std::time::Duration;

use axum::{
    Json,
    extract::Path,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use sojourn_api as api;
use sojourn_core::{
    id::Randomness as _,
    webhook::{OWN_EVENTS, VENDOR_EVENTS, is_event},
};
use sojourn_service::{
    Failure,
    idempotency::{CreationSecrets, create_once},
    webhooks::{
        self, EndpointPatch, WebhookError,
        signature::{SECRET_BYTES, text_of},
    },
};

use super::creation::creation;
use crate::{
    auth::ApplicationServer,
    wire::{self, ApiError, ApiResult, ErrorCode, Params},
};

const MAX_DESCRIPTION_CHARS: usize = 200;
const DEFAULT_OVERLAP_SECONDS: u64 = 86_400;
const MAX_OVERLAP_SECONDS: u64 = 7 * 86_400;

/// All webhook endpoints, oldest first.
#[utoipa::path(
    get, path = "/v1/webhooks/endpoints",
    responses((status = 200, description = "The endpoints", body = api::Page<api::WebhookEndpoint>)),
)]
pub async fn list_webhook_endpoints(app: ApplicationServer) -> ApiResult<Response> {
    let endpoints = webhooks::endpoints(&app).await?;
    let wall = app.moment().wall;
    let data: Vec<_> = endpoints.iter().map(|row| wire::webhook::endpoint(row, wall, None)).collect();
    let total_count = data.len() as u64;
    Ok(Json(api::Page { data, total_count }).into_response())
}

/// Creates a webhook endpoint. Only this response has its signing secret.
#[utoipa::path(
    post, path = "/v1/webhooks/endpoints",
    params(("Idempotency-Key" = Option<String>, Header, description = "A repeat with the same key gets the first answer, for a day")),
    request_body = api::CreateWebhookEndpoint,
    responses((status = 200, description = "The endpoint with its `secret`", body = api::WebhookEndpoint)),
    extensions(("x-error-codes" = json!([
        "form_param_max_length_exceeded", "form_param_missing", "form_param_type_invalid",
        "form_param_unknown", "form_param_value_invalid", "idempotency_key_reused",
        "malformed_request_parameters", "webhook_endpoint_limit_exceeded",
    ]))),
)]
pub async fn create_webhook_endpoint(
    app: ApplicationServer,
    headers: HeaderMap,
    params: Params,
) -> ApiResult<Response> {
    params.only(&["url", "events", "description"])?;
    let url = params.required("url")?;
    let (events, description) = (events(&params)?.unwrap_or_default(), description(&params)?.flatten());
    let creation = creation(&headers, "POST /v1/webhooks/endpoints", &params)?;
    let at = app.moment();
    let made = create_once(&app, creation.as_ref(), |nonce| {
        let (app, url) = (&app, &url);
        let (events, description) = (events.clone(), description.clone());
        async move {
            let secret: [u8; SECRET_BYTES] = CreationSecrets::new(app, &nonce).array();
            let mut endpoint = webhooks::new_endpoint(app, at, url, &secret).await?;
            endpoint.events = events;
            endpoint.description = description;
            let object = wire::webhook::endpoint(&endpoint, at.wall, None);
            Ok::<_, Failure<WebhookError>>((webhooks::insert(app, app.context(), at, &endpoint), object))
        }
    });
    let first = made.await?;
    let secret: [u8; SECRET_BYTES] = first.secrets(&app).array();
    let mut answer = first.answer;
    tracing::info!(endpoint_id = %answer["id"], "a webhook endpoint was created");
    answer["secret"] = text_of(&secret).0.into();
    Ok(Json(answer).into_response())
}

/// One webhook endpoint.
#[utoipa::path(
    get, path = "/v1/webhooks/endpoints/{endpoint_id}",
    responses((status = 200, description = "The endpoint", body = api::WebhookEndpoint)),
    extensions(("x-error-codes" = json!(["resource_not_found"]))),
)]
pub async fn get_webhook_endpoint(app: ApplicationServer, Path(id): Path<String>) -> ApiResult<Response> {
    let endpoint = webhooks::endpoint(&app, id.parse().ok()).await?;
    Ok(Json(wire::webhook::endpoint(&endpoint, app.moment().wall, None)).into_response())
}

/// Changes a webhook endpoint. Enabling one that was disabled after failures lets it begin anew.
#[utoipa::path(
    patch, path = "/v1/webhooks/endpoints/{endpoint_id}",
    request_body = api::UpdateWebhookEndpoint,
    responses((status = 200, description = "The endpoint", body = api::WebhookEndpoint)),
    extensions(("x-error-codes" = json!([
        "form_param_max_length_exceeded", "form_param_type_invalid", "form_param_unknown",
        "form_param_value_invalid", "resource_not_found",
    ]))),
)]
pub async fn update_webhook_endpoint(
    app: ApplicationServer,
    Path(id): Path<String>,
    params: Params,
) -> ApiResult<Response> {
    params.only(&["url", "events", "description", "enabled"])?;
    let patch = EndpointPatch {
        url: params.text("url")?,
        events: events(&params)?,
        description: description(&params)?,
        enabled: params.flag("enabled")?,
    };
    let endpoint = webhooks::update(&app, app.context(), id.parse().ok(), &patch).await?;
    Ok(Json(wire::webhook::endpoint(&endpoint, app.moment().wall, None)).into_response())
}

/// Deletes a webhook endpoint. Deliveries that wait are not sent.
#[utoipa::path(
    delete, path = "/v1/webhooks/endpoints/{endpoint_id}",
    responses((status = 200, description = "What was deleted", body = api::DeletedObject)),
    extensions(("x-error-codes" = json!(["resource_not_found"]))),
)]
pub async fn delete_webhook_endpoint(app: ApplicationServer, Path(id): Path<String>) -> ApiResult<Response> {
    let id = webhooks::delete(&app, app.context(), id.parse().ok()).await?;
    Ok(Json(wire::user::deleted("webhook_endpoint", &id.to_string())).into_response())
}

/// Gives a webhook endpoint a new signing secret, which only this response has. The secret so far
/// also signs for a time, so that receivers can be changed one by one.
#[utoipa::path(
    post, path = "/v1/webhooks/endpoints/{endpoint_id}/rotate_secret",
    request_body = api::RotateWebhookSecret,
    responses((status = 200, description = "The endpoint with its new `secret`", body = api::WebhookEndpoint)),
    extensions(("x-error-codes" = json!([
        "form_param_type_invalid", "form_param_unknown", "form_param_value_invalid", "resource_not_found",
    ]))),
)]
pub async fn rotate_webhook_secret(
    app: ApplicationServer,
    Path(id): Path<String>,
    params: Params,
) -> ApiResult<Response> {
    params.only(&["overlap_seconds"])?;
    let overlap = params.number("overlap_seconds")?.unwrap_or(DEFAULT_OVERLAP_SECONDS);
    if overlap > MAX_OVERLAP_SECONDS {
        return Err(ApiError::param(ErrorCode::FormParamValueInvalid, "overlap_seconds")
            .why(format!("overlap_seconds has to be from 0 to {MAX_OVERLAP_SECONDS}.")));
    }
    let overlap = Duration::from_secs(overlap);
    let (endpoint, secret) = webhooks::rotate_secret(&app, app.context(), id.parse().ok(), overlap).await?;
    Ok(Json(wire::webhook::endpoint(&endpoint, app.moment().wall, Some(secret.0))).into_response())
}

/// The events of a request, sorted; `None` if they are left out.
fn events(params: &Params) -> ApiResult<Option<Vec<String>>> {
    if !params.has("events") {
        return Ok(None);
    }
    let mut events = params.texts("events")?;
    if let Some(unknown) = events.iter().find(|event| !is_event(event)) {
        let known = [VENDOR_EVENTS.as_slice(), &OWN_EVENTS].concat().join(", ");
        return Err(ApiError::param(ErrorCode::FormParamValueInvalid, "events")
            .why(format!("There is no event {unknown:?}. There are: {known}.")));
    }
    events.sort_unstable();
    events.dedup();
    Ok(Some(events))
}

/// An outer `None` if it is left out, an inner one if it is empty.
#[expect(clippy::option_option, reason = "left out and removed are different")]
fn description(params: &Params) -> ApiResult<Option<Option<String>>> {
    if !params.has("description") {
        return Ok(None);
    }
    let text = params.line("description")?.map(|text| text.trim().to_owned());
    let text = text.filter(|text| !text.is_empty());
    if text.as_ref().is_some_and(|text| text.chars().count() > MAX_DESCRIPTION_CHARS) {
        return Err(ApiError::param(ErrorCode::FormParamMaxLengthExceeded, "description")
            .why(format!("A description may have {MAX_DESCRIPTION_CHARS} characters.")));
    }
    Ok(Some(text))
}
