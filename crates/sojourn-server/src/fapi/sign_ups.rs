//! Signing up: say who one is, prove the address, get an account and a session.

use axum::{extract::Path, response::Response};
use sojourn_api as api;
use sojourn_core::sign_in::Strategy;
use sojourn_service::sign_up::{self, Given, SignUpOutcome, SignUpResult};

use super::answer::Browser;
use crate::{
    error::chosen_password,
    wire::{self, ApiError, ApiResult, ErrorCode, Params, params::within_metadata_limit},
};

/// Begins to sign up; complete at once when nothing has to be proved.
#[utoipa::path(
    post, path = "/v1/client/sign_ups",
    request_body = api::SignUpFields,
    responses((status = 200, body = api::WithClient<api::SignUp>)),
    extensions(("x-error-codes" = json!([
        "actor_token_not_in_sign_in_code", "client_session_limit_exceeded", "form_identifier_exists",
        "form_param_exceeds_allowed_size", "form_param_missing", "form_param_unknown",
        "form_param_value_invalid", "form_password_incorrect", "form_password_length_too_long",
        "form_password_length_too_short", "form_password_validation_failed", "identifier_already_signed_in",
        "session_exists", "sign_in_token_already_used_code", "sign_in_token_invalid", "ticket_expired_code",
        "user_banned",
    ]))),
)]
pub async fn create_sign_up(browser: Browser, params: Params) -> ApiResult<Response> {
    browser.app.rate_limits().creation(&browser.request.device.ip_address)?;
    let by_ticket = params.text("strategy")?.as_deref() == Some("ticket") || params.has("ticket");
    let result = match by_ticket {
        true => sign_up::with_ticket(&browser.app, &browser.request, &params.required("ticket")?).await,
        false => sign_up::create(&browser.app, &browser.request, given(&params)?).await,
    };
    changed(&browser, result)
}

/// The attempt, as long as it is this browser's.
#[utoipa::path(
    get, path = "/v1/client/sign_ups/{sign_up_id}",
    responses((status = 200, body = api::WithClient<api::SignUp>)),
)]
pub async fn get_sign_up(browser: Browser, Path(id): Path<String>) -> ApiResult<Response> {
    let read = sign_up::read(&browser.app, &browser.request, id.parse().ok()).await;
    let outcome = browser.found(read)?;
    Ok(browser.view(&outcome.shown).read(&object(&outcome)))
}

/// Adds to an attempt; complete when nothing is missing any more.
#[utoipa::path(
    patch, path = "/v1/client/sign_ups/{sign_up_id}",
    request_body = api::SignUpFields,
    responses((status = 200, body = api::WithClient<api::SignUp>)),
    extensions(("x-error-codes" = json!([
        "client_session_limit_exceeded", "form_identifier_exists", "form_param_exceeds_allowed_size",
        "form_param_missing", "form_param_unknown", "form_param_value_invalid", "form_password_incorrect",
        "form_password_length_too_long", "form_password_length_too_short", "form_password_validation_failed",
        "identifier_already_signed_in", "session_exists",
    ]))),
)]
pub async fn update_sign_up(browser: Browser, Path(id): Path<String>, params: Params) -> ApiResult<Response> {
    browser.app.rate_limits().attempt(&browser.request.device.ip_address, "answer")?;
    // A ticket begins an attempt, and adds nothing to one.
    params.refuse_not_offered(&["ticket"])?;
    changed(&browser, sign_up::update(&browser.app, &browser.request, id.parse().ok(), given(&params)?).await)
}

/// Sends a code to the address.
#[utoipa::path(
    post, path = "/v1/client/sign_ups/{sign_up_id}/prepare_verification",
    request_body = api::PrepareVerification,
    responses((status = 200, body = api::WithClient<api::SignUp>)),
    extensions(("x-error-codes" = json!(["form_param_missing", "form_param_value_invalid"]))),
)]
pub async fn prepare_verification(
    browser: Browser,
    Path(id): Path<String>,
    params: Params,
) -> ApiResult<Response> {
    browser.app.rate_limits().attempt(&browser.request.device.ip_address, "prepare")?;
    only_email_code(&params)?;
    changed(&browser, sign_up::send_code(&browser.app, &browser.request, id.parse().ok()).await)
}

