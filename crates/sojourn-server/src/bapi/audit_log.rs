//! The log of administrative acts. Ours: the vendor has none in its API.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use sojourn_api as api;
use sojourn_core::{audit::Action, time::Timestamp};
use sojourn_service::audit_log;
use sojourn_store::{AuditFilter, Span};

use super::page::Page;
use crate::{
    auth::ApplicationServer,
    wire::{self, ApiError, ApiResult, ErrorCode, Params},
};

/// Administrative acts, newest first: who did what, to what, from where, and what it changed.
#[utoipa::path(
    get, path = "/v1/audit_log",
    params(api::ListAuditLogQuery),
    responses((status = 200, description = "Entries", body = api::Page<api::AuditEntry>)),
    extensions(("x-error-codes" = json!(["form_param_type_invalid", "form_param_value_invalid"]))),
)]
pub async fn list_audit_log(app: ApplicationServer, params: Params) -> ApiResult<Response> {
    let page = Page::of(&params)?;
    let time = |name: &str| -> ApiResult<Option<Timestamp>> {
        let millis = params.number(name)?.map(|millis| i64::try_from(millis).unwrap_or(i64::MAX));
        Ok(millis.map(Timestamp::from_millis))
    };
    let filter = AuditFilter {
        actor: params.text("actor")?,
        actions: params.text("action")?.as_deref().map(actions).transpose()?.unwrap_or_default(),
        object_id: params.text("object_id")?,
        acted: Span { from: time("since")?, before: time("before")? },
        limit: page.limit,
        offset: page.offset,
    };
    let (entries, total_count) = audit_log::list(&app, filter).await?;
    let data: Vec<_> = entries.iter().map(wire::audit::entry).collect();
    Ok(Json(api::Page { data, total_count }).into_response())
}

fn actions(pattern: &str) -> ApiResult<Vec<Action>> {
    let actions = Action::matching(pattern);
    if actions.is_empty() {
        let known: Vec<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
        return Err(ApiError::param(ErrorCode::FormParamValueInvalid, "action").why(format!(
            "There is no action {pattern:?}. There are: {}; and the beginning of some, such as session.*",
            known.join(", ")
        )));
    }
    Ok(actions)
}
