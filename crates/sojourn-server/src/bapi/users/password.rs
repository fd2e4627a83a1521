//! An account's password: checked or taken away by the application's server.

use axum::{
    Json,
    extract::Path,
    response::{IntoResponse, Response},
};
use sojourn_api as api;
use sojourn_core::{password::Password, session::EndReason};
use sojourn_service::users::{self, UserPatch};

use super::change;
use crate::{
    auth::ApplicationServer,
    wire::{ApiError, ApiResult, ErrorCode, Params},
};

/// Whether a password is the user's. Who holds the secret key is no guesser,
/// so wrong ones lock nobody out.
#[utoipa::path(
    post, path = "/v1/users/{user_id}/verify_password",
    request_body = api::VerifyPassword,
    responses((status = 200, description = "The password is the user's", body = api::PasswordVerified)),
    extensions(("x-error-codes" = json!(["form_param_missing", "incorrect_password", "no_password_set"]))),
)]
pub async fn verify_password(
    app: ApplicationServer,
    Path(id): Path<String>,
    params: Params,
) -> ApiResult<Response> {
    let password = Password::present(&params.required("password")?);
    if users::verify_password(&app, id.parse().ok(), password).await? {
        Ok(Json(api::PasswordVerified { verified: true }).into_response())
    } else {
        Err(ApiError::param(ErrorCode::IncorrectPassword, "password"))
    }
}

/// Takes the password away. Sessions go on unless the other is asked for.
#[utoipa::path(
    post, path = "/v1/users/{user_id}/remove_password",
    request_body = api::RemoveUserPassword,
    responses((status = 200, description = "The user", body = api::User)),
    extensions(("x-error-codes" = json!(["no_password_set"]))),
)]
pub async fn remove_password(
    app: ApplicationServer,
    Path(id): Path<String>,
    params: Params,
) -> ApiResult<Json<api::User>> {
    let signs_out = params.flag("sign_out_of_other_sessions")?.unwrap_or(false);
    let patch = UserPatch { password: Some(None), ..UserPatch::default() };
    change(&app, &id, signs_out.then_some(EndReason::PasswordChanged), &patch).await
}
