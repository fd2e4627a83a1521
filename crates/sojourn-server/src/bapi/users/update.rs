//! Changes of an account's fields.

use axum::{Json, extract::Path};
use sojourn_api as api;
use sojourn_core::session::EndReason;
use sojourn_service::users::{self, UserPatch};

use super::{change, fields};
use crate::{
    auth::ApplicationServer,
    wire::{ApiError, ApiResult, ErrorCode, Params},
};

/// Changes what is given. Metadata is accepted here in every API version.
#[utoipa::path(
    patch, path = "/v1/users/{user_id}",
    request_body = api::UpdateUser,
    responses((status = 200, description = "The user", body = api::User)),
    extensions(("x-error-codes" = json!([
        "form_identifier_exists", "form_param_exceeds_allowed_size", "form_param_missing",
        "form_param_unknown", "form_param_value_invalid", "form_password_digest_invalid_code",
        "form_password_length_too_long", "form_password_length_too_short", "form_password_validation_failed",
        "form_resource_not_found",
    ]))),
)]
pub async fn update_user(
    app: ApplicationServer,
    Path(id): Path<String>,
    params: Params,
) -> ApiResult<Json<api::User>> {
    users::load(&app, id.parse().ok()).await?;
    fields::refuse_unknown(&params)?;
    let mut patch = fields::patch(&params, app.moment().now)?;
    patch.password = fields::password(&app, &params).await?.map(Some);
    patch.primary_email = params.text("primary_email_address_id")?.map(|id| id.parse().ok());
    let signs_out = params.flag("sign_out_of_other_sessions")?.unwrap_or(false);
    if signs_out && patch.password.is_none() {
        return Err(ApiError::param(ErrorCode::FormParamMissing, "password").why(
            "sign_out_of_other_sessions goes with a new password. To end sessions alone, revoke them.",
        ));
    }
    change(&app, &id, signs_out.then_some(EndReason::PasswordChanged), &patch).await
}

/// Merges metadata: objects deeply, null deletes a key.
#[utoipa::path(
    patch, path = "/v1/users/{user_id}/metadata",
    request_body = api::UserMetadata,
    responses((status = 200, description = "The user", body = api::User)),
    extensions(("x-error-codes" = json!(["form_param_exceeds_allowed_size"]))),
)]
pub async fn merge_user_metadata(
    app: ApplicationServer,
    Path(id): Path<String>,
    params: Params,
) -> ApiResult<Json<api::User>> {
    let patch = UserPatch { merges_metadata: true, ..fields::metadata(&params)? };
    change(&app, &id, None, &patch).await
}

/// Replaces each kind of metadata that is given.
#[utoipa::path(
    put, path = "/v1/users/{user_id}/metadata",
    request_body = api::UserMetadata,
    responses((status = 200, description = "The user", body = api::User)),
    extensions(("x-error-codes" = json!(["form_param_exceeds_allowed_size"]))),
)]
pub async fn replace_user_metadata(
    app: ApplicationServer,
    Path(id): Path<String>,
    params: Params,
) -> ApiResult<Json<api::User>> {
    change(&app, &id, None, &fields::metadata(&params)?).await
}
