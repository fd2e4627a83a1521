//! Proof by a code sent to the account's address.

use aws_lc_rs::hmac;
use axum::{
    extract::{Path, State},
    response::Response,
};
use sojourn_core::{
    email::Email,
    factor::{CodeHash, CodeRefusal, SentCode},
    id::SignInId,
    settings::Settings,
    sign_in::{SignInStatus, StepRefusal, Strategy},
};
use sojourn_service::mail::{CodePurpose, Notice};
use sojourn_store::Write;

use super::{Proof, SignInEffect, complete, out_of_order, own_sign_in, password::book, strategy, veil};
use crate::{
    app::App,
    auth::BrowserCredentials,
    fapi::answer::View,
    wire::{self, ApiError, ApiResult, ErrorCode, Params},
};

/// The code of every test address (AUT-09).
/// Compat: clerk-docs guides/development/testing/test-emails-and-phones
const TEST_CODE: &str = "424242";

/// Sends a code to one of the account's addresses.
#[utoipa::path(post, path = "/v1/client/sign_ins/{sign_in_id}/prepare_first_factor", tag = "Sign-ins", responses((status = 200, description = "The attempt and the client"), (status = 422, description = "No code can be sent")))]
pub async fn prepare_first_factor(
    State(app): State<App>,
    parts: BrowserCredentials,
    Path(id): Path<String>,
    params: Params,
) -> ApiResult<Response> {
    app.rate_limits().attempt(&parts.visit.device.ip_address, "prepare")?;
    let strategy = strategy(&params)?;
    let occasion = match strategy {
        Strategy::EmailCode => CodePurpose::SignIn,
        Strategy::ResetPasswordEmailCode => CodePurpose::PasswordReset,
        Strategy::Password | Strategy::Ticket => {
            return Err(ApiError::param(ErrorCode::FormParamValueInvalid, "strategy")
                .why("Nothing is sent for this strategy."));
        }
    };
    let address_id = params.text("email_address_id")?;
    app.retry_on_conflict(|| async {
        let caller = parts.load(&app).await?;
        let (mut sign_in, user) = own_sign_in(&app, &caller, &id).await?;
        let email = sign_in.identifier.clone().ok_or_else(out_of_order)?;
        if user.is_none() && sign_in.veil.is_none() {
            return Err(out_of_order().into());
        }
        let (now, settings) = (caller.visit.now(), &caller.visit.settings);
        // Only addresses that were typed: the others stay secret.
        let address = user.as_ref().and_then(|user| {
            user.identifying_emails().find(|address| address.email == email).map(|address| address.id)
        });
        let shown = sign_in.veil.or(address).map(|id| id.to_string());
        if shown.is_none() || address_id.as_ref().is_some_and(|wanted| Some(wanted) != shown.as_ref()) {
            return Err(ApiError::param(ErrorCode::FormParamValueInvalid, "email_address_id").into());
        }
        let (sent, mail) = match address {
            Some(id) => {
                let code = new_code(&app, settings, &email);
                let hash = hash_code(&app, &sign_in.id.to_string(), &code);
                let mail = mail_code(&app, settings, &email, occasion, &code, now)?;
                (SentCode::new(now, email, Some(id), hash), mail)
            }
            None => {
                let mail = mail_notice(&app, settings, &email, Notice::NoAccount, now)?;
                (SentCode::unanswerable(now, email), mail)
            }
        };
        if !sign_in.is_open(now) {
            return Err(out_of_order().into());
        }
        sign_in.send_code(strategy, sent).map_err(|_| out_of_order())?;
        let step = caller.close_overdue().ok_or_else(out_of_order)?;
        let mut changes = app.changes(caller.visit.at).browser(&step).write(Write::SignIn(sign_in.clone()));
        changes.writes.extend(mail);
        app.commit(changes).await?;
        let mut view = View::new(&app, &caller, &step.browser).with_sign_in(&sign_in);
        if let Some(user) = &user {
            view = view.with_user(user);
        }
        Ok(view.changed(&wire::sign_in::sign_in(now, &sign_in, user.as_ref())))
    })
    .await
}

