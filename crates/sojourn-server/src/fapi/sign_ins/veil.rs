//! Signing in where nobody may learn which accounts exist (AUT-13, strict):
//! whatever the address, the steps, the answers and the work are the same, and
//! only who proves to be somebody is told what stands against a sign-in.
//! Compat: clerk-docs guides/secure/user-enumeration-protection

use sojourn_core::{
    id::{ClientId, SignInId},
    password::Password,
    sign_in::SignIn,
    user::User,
};
use sojourn_service::mail::Notice;
use sojourn_store::Write;

use super::{complete::refuse_banned, password};
use crate::{
    app::App,
    auth::BrowserCredentials,
    wire::{ApiError, ApiResult, ErrorCode},
};

/// Checks a password, of nobody if there is no account. A locked account, one
/// without a password and one that does not exist are all a wrong password.
///
/// # Errors
/// `form_password_or_identifier_incorrect`; `user_banned` to who knows the password.
pub async fn prove(
    app: &App,
    parts: &BrowserCredentials,
    user: Option<User>,
    password: &str,
) -> ApiResult<User> {
    let may_try = book(app, parts, user.as_ref()).await?;
    let hash = user.as_ref().filter(|_| may_try).and_then(|user| user.password_hash.clone());
    let is_right = app.passwords().verify(Password::present(password), hash).await?;
    match user {
        Some(user) if is_right => {
            refuse_banned(&user)?;
            Ok(user)
        }
        user => {
            let user_id = user.map(|user| user.id.to_string());
            tracing::info!(event = "sign_in.failed", user_id, strategy = "password", "not proved");
            Err(ApiError::param(ErrorCode::FormPasswordOrIdentifierIncorrect, "password"))
        }
    }
}

/// Counts an answer, in one durable write whoever it is for. Whether it may be
/// looked at. The owner of an account that is locked by it is told by mail,
/// because nobody is told in answers.
///
/// # Errors
/// The store does not answer.
pub async fn book(app: &App, parts: &BrowserCredentials, user: Option<&User>) -> ApiResult<bool> {
    if let Some(user) = user {
        let notice = locked_notice(app, parts, user)?;
        match password::book(app, parts.visit.at, user, notice).await {
            Ok(()) => return Ok(true),
            Err(error) if error.code().status().is_client_error() => {}
            Err(error) => return Err(error),
        }
    }
    leave_a_trace(app, parts).await?;
    Ok(false)
}

fn locked_notice(app: &App, parts: &BrowserCredentials, user: &User) -> ApiResult<Option<Write>> {
    let Some(address) = user.primary_email() else { return Ok(None) };
    let name = &parts.visit.settings.instance.application_name;
    // Not counted as a mail: that it was sent would show when the next one is refused.
    let mail =
        app.mailer().notice(parts.visit.now(), name, &address.email, Notice::Locked, &mut app.random());
    mail.map(Some).map_err(ApiError::internal)
}

/// A write that changes nothing for anybody, in place of the one that counts
/// for an account: without it the missing wait would tell. The row is an
/// attempt that nobody continues, and goes with the others.
async fn leave_a_trace(app: &App, parts: &BrowserCredentials) -> ApiResult<()> {
    let now = parts.visit.now();
    let nobody = ClientId::generate(now, &mut app.random());
    let trace = SignIn::new(SignInId::generate(now, &mut app.random()), nobody, now);
    Ok(app.commit(app.changes(parts.visit.at).write(Write::SignIn(trace))).await?)
}
