//! The account's password: changed, set for the first time, or taken away.

use axum::response::Response;
use sojourn_api as api;
use sojourn_core::password::Password;
use sojourn_service::account;

use super::{Whose, changed};
use crate::{
    error::chosen_password,
    fapi::answer::Browser,
    wire::{ApiResult, Params},
};

/// Sets a new password; who knows the old one may, within the lockout.
#[utoipa::path(
    post, path = "/v1/me/change_password",
    params(api::SessionQuery),
    request_body = api::ChangePassword,
    responses((status = 200, body = api::WithClient<api::User>)),
    extensions(("x-error-codes" = json!([
        "authorization_invalid", "form_param_missing", "form_password_incorrect",
        "form_password_length_too_long", "form_password_length_too_short", "form_password_validation_failed",
        "user_locked",
    ]))),
)]
pub async fn change_password(browser: Browser, Whose(named): Whose, params: Params) -> ApiResult<Response> {
    browser.app.rate_limits().attempt(&browser.request.device.ip_address, "change_password")?;
    let current = current(&params)?;
    let new = chosen_password(&params, "new_password")?;
    let ends_others = params.flag("sign_out_of_other_sessions")?.unwrap_or(false);
    let result =
        account::change_password(&browser.app, &browser.request, named, current.as_ref(), new, ends_others)
            .await;
    changed(&browser, result)
}

/// Takes the password away, as long as a code by mail still leads into the account.
#[utoipa::path(
    post, path = "/v1/me/remove_password",
    operation_id = "frontend_remove_password",
    params(api::SessionQuery),
    request_body = api::RemovePassword,
    responses((status = 200, body = api::WithClient<api::User>)),
    extensions(("x-error-codes" = json!([
        "authorization_invalid", "form_param_missing", "form_password_incorrect", "no_password_set",
        "strategy_for_user_invalid", "user_locked",
    ]))),
)]
pub async fn remove_password(browser: Browser, Whose(named): Whose, params: Params) -> ApiResult<Response> {
    browser.app.rate_limits().attempt(&browser.request.device.ip_address, "change_password")?;
    let current = current(&params)?;
    changed(&browser, account::remove_password(&browser.app, &browser.request, named, current.as_ref()).await)
}

fn current(params: &Params) -> ApiResult<Option<Password>> {
    Ok(params.text("current_password")?.map(|text| Password::present(&text)))
}