/// Takes an answer to the code; complete when nothing else is missing.
#[utoipa::path(
    post, path = "/v1/client/sign_ups/{sign_up_id}/attempt_verification",
    request_body = api::AttemptVerification,
    responses((status = 200, body = api::WithClient<api::SignUp>)),
    extensions(("x-error-codes" = json!([
        "client_session_limit_exceeded", "form_code_incorrect", "form_identifier_exists",
        "form_param_exceeds_allowed_size", "form_param_missing", "form_param_unknown",
        "form_param_value_invalid", "form_password_incorrect", "form_password_length_too_long",
        "form_password_length_too_short", "form_password_validation_failed", "identifier_already_signed_in",
        "session_exists", "verification_expired", "verification_failed", "verification_missing",
    ]))),
)]
pub async fn attempt_verification(
    browser: Browser,
    Path(id): Path<String>,
    params: Params,
) -> ApiResult<Response> {
    browser.app.rate_limits().attempt(&browser.request.device.ip_address, "answer")?;
    only_email_code(&params)?;
    let code = params.required("code")?;
    changed(&browser, sign_up::answer_code(&browser.app, &browser.request, id.parse().ok(), &code).await)
}

fn changed(browser: &Browser, result: SignUpResult) -> ApiResult<Response> {
    let outcome = browser.found(result)?;
    Ok(browser.view(&outcome.shown).changed(&object(&outcome)))
}

fn object(outcome: &SignUpOutcome) -> api::SignUp {
    let request = &outcome.shown.caller.request;
    let verify_email = request.settings.instance.verifies_at_sign_up();
    wire::sign_up::sign_up(request.now(), &outcome.sign_up, verify_email)
}

/// What a sign-up elsewhere can have, and has not here.
const NOT_OFFERED: [&str; 6] =
    ["username", "phone_number", "web3_wallet", "email_address_or_phone_number", "code", "token"];

/// The fields that a browser may set; what it sends beside is ignored (AUZ-05).
fn given(params: &Params) -> ApiResult<Given> {
    params.refuse_not_offered(&NOT_OFFERED)?;
    if params.flag("transfer")? == Some(true) {
        return Err(ApiError::param(ErrorCode::FormParamValueInvalid, "transfer").why(
            "There is nothing to transfer: no verification of this browser says that it is transferable.",
        ));
    }
    if let Some(strategy) = params.text("strategy")?.filter(|word| Strategy::from_word(word).is_none()) {
        return Err(ApiError::param(ErrorCode::FormParamValueInvalid, "strategy")
            .why(format!("Nobody signs up by {strategy} on this instance. Give an e-mail address.")));
    }
    let password = match params.text("password")? {
        Some(_) => Some(chosen_password(params, "password")?),
        None => None,
    };
    let unsafe_metadata = params.object("unsafe_metadata")?.unwrap_or_default();
    within_metadata_limit("unsafe_metadata", &unsafe_metadata)?;
    Ok(Given {
        email: params.text("email_address")?,
        password,
        first_name: params.line("first_name")?,
        last_name: params.line("last_name")?,
        unsafe_metadata,
        legal_accepted: params.flag("legal_accepted")? == Some(true),
        locale: params.text("locale")?,
    })
}

pub(super) fn only_email_code(params: &Params) -> ApiResult<()> {
    match params.required("strategy")?.as_str() {
        "email_code" => Ok(()),
        _ => Err(ApiError::param(ErrorCode::FormParamValueInvalid, "strategy")
            .why("An address is proved by email_code on this instance.")),
    }
}
