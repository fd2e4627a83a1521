//! New accounts.

use std::convert::Infallible;

use axum::{
    Json,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use sojourn_api as api;
use sojourn_service::{
    Failure,
    idempotency::create_once,
    users::{self, NewUser},
};

use super::fields;
use crate::{
    auth::ApplicationServer,
    bapi::creation::creation,
    wire::{
        ApiError, ApiResult, ErrorCode, Params,
        user::{Audience, user as user_object},
    },
};

/// Makes an account. Its addresses are verified, unless the request says otherwise: the application
/// vouches for them.
#[utoipa::path(
    post, path = "/v1/users",
    params(api::IdempotencyKey),
    request_body = api::CreateUser,
    responses((status = 200, description = "The user", body = api::User)),
    extensions(("x-error-codes" = json!([
        "form_identifier_exists", "form_param_exceeds_allowed_size", "form_param_missing",
        "form_param_unknown", "form_param_value_invalid", "form_password_digest_invalid_code",
        "form_password_length_too_long", "form_password_length_too_short", "form_password_validation_failed",
        "idempotency_key_reused",
    ]))),
)]
pub async fn create_user(app: ApplicationServer, headers: HeaderMap, params: Params) -> ApiResult<Response> {
    fields::refuse_unknown(&params)?;
    let creation = creation(&headers, "POST /v1/users", &params)?;
    let at = app.moment();
    let emails = fields::addresses(&params)?;
    let mut patch = fields::patch(&params, at.now)?;
    patch.banned = params.flag("banned")?;
    patch.locked = params.flag("locked")?.filter(|locked| *locked);
    patch.password = fields::password(&app, &params).await?.map(Some);
    if patch.password.is_none() && params.flag("skip_password_requirement")? != Some(true) {
        return Err(ApiError::param(ErrorCode::FormParamMissing, "password").why(
            "A user needs a password. Give one, or skip_password_requirement for a user who signs in by a code.",
        ));
    }
    let user = users::new_user(&app, at, &NewUser { id: None, emails, fields: patch })?;
    let made = create_once(&app, creation.as_ref(), |_| async {
        let answer = user_object(&user, None, at.now, Audience::Backend);
        Ok::<_, Failure<Infallible>>((users::created_by(&app, app.context(), at, &user), answer))
    });
    Ok(Json(made.await?.answer).into_response())
}
