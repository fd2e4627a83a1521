//! Sign-in by password, in one request or as the second step.

use sojourn_core::{
    id::SignInId,
    password::Password,
    sign_in::{SignIn, SignInStatus, Strategy},
    user::User,
};

use super::{
    SignInResult,
    complete::{Proof, SignInEffect, complete},
    counted, enumeration_protection, find_user, own_sign_in, refuse_second, user_of,
};
use crate::{
    browser::{BrowserContext, RequestContext},
    factors::{AuthError, password::prove_password},
    instance::Service,
    outcome::Failure,
    passwords::is_ours,
};

/// Signs in with identifier and password in one request.
///
/// # Errors
/// [`AuthError`].
pub async fn with_password(
    service: &Service,
    request: &RequestContext,
    identifier: &str,
    password: &str,
) -> SignInResult {
    counted(Strategy::Password, try_with_password(service, request, identifier, password).await)
}

async fn try_with_password(
    service: &Service,
    request: &RequestContext,
    identifier: &str,
    password: &str,
) -> SignInResult {
    let hides = request.settings.instance.hides_accounts();
    let (email, user) = find_user(service, request, identifier).await?;
    refuse_second(service, request, user.as_ref()).await?;
    let user = prove(service, request, hides, user, password).await?;
    let effect = renewal(service, &user, password).await;
    let proof = Proof { user, strategy: Strategy::Password, sign_in: None, identifier: Some(email) };
    complete(service, request, proof, effect).await
}

/// Verifies the password of an attempt.
///
/// # Errors
/// [`AuthError`].
pub async fn answer_password(
    service: &Service,
    request: &RequestContext,
    id: Option<SignInId>,
    password: &str,
) -> SignInResult {
    counted(Strategy::Password, try_answer_password(service, request, id, password).await)
}

async fn try_answer_password(
    service: &Service,
    request: &RequestContext,
    id: Option<SignInId>,
    password: &str,
) -> SignInResult {
    let caller = BrowserContext::load(service, request).await?;
    let (caller, sign_in) = own_sign_in(service, caller, id).await?;
    let is_next = sign_in.status == SignInStatus::NeedsFirstFactor && sign_in.is_open(request.now());
    if !is_next && !is_repeated(&caller, &sign_in) {
        return Err(AuthError::OutOfOrder.into());
    }
    let user = user_of(service, &sign_in).await?;
    let hides = sign_in.hidden_address.is_some();
    if user.is_none() && !hides {
        return Err(AuthError::OutOfOrder.into());
    }
    let user = prove(service, request, hides, user, password).await?;
    let effect = renewal(service, &user, password).await;
    let proof = Proof { user, strategy: Strategy::Password, sign_in: Some(sign_in.id), identifier: None };
    complete(service, request, proof, effect).await
}

/// Whether the response that completed this attempt may be lost.
pub(super) fn is_repeated(caller: &BrowserContext, sign_in: &SignIn) -> bool {
    caller.lost_answer().is_some_and(|repeat| repeat.opened(sign_in.created_session_id))
}

/// Verifies the password and returns the user.
async fn prove(
    service: &Service,
    request: &RequestContext,
    hides: bool,
    user: Option<User>,
    password: &str,
) -> Result<User, Failure<AuthError>> {
    if hides {
        return enumeration_protection::prove(service, request, user, password).await;
    }
    let user = user.ok_or(AuthError::OutOfOrder)?;
    prove_password(service, request.at, &user, Password::present(password)).await?;
    Ok(user)
}

/// The effect of a sign-in with a verified `password`: a new hash if the stored one was imported or
/// has other parameters. If the hasher is busy, the sign-in continues without a new hash.
async fn renewal(service: &Service, user: &User, password: &str) -> SignInEffect {
    if user.password_hash.as_ref().is_none_or(is_ours) {
        return SignInEffect::Nothing;
    }
    let hash = service.passwords().hash(Password::present(password)).await;
    hash.map_or(SignInEffect::Nothing, SignInEffect::RenewedHash)
}
