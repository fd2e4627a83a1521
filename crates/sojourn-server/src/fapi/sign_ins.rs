//! Signing in: name somebody, prove it, get a session.

use axum::{extract::Path, response::Response};
use sojourn_api as api;
use sojourn_core::sign_in::Strategy;
use sojourn_service::sign_in::{self, SignInOutcome, SignInResult};

use super::answer::Browser;
use crate::{
    error::chosen_password,
    wire::{self, ApiError, ApiResult, ErrorCode, Params},
};

/// Begins to sign in: with nothing, with an identifier, with an identifier and
/// a password at once, or with a ticket.
#[utoipa::path(
    post, path = "/v1/client/sign_ins",
    request_body = api::CreateSignIn,
    responses((status = 200, body = api::WithClient<api::SignIn>)),
    extensions(("x-error-codes" = json!([
        "actor_token_already_used_code", "actor_token_revoked_code", "actor_token_subject_not_found",
        "client_session_limit_exceeded", "form_code_incorrect", "form_identifier_not_found",
        "form_param_missing", "form_param_unknown", "form_param_value_invalid", "form_password_incorrect",
        "form_password_or_identifier_incorrect", "identifier_already_signed_in", "session_exists",
        "sign_in_step_invalid", "sign_in_token_already_used_code", "sign_in_token_invalid",
        "strategy_for_user_invalid", "ticket_expired_code", "user_banned", "user_locked",
    ]))),
)]
pub async fn create_sign_in(browser: Browser, params: Params) -> ApiResult<Response> {
    browser.app.rate_limits().creation(&browser.request.device.ip_address)?;
    if params.flag("transfer")? == Some(true) {
        return Err(ApiError::param(ErrorCode::FormParamValueInvalid, "transfer").why(
            "There is nothing to transfer: no verification of this browser says that it is transferable.",
        ));
    }
    let ticket = params.text("ticket")?;
    let given = params.text("strategy")?.map(|_| strategy(&params)).transpose()?;
    let by_ticket = given == Some(Strategy::Ticket);
    let result = if by_ticket || ticket.is_some() {
        let ticket = ticket.ok_or_else(|| ApiError::param(ErrorCode::FormParamMissing, "ticket"))?;
        sign_in::with_ticket(&browser.app, &browser.request, &ticket).await
    } else {
        match (params.text("identifier")?, params.text("password")?) {
            (None, Some(_)) => {
                return Err(ApiError::param(ErrorCode::FormParamMissing, "identifier")
                    .why("Say whose password it is."));
            }
            (Some(identifier), Some(password)) => {
                sign_in::with_password(&browser.app, &browser.request, &identifier, &password).await
            }
            (identifier, None) => sign_in::begin(&browser.app, &browser.request, identifier.as_deref()).await,
        }
    };
    changed(&browser, result)
}

/// The attempt, as long as it is this browser's.
#[utoipa::path(
    get, path = "/v1/client/sign_ins/{sign_in_id}",
    responses((status = 200, body = api::WithClient<api::SignIn>)),
)]
pub async fn get_sign_in(browser: Browser, Path(id): Path<String>) -> ApiResult<Response> {
    let read = sign_in::read(&browser.app, &browser.request, id.parse().ok()).await;
    let SignInOutcome { shown, sign_in, user } = browser.found(read)?;
    let object = wire::sign_in::sign_in(shown.caller.request.now(), &sign_in, user.as_ref());
    Ok(browser.view(&shown).read(&object))
}

/// Sends a code to one of the account's addresses.
#[utoipa::path(
    post, path = "/v1/client/sign_ins/{sign_in_id}/prepare_first_factor",
    request_body = api::PrepareFirstFactor,
    responses((status = 200, body = api::WithClient<api::SignIn>)),
    extensions(("x-error-codes" = json!([
        "form_param_missing", "form_param_value_invalid", "sign_in_step_invalid", "user_locked",
    ]))),
)]
pub async fn prepare_first_factor(
    browser: Browser,
    Path(id): Path<String>,
    params: Params,
) -> ApiResult<Response> {
    browser.app.rate_limits().attempt(&browser.request.device.ip_address, "prepare")?;
    let strategy = strategy(&params)?;
    if matches!(strategy, Strategy::Password | Strategy::Ticket) {
        return Err(ApiError::param(ErrorCode::FormParamValueInvalid, "strategy")
            .why("Nothing is sent for this strategy."));
    }
    let address_id = params.text("email_address_id")?;
    let id = id.parse().ok();
    let sent = sign_in::send_code(&browser.app, &browser.request, id, strategy, address_id.as_deref()).await;
    changed(&browser, sent)
}

