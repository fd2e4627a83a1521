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
use sojourn_store::Write;

use crate::{
    browser::RequestContext,
    factors::{
        AuthError,
        password::{book, log_failed},
        refuse_banned,
    },
    instance::Service,
    mail::Notice,
    outcome::Failure,
};

/// Checks a password, of nobody if there is no account. A locked account, one
/// without a password and one that does not exist are all a wrong password.
///
/// # Errors
/// [`AuthError::PasswordOrIdentifierIncorrect`]; [`AuthError::Banned`] to who
/// knows the password.
pub(super) async fn prove(
    service: &Service,
    request: &RequestContext,
    user: Option<User>,
    password: &str,
) -> Result<User, Failure<AuthError>> {
    let may_try = count_answer(service, request, user.as_ref()).await?;
    let hash = user.as_ref().filter(|_| may_try).and_then(|user| user.password_hash.clone());
    let is_right =
        service.passwords().verify(Password::present(password), hash).await.map_err(AuthError::from)?;
    match user {
        Some(user) if is_right => {
            refuse_banned(&user)?;
            Ok(user)
        }
        user => {
            log_failed(user.as_ref(), "password");
            Err(AuthError::PasswordOrIdentifierIncorrect.into())
        }
    }
}

/// Counts an answer, in one durable write whoever it is for. Whether it may be
/// looked at. The owner of an account that is locked by it gets a mail, because no
/// answer says so.
///
/// # Errors
/// The store does not answer.
pub(super) async fn count_answer(
    service: &Service,
    request: &RequestContext,
    user: Option<&User>,
) -> Result<bool, Failure<AuthError>> {
    if let Some(user) = user {
        let notice = locked_notice(service, request, user)?;
        match book(service, request.at, user, notice).await {
            Ok(()) => return Ok(true),
            // Locked, or gone.
            Err(Failure::Refused(..)) => {}
            Err(error) => return Err(error),
        }
    }
    write_trace(service, request).await?;
    Ok(false)
}

fn locked_notice(
    service: &Service,
    request: &RequestContext,
    user: &User,
) -> Result<Option<Write>, AuthError> {
    let Some(address) = user.primary_email() else { return Ok(None) };
    let name = &request.settings.instance.application_name;
    // Not counted as a mail: that it was sent would show when the next one is refused.
    let mail =
        service.mailer().notice(request.now(), name, &address.email, Notice::Locked, &mut service.random());
    mail.map(Some).map_err(AuthError::Mail)
}

/// A write that changes nothing for anybody, in place of the one that counts for
/// an account: without it the missing wait would tell. The row is an attempt that
/// nobody continues, and goes with the others.
async fn write_trace(service: &Service, request: &RequestContext) -> Result<(), Failure<AuthError>> {
    let now = request.now();
    let nobody = ClientId::generate(now, &mut service.random());
    let trace = SignIn::new(SignInId::generate(now, &mut service.random()), nobody, now);
    Ok(service.commit(service.changes(request.at).write(Write::SignIn(trace))).await?)
}
