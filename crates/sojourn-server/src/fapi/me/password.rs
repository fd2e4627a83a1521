//! The account's password: changed, set for the first time, or taken away.

use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use sojourn_api as api;
use sojourn_core::password::Password;
use sojourn_service::account;

use super::{changed, named};
use crate::{
    app::App,
    auth::BrowserCredentials,
    error::chosen_password,
    wire::{ApiResult, Params},
};

/// Sets a new password; who knows the old one may, within the lockout.
#[utoipa::path(
    post,
    path = "/v1/me/change_password",
    tag = "Me",
    params(api::SessionQuery),
    request_body(content = api::ChangePassword, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The user and the client", body = api::WithClient<api::User>)),
    extensions(("x-error-codes" = json!([
        "authentication_invalid", "authorization_invalid", "form_param_missing",
        "form_password_incorrect", "form_password_length_too_long", "form_password_length_too_short",
        "form_password_validation_failed", "user_locked",
    ]))),
)]
pub async fn change_password(
    State(app): State<App>,
    parts: BrowserCredentials,
    RawQuery(query): RawQuery,
    params: Params,
) -> ApiResult<Response> {
    app.rate_limits().attempt(&parts.request.device.ip_address, "change_password")?;
    let (named, current) = (named(query.as_deref())?, current(&params)?);
    let new = chosen_password(&params, "new_password")?;
    let ends_others = params.flag("sign_out_of_other_sessions")?.unwrap_or(false);
    let result =
        account::change_password(&app, &parts.request, named, current.as_ref(), new, ends_others).await;
    changed(&app, &parts, result)
}

/// Takes the password away, as long as a code by mail still leads into the account.
#[utoipa::path(
    post,
    path = "/v1/me/remove_password",
    tag = "Me",
    operation_id = "frontend_remove_password",
    params(api::SessionQuery),
    request_body(content = api::RemovePassword, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The user and the client", body = api::WithClient<api::User>)),
    extensions(("x-error-codes" = json!([
        "authentication_invalid", "authorization_invalid", "form_param_missing",
        "form_password_incorrect", "no_password_set", "strategy_for_user_invalid", "user_locked",
    ]))),
)]
pub async fn remove_password(
    State(app): State<App>,
    parts: BrowserCredentials,
    RawQuery(query): RawQuery,
    params: Params,
) -> ApiResult<Response> {
    app.rate_limits().attempt(&parts.request.device.ip_address, "change_password")?;
    let (named, current) = (named(query.as_deref())?, current(&params)?);
    changed(&app, &parts, account::remove_password(&app, &parts.request, named, current.as_ref()).await)
}

fn current(params: &Params) -> ApiResult<Option<Password>> {
    Ok(params.text("current_password")?.map(|text| Password::present(&text)))
}