/// Proves the first factor by password or code.
#[utoipa::path(
    post, path = "/v1/client/sign_ins/{sign_in_id}/attempt_first_factor",
    request_body = api::AttemptFirstFactor,
    responses((status = 200, body = api::WithClient<api::SignIn>)),
    extensions(("x-error-codes" = json!([
        "actor_token_already_used_code", "actor_token_revoked_code", "actor_token_subject_not_found",
        "client_session_limit_exceeded", "form_code_incorrect", "form_identifier_not_found",
        "form_param_missing", "form_param_unknown", "form_param_value_invalid", "form_password_incorrect",
        "form_password_or_identifier_incorrect", "identifier_already_signed_in", "session_exists",
        "sign_in_step_invalid", "sign_in_token_already_used_code", "sign_in_token_invalid",
        "strategy_for_user_invalid", "ticket_expired_code", "user_banned", "user_locked",
        "verification_expired", "verification_failed", "verification_missing",
    ]))),
)]
pub async fn attempt_first_factor(
    browser: Browser,
    Path(id): Path<String>,
    params: Params,
) -> ApiResult<Response> {
    browser.app.rate_limits().attempt(&browser.request.device.ip_address, "answer")?;
    let (strategy, id) = (strategy(&params)?, id.parse().ok());
    let result = match strategy {
        Strategy::Password => {
            let password = params.required("password")?;
            sign_in::answer_password(&browser.app, &browser.request, id, &password).await
        }
        Strategy::EmailCode | Strategy::ResetPasswordEmailCode => {
            let code = params.required("code")?;
            sign_in::answer_code(&browser.app, &browser.request, id, strategy, &code).await
        }
        Strategy::Ticket => {
            sign_in::with_ticket(&browser.app, &browser.request, &params.required("ticket")?).await
        }
    };
    changed(&browser, result)
}

/// Sets the new password and signs in. The account's other sessions end,
/// unless `sign_out_of_other_sessions=false` (SES-16).
#[utoipa::path(
    post, path = "/v1/client/sign_ins/{sign_in_id}/reset_password",
    request_body = api::ResetPassword,
    responses((status = 200, body = api::WithClient<api::SignIn>)),
    extensions(("x-error-codes" = json!([
        "client_session_limit_exceeded", "form_param_missing", "form_password_incorrect",
        "form_password_length_too_long", "form_password_length_too_short", "form_password_validation_failed",
        "identifier_already_signed_in", "session_exists", "sign_in_step_invalid", "user_banned",
        "user_locked",
    ]))),
)]
pub async fn reset_password(browser: Browser, Path(id): Path<String>, params: Params) -> ApiResult<Response> {
    browser.app.rate_limits().attempt(&browser.request.device.ip_address, "answer")?;
    let password = chosen_password(&params, "password")?;
    let ends_others = params.flag("sign_out_of_other_sessions")?.unwrap_or(true);
    let id = id.parse().ok();
    changed(
        &browser,
        sign_in::reset_password(&browser.app, &browser.request, id, password, ends_others).await,
    )
}

fn changed(browser: &Browser, result: SignInResult) -> ApiResult<Response> {
    let SignInOutcome { shown, sign_in, user } = browser.found(result)?;
    let object = wire::sign_in::sign_in(shown.caller.request.now(), &sign_in, user.as_ref());
    Ok(browser.view(&shown).changed(&object))
}

fn strategy(params: &Params) -> ApiResult<Strategy> {
    let word = params.required("strategy")?;
    Strategy::from_word(&word).ok_or_else(|| {
        ApiError::param(ErrorCode::FormParamValueInvalid, "strategy").why(format!(
            "{word} is not a strategy of this instance. Use password, email_code, reset_password_email_code or ticket."
        ))
    })
}
