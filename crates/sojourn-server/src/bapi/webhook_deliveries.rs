//! Webhook deliveries: what was sent, what happened, and sending it again.

use axum::{
    Json,
    extract::Path,
    response::{IntoResponse, Response},
};
use sojourn_api as api;
use sojourn_core::{time::Timestamp, webhook::DeliveryStatus};
use sojourn_service::webhooks;
use sojourn_store::{Span, WebhookDeliveryFilter};

use super::page::Page;
use crate::{
    auth::ApplicationServer,
    wire::{self, ApiError, ApiResult, ErrorCode, Params},
};

/// Sends a test event, of type `sojourn.test`, whatever events the endpoint asked for. Read the
/// delivery to learn what happened.
#[utoipa::path(
    post, path = "/v1/webhooks/endpoints/{endpoint_id}/test",
    responses((status = 200, description = "The delivery, which is queued", body = api::WebhookDelivery)),
    extensions(("x-error-codes" = json!(["resource_not_found", "webhook_endpoint_disabled"]))),
)]
pub async fn test_webhook_endpoint(app: ApplicationServer, Path(id): Path<String>) -> ApiResult<Response> {
    let delivery = webhooks::send_test(&app, app.context(), id.parse().ok(), wire::webhook::compose).await?;
    Ok(Json(wire::webhook::delivery(&delivery, None)).into_response())
}

/// Sends all deliveries of a period again, with the same ids and the same bodies, except those that
/// still wait. Deliveries are kept for seven days.
#[utoipa::path(
    post, path = "/v1/webhooks/endpoints/{endpoint_id}/replay",
    request_body = api::ReplayWebhooks,
    responses((status = 200, description = "How many are sent again", body = api::WebhookReplay)),
    extensions(("x-error-codes" = json!([
        "form_param_missing", "form_param_type_invalid", "form_param_unknown",
        "form_param_value_invalid", "resource_not_found", "webhook_endpoint_disabled",
    ]))),
)]
pub async fn replay_webhooks(
    app: ApplicationServer,
    Path(id): Path<String>,
    params: Params,
) -> ApiResult<Response> {
    params.only(&["since", "until"])?;
    let time = |name: &str| -> ApiResult<Option<Timestamp>> {
        let millis = params.number(name)?.map(|millis| i64::try_from(millis).unwrap_or(i64::MAX));
        Ok(millis.map(Timestamp::from_millis))
    };
    let from = time("since")?.ok_or_else(|| {
        ApiError::param(ErrorCode::FormParamMissing, "since")
            .why("since has to be given, in Unix milliseconds.")
    })?;
    // What is queued from now on is not part of a replay.
    let before = time("until")?.unwrap_or_else(|| app.moment().wall + std::time::Duration::from_millis(1));
    if before <= from {
        return Err(ApiError::param(ErrorCode::FormParamValueInvalid, "until")
            .why("until has to be later than since. Both are in Unix milliseconds."));
    }
    let id = id.parse().ok();
    let period = Span { from: Some(from), before: Some(before) };
    let queued = webhooks::replay(&app, app.context(), id, period).await?;
    let endpoint_id = id.map(|id| id.to_string()).unwrap_or_default();
    Ok(Json(api::WebhookReplay { object: api::Kind::default(), endpoint_id, queued }).into_response())
}

/// The deliveries of a webhook endpoint, newest first, with the last attempt of each.
#[utoipa::path(
    get, path = "/v1/webhooks/endpoints/{endpoint_id}/deliveries",
    params(api::ListWebhookDeliveriesQuery),
    responses((status = 200, description = "Deliveries", body = api::Page<api::WebhookDelivery>)),
    extensions(("x-error-codes" = json!([
        "form_param_type_invalid", "form_param_value_invalid", "resource_not_found",
    ]))),
)]
pub async fn list_webhook_deliveries(
    app: ApplicationServer,
    Path(id): Path<String>,
    params: Params,
) -> ApiResult<Response> {
    let page = Page::of(&params)?;
    let status = params.text("status")?.as_deref().map(status).transpose()?;
    let endpoint = webhooks::endpoint(&app, id.parse().ok()).await?;
    let filter = WebhookDeliveryFilter {
        endpoint_id: endpoint.id,
        status,
        queued: Span::default(),
        limit: page.limit,
        offset: page.offset,
    };
    let (rows, total_count) = webhooks::deliveries(&app, filter).await?;
    let data: Vec<_> = rows.iter().map(|row| wire::webhook::delivery(row, None)).collect();
    Ok(Json(api::Page { data, total_count }).into_response())
}

fn status(word: &str) -> ApiResult<DeliveryStatus> {
    DeliveryStatus::from_word(word).ok_or_else(|| {
        ApiError::param(ErrorCode::FormParamValueInvalid, "status")
            .why("status has to be queued, delivered or failed.")
    })
}

/// One webhook delivery with its payload.
#[utoipa::path(
    get, path = "/v1/webhooks/deliveries/{delivery_id}",
    responses((status = 200, description = "The delivery", body = api::WebhookDelivery)),
    extensions(("x-error-codes" = json!(["resource_not_found"]))),
)]
pub async fn get_webhook_delivery(app: ApplicationServer, Path(id): Path<String>) -> ApiResult<Response> {
    let stored = webhooks::delivery(&app, id.parse().ok()).await?;
    Ok(Json(wire::webhook::delivery(&stored.delivery, Some(&stored.body))).into_response())
}

/// Sends a webhook delivery again, with the same id and the same body, whatever became of it.
#[utoipa::path(
    post, path = "/v1/webhooks/deliveries/{delivery_id}/retry",
    responses((status = 200, description = "The delivery, which is queued", body = api::WebhookDelivery)),
    extensions(("x-error-codes" = json!(["resource_not_found", "webhook_delivery_under_way"]))),
)]
pub async fn retry_webhook_delivery(app: ApplicationServer, Path(id): Path<String>) -> ApiResult<Response> {
    let delivery = webhooks::retry(&app, app.context(), id.parse().ok()).await?;
    Ok(Json(wire::webhook::delivery(&delivery, None)).into_response())
}