/// Takes an answer to the code. Each counts, in a durable write, before it is told.
pub(super) async fn attempt(
    app: &App,
    parts: &BrowserCredentials,
    id: SignInId,
    strategy: Strategy,
    code: &str,
) -> ApiResult<Response> {
    let hash = hash_code(app, &id.to_string(), code.trim());
    let now = parts.visit.now();
    let (sign_in, user, result) = app
        .retry_on_conflict(|| async {
            let caller = parts.load(app).await?;
            let (mut sign_in, user) = own_sign_in(app, &caller, &id.to_string()).await?;
            let is_unknown = user.is_none() && sign_in.veil.is_none();
            if is_unknown || !sign_in.is_open(now) {
                return Err(out_of_order().into());
            }
            let before = sign_in.clone();
            let result = sign_in.answer_code(now, strategy, &hash);
            // What counts nothing writes nothing, or late answers would keep the right one from completing.
            if sign_in != before {
                app.commit(app.changes(parts.visit.at).write(Write::SignIn(sign_in.clone()))).await?;
            }
            Ok((sign_in, user, result))
        })
        .await?;
    if let Err(refusal) = result {
        let user_id = user.as_ref().map(|user| user.id.to_string());
        tracing::info!(event = "sign_in.failed", user_id, strategy = strategy.as_str(), "not proved");
        if refusal == StepRefusal::Code(CodeRefusal::Incorrect) {
            match &user {
                _ if sign_in.veil.is_some() => {
                    veil::book(app, parts, user.as_ref()).await?;
                }
                Some(user) => book(app, parts.visit.at, user, None).await?,
                None => {}
            }
        }
        return Err(match refusal {
            StepRefusal::OutOfOrder => {
                ApiError::new(ErrorCode::VerificationMissing).why("Ask for a code first.")
            }
            StepRefusal::Code(refusal) => code_refused(refusal),
        });
    }
    // Who answers rightly reads the account's mail, and may know that it is locked.
    let user = user.ok_or_else(out_of_order)?;
    if user.lockout.is_locked(now) {
        book(app, parts.visit.at, &user, None).await?;
    }
    if sign_in.status == SignInStatus::NeedsNewPassword {
        let shown = app.retry_on_conflict(|| async {
            let caller = parts.load(app).await?;
            let step = caller.close_overdue().ok_or_else(out_of_order)?;
            caller.commit_step(app, &step).await?;
            let view = View::new(app, &caller, &step.browser).with_user(&user).with_sign_in(&sign_in);
            Ok(view.changed(&wire::sign_in::sign_in(now, &sign_in, Some(&user))))
        });
        return shown.await;
    }
    complete(app, parts, Proof { user, strategy, sign_in: Some(id), identifier: None }, SignInEffect::Nothing)
        .await
}

/// The refusal of a code.
pub(in crate::fapi) fn code_refused(refusal: CodeRefusal) -> ApiError {
    match refusal {
        CodeRefusal::Incorrect => ApiError::param(ErrorCode::FormCodeIncorrect, "code"),
        CodeRefusal::Spent => ApiError::new(ErrorCode::VerificationFailed)
            .why("The code was used already or answered too often. Ask for a new one."),
        CodeRefusal::Expired => ApiError::new(ErrorCode::VerificationExpired)
            .why("The code is older than ten minutes. Ask for a new one."),
    }
}

/// Six digits; always the same for test addresses where there are any.
pub(in crate::fapi) fn new_code(app: &App, settings: &Settings, to: &Email) -> String {
    if is_test(app, settings, to) {
        return TEST_CODE.to_owned();
    }
    // 2^64 is so far above a million that the remainder favours no code.
    let mut bytes = [0; 8];
    sojourn_core::id::Randomness::fill(&mut app.random(), &mut bytes);
    format!("{:06}", u64::from_le_bytes(bytes) % 1_000_000)
}

/// The keyed hash of a code, bound to the attempt it belongs to.
pub(in crate::fapi) fn hash_code(app: &App, attempt: &str, code: &str) -> CodeHash {
    let key = hmac::Key::new(hmac::HMAC_SHA256, app.code_key());
    let tag = hmac::sign(&key, format!("{attempt} {code}").as_bytes());
    CodeHash(tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The mail with a code; none for test addresses.
pub(in crate::fapi) fn mail_code(
    app: &App,
    settings: &Settings,
    to: &Email,
    occasion: CodePurpose,
    code: &str,
    now: sojourn_core::time::Timestamp,
) -> ApiResult<Option<Write>> {
    if !gets_mail(app, settings, to)? {
        return Ok(None);
    }
    let name = &settings.instance.application_name;
    app.mailer().code(now, name, to, occasion, code, &mut app.random()).map(Some).map_err(ApiError::internal)
}

/// The mail that says why there is no code; none for test addresses.
pub(in crate::fapi) fn mail_notice(
    app: &App,
    settings: &Settings,
    to: &Email,
    notice: Notice,
    now: sojourn_core::time::Timestamp,
) -> ApiResult<Option<Write>> {
    if !gets_mail(app, settings, to)? {
        return Ok(None);
    }
    let name = &settings.instance.application_name;
    app.mailer().notice(now, name, to, notice, &mut app.random()).map(Some).map_err(ApiError::internal)
}

/// Whether a mail to this address is written, which counts as one (AUT-08).
///
/// # Errors
/// `too_many_requests`.
pub(in crate::fapi) fn gets_mail(app: &App, settings: &Settings, to: &Email) -> ApiResult<bool> {
    if is_test(app, settings, to) {
        return Ok(false);
    }
    app.rate_limits().mail(to.as_str())?;
    Ok(true)
}

fn is_test(app: &App, settings: &Settings, to: &Email) -> bool {
    app.has_development_tools() && settings.instance.test_mode && to.is_test()
}
