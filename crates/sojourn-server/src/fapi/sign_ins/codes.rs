//! Proof by a code sent to the account's address.

use aws_lc_rs::hmac;
use axum::{
    extract::{Path, State},
    response::Response,
};
use sojourn_core::{
    email::Email,
    factor::{CodeHash, CodeRefusal, SentCode},
    id::{EmailAddressId, SignInId},
    settings::Settings,
    sign_in::{SignInStatus, StepRefusal, Strategy},
};
use sojourn_store::Write;

use super::{Along, Proof, complete, out_of_order, own_sign_in, password::book, strategy};
use crate::{
    app::App,
    auth::CallerParts,
    fapi::answer::View,
    mail::Occasion,
    wire::{self, ApiError, ApiResult, ErrorCode, Params},
};

/// The code of every test address (AUT-09).
/// Compat: clerk-docs guides/development/testing/test-emails-and-phones
const TEST_CODE: &str = "424242";

/// Sends a code to one of the account's addresses.
#[utoipa::path(post, path = "/v1/client/sign_ins/{sign_in_id}/prepare_first_factor", tag = "Sign-ins", responses((status = 200, description = "The attempt and the client"), (status = 422, description = "No code can be sent")))]
pub async fn prepare_first_factor(
    State(app): State<App>,
    parts: CallerParts,
    Path(id): Path<String>,
    params: Params,
) -> ApiResult<Response> {
    app.limits().attempt(&parts.visit.device.ip_address, "prepare")?;
    let strategy = strategy(&params)?;
    let occasion = match strategy {
        Strategy::EmailCode => Occasion::SignIn,
        Strategy::ResetPasswordEmailCode => Occasion::PasswordReset,
        Strategy::Password | Strategy::Ticket => {
            return Err(ApiError::param(ErrorCode::FormParamValueInvalid, "strategy")
                .why("Nothing is sent for this strategy."));
        }
    };
    let address_id = params.text("email_address_id")?;
    app.settle(|| async {
        let caller = parts.load(&app).await?;
        let (mut sign_in, user) = own_sign_in(&app, &caller, &id).await?;
        let user = user.ok_or_else(out_of_order)?;
        let (now, settings) = (caller.visit.now(), &caller.visit.settings);
        // Only addresses that were typed: the others stay secret.
        let typed =
            user.identifying_emails().filter(|address| Some(&address.email) == sign_in.identifier.as_ref());
        let wanted = |id: EmailAddressId| address_id.as_ref().is_none_or(|wanted| *wanted == id.to_string());
        let address = typed.into_iter().find(|address| wanted(address.id));
        let address =
            address.ok_or_else(|| ApiError::param(ErrorCode::FormParamValueInvalid, "email_address_id"))?;
        let code = new_code(&app, settings, &address.email);
        let hash = hash_code(&app, &sign_in.id.to_string(), &code);
        let sent = SentCode::new(now, address.email.clone(), Some(address.id), hash);
        if !sign_in.is_open(now) {
            return Err(out_of_order().into());
        }
        sign_in.send_code(strategy, sent).map_err(|_| out_of_order())?;
        let step = caller.settled().ok_or_else(out_of_order)?;
        let mut changes = app.changes(caller.visit.at).browser(&step).write(Write::SignIn(sign_in.clone()));
        changes.writes.extend(mail_code(&app, settings, &address.email, occasion, &code, now)?);
        app.commit(changes).await?;
        let view = View::new(&app, &caller, &step.browser).with_user(&user).with_sign_in(&sign_in);
        Ok(view.changed(&wire::sign_in::sign_in(now, &sign_in, Some(&user))))
    })
    .await
}

/// Takes an answer to the code. Each counts, in a durable write, before it is told.
pub(super) async fn attempt(
    app: &App,
    parts: &CallerParts,
    id: SignInId,
    strategy: Strategy,
    code: &str,
) -> ApiResult<Response> {
    let hash = hash_code(app, &id.to_string(), code.trim());
    let now = parts.visit.now();
    let (sign_in, user, result) = app
        .settle(|| async {
            let caller = parts.load(app).await?;
            let (mut sign_in, user) = own_sign_in(app, &caller, &id.to_string()).await?;
            let user = user.ok_or_else(out_of_order)?;
            if !sign_in.is_open(now) {
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
        tracing::info!(event = "sign_in.failed", user_id = %user.id, strategy = strategy.as_str(), "not proved");
        if refusal == StepRefusal::Code(CodeRefusal::Incorrect) {
            book(app, parts.visit.at, &user).await?;
        }
        return Err(match refusal {
            StepRefusal::OutOfOrder => {
                ApiError::new(ErrorCode::VerificationMissing).why("Ask for a code first.")
            }
            StepRefusal::Code(refusal) => code_refused(refusal),
        });
    }
    if user.lockout.is_locked(now) {
        book(app, parts.visit.at, &user).await?;
    }
    if sign_in.status == SignInStatus::NeedsNewPassword {
        let shown = app.settle(|| async {
            let caller = parts.load(app).await?;
            let step = caller.settled().ok_or_else(out_of_order)?;
            caller.commit_settled(app, &step).await?;
            let view = View::new(app, &caller, &step.browser).with_user(&user).with_sign_in(&sign_in);
            Ok(view.changed(&wire::sign_in::sign_in(now, &sign_in, Some(&user))))
        });
        return shown.await;
    }
    complete(app, parts, Proof { user, strategy, sign_in: Some(id), identifier: None }, Along::Nothing).await
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
    occasion: Occasion,
    code: &str,
    now: sojourn_core::time::Timestamp,
) -> ApiResult<Option<Write>> {
    if is_test(app, settings, to) {
        return Ok(None);
    }
    app.limits().mail(to.as_str())?;
    let name = &settings.instance.application_name;
    app.mailer().code(now, name, to, occasion, code, &mut app.random()).map(Some).map_err(ApiError::internal)
}

fn is_test(app: &App, settings: &Settings, to: &Email) -> bool {
    app.has_development_tools() && settings.instance.test_mode && to.is_test()
}
