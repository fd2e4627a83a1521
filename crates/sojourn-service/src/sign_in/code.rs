//! Sign-in by a code sent by mail.

use sojourn_core::{
    factor::{CodeRefusal, SentCode},
    id::SignInId,
    sign_in::{SignInStatus, StepRefusal, Strategy},
};
use sojourn_store::Write;

use super::{
    SignInResult,
    complete::{Proof, SignInEffect, complete},
    counted, enumeration_protection, outcome, own_sign_in,
    password::is_repeated,
    user_of,
};
use crate::{
    browser::{BrowserContext, RequestContext},
    factors::{
        AuthError,
        codes::{hash_code, mail_code, mail_notice, new_code},
        password::{book, log_failed},
    },
    instance::Service,
    mail::{CodePurpose, Notice},
    outcome::Failure,
};

/// Sends a code to the address of the attempt. If `address_id` is given, it must be the id of that
/// address.
///
/// # Errors
/// [`AuthError`].
pub async fn send_code(
    service: &Service,
    request: &RequestContext,
    id: Option<SignInId>,
    strategy: Strategy,
    address_id: Option<&str>,
) -> SignInResult {
    let purpose = match strategy {
        Strategy::ResetPasswordEmailCode => CodePurpose::PasswordReset,
        Strategy::EmailCode | Strategy::Password | Strategy::Ticket => CodePurpose::SignIn,
    };
    service
        .retry_on_conflict(|| async {
            let caller = BrowserContext::load(service, request).await?;
            let (caller, mut sign_in) = own_sign_in(service, caller, id).await?;
            let user = user_of(service, &sign_in).await?;
            let email = sign_in.identifier.clone().ok_or(AuthError::OutOfOrder)?;
            if user.is_none() && sign_in.hidden_address.is_none() {
                return Err(AuthError::OutOfOrder.into());
            }
            let (at, settings) = (caller.request.at, &caller.request.settings);
            // Only to an address that the client typed; the account's other addresses must stay
            // hidden.
            let address = user.as_ref().and_then(|user| {
                user.identifying_emails().find(|address| address.email == email).map(|address| address.id)
            });
            let shown = sign_in.hidden_address.or(address).map(|id| id.to_string());
            if shown.is_none() || address_id.is_some_and(|wanted| Some(wanted) != shown.as_deref()) {
                return Err(AuthError::NoAddress.into());
            }
            let (sent, mail) = match address {
                Some(address_id) => {
                    let code = new_code(service, settings, &email);
                    let hash = hash_code(service, &sign_in.id.to_string(), &code);
                    let locale = user.as_ref().and_then(|user| user.locale.as_deref());
                    let mail = mail_code(service, &caller.request, &email, locale, purpose, &code)?;
                    (SentCode::new(at.now, email, Some(address_id), hash), mail)
                }
                None => {
                    let mail = mail_notice(service, &caller.request, &email, None, Notice::NoAccount)?;
                    (SentCode::unanswerable(at.now, email), mail)
                }
            };
            if !sign_in.is_open(at.now) {
                return Err(AuthError::OutOfOrder.into());
            }
            sign_in.send_code(strategy, sent).map_err(|_| AuthError::OutOfOrder)?;
            let step = caller.close_overdue();
            let mut changes = service.changes(at).write(Write::SignIn(sign_in.clone()));
            if let Some(step) = &step {
                changes = changes.browser(step);
            }
            changes.writes.extend(mail);
            service.commit(changes).await?;
            Ok(outcome(caller, step.map(|step| step.browser), sign_in, user))
        })
        .await
}

/// Verifies the code. Every answer is counted in a durable write before the response. A correct
/// code signs the user in, or allows a new password.
///
/// # Errors
/// [`AuthError`].
pub async fn answer_code(
    service: &Service,
    request: &RequestContext,
    id: Option<SignInId>,
    strategy: Strategy,
    code: &str,
) -> SignInResult {
    counted(strategy, try_answer_code(service, request, id, strategy, code).await)
}

async fn try_answer_code(
    service: &Service,
    request: &RequestContext,
    id: Option<SignInId>,
    strategy: Strategy,
    code: &str,
) -> SignInResult {
    let now = request.now();
    let (sign_in, user, result) = service
        .retry_on_conflict(|| async {
            let caller = BrowserContext::load(service, request).await?;
            let (caller, mut sign_in) = own_sign_in(service, caller, id).await?;
            let user = user_of(service, &sign_in).await?;
            let is_unknown = user.is_none() && sign_in.hidden_address.is_none();
            let is_repeated = is_repeated(&caller, &sign_in);
            if is_unknown || !(is_repeated || sign_in.is_open(now)) {
                return Err(AuthError::OutOfOrder.into());
            }
            let hash = hash_code(service, &sign_in.id.to_string(), code);
            let before = sign_in.clone();
            // After a reset code a new password is required, so the response to the code itself may
            // be lost.
            let leads_on = sign_in.status == SignInStatus::NeedsNewPassword;
            let result = match is_repeated || leads_on {
                true => sign_in.repeat_code(now, strategy, &hash),
                false => sign_in.answer_code(now, strategy, &hash),
            };
            // An answer that does not count is not written; otherwise a late answer would cause a
            // conflict with the completion of the correct one.
            if sign_in != before {
                service.commit(service.changes(request.at).write(Write::SignIn(sign_in.clone()))).await?;
            }
            Ok::<_, Failure<AuthError>>((sign_in, user, result))
        })
        .await?;
    if let Err(refusal) = result {
        log_failed(user.as_ref(), strategy.as_str());
        if refusal == StepRefusal::Code(CodeRefusal::Incorrect) {
            match &user {
                _ if sign_in.hidden_address.is_some() => {
                    enumeration_protection::count_answer(service, request, user.as_ref()).await?;
                }
                Some(user) => book(service, request.at, user, Vec::new()).await?,
                None => {}
            }
        }
        return Err(match refusal {
            StepRefusal::OutOfOrder => AuthError::CodeMissing,
            StepRefusal::Code(refusal) => AuthError::Code(refusal),
        }
        .into());
    }
    // A client with the correct code can read the account's mail, so it may learn about the
    // lockout.
    let user = user.ok_or(AuthError::OutOfOrder)?;
    if user.lockout.is_locked(now) {
        book(service, request.at, &user, Vec::new()).await?;
    }
    if sign_in.status == SignInStatus::NeedsNewPassword {
        let shown = service.retry_on_conflict(|| async {
            let caller = BrowserContext::load(service, request).await?;
            let step = caller.close_overdue();
            if let Some(step) = &step {
                caller.commit_step(service, step).await?;
            }
            let browser = step.map(|step| step.browser);
            Ok(outcome(caller, browser, sign_in.clone(), Some(user.clone())))
        });
        return shown.await;
    }
    let proof = Proof { user, strategy, sign_in: id, identifier: None };
    complete(service, request, proof, SignInEffect::Nothing).await
}
