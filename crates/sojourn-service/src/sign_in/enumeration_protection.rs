//! Sign-in with strict enumeration protection (AUT-13): the steps, the responses and the work are
//! the same for every address, and only a client that has verified a factor learns why a sign-in is
//! refused.
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
    mail::{Message, Notice, Occasion},
    outcome::Failure,
};

/// Verifies a password, even without an account. A locked account, an account without a password
/// and a missing account get the same error as a wrong password.
///
/// # Errors
/// [`AuthError::PasswordOrIdentifierIncorrect`]; [`AuthError::Banned`] if the password is correct.
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

/// Counts an answer in a durable write, for every address. Returns whether it may be verified. If
/// it locks the account, the owner gets a mail, because the response does not say so.
///
/// # Errors
/// The store fails.
pub(super) async fn count_answer(
    service: &Service,
    request: &RequestContext,
    user: Option<&User>,
) -> Result<bool, Failure<AuthError>> {
    if let Some(user) = user {
        let notice = locked_notice(service, request, user)?;
        match book(service, request.at, user, notice).await {
            Ok(()) => return Ok(true),
            // The account is locked, or was deleted.
            Err(Failure::Refused(..)) => {}
            Err(error) => return Err(error),
        }
    }
    write_trace(service, request).await?;
    Ok(false)
}

fn locked_notice(service: &Service, request: &RequestContext, user: &User) -> Result<Vec<Write>, AuthError> {
    let Some(address) = user.primary_email() else { return Ok(Vec::new()) };
    // Signing in by password goes on without mail.
    if let Err(error) = service.mailer().is_ready() {
        tracing::warn!(%error, user_id = %user.id, "the owner of a locked account is not told");
        return Ok(Vec::new());
    }
    // Does not count towards the mail limit: otherwise the refusal of the next mail would reveal
    // that this one was sent.
    let occasion = Occasion::of(request, &address.email, user.locale.as_deref());
    let mail = service.mailer().write(&occasion, Message::Notice(Notice::Locked), &mut service.random());
    mail.map_err(AuthError::Mail)
}

/// Writes a row that nobody uses instead of counting a failure of an account: without this write,
/// the shorter response time would reveal that the account does not exist. The row is an attempt
/// that nobody continues; the purge deletes it.
async fn write_trace(service: &Service, request: &RequestContext) -> Result<(), Failure<AuthError>> {
    let now = request.now();
    let nobody = ClientId::generate(now, &mut service.random());
    let trace = SignIn::new(SignInId::generate(now, &mut service.random()), nobody, now);
    Ok(service.commit(service.changes(request.at).write(Write::SignIn(trace))).await?)
}
