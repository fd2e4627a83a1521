//! Setting a new password after a reset code.

use sojourn_core::{
    id::SignInId,
    password::Password,
    sign_in::{SignInStatus, Strategy},
};

use super::{
    SignInResult,
    complete::{Proof, SignInEffect, complete},
    own_sign_in,
    password::is_repeated,
    refuse_second, user_of,
};
use crate::{
    browser::{BrowserContext, RequestContext},
    factors::{AuthError, password::prove_password},
    instance::Service,
};

/// Sets the new password and signs in. `ends_others`: ends the account's other sessions (SES-16).
/// If the response to the same request was lost, the new password verifies the account.
///
/// # Errors
/// [`AuthError`].
pub async fn reset_password(
    service: &Service,
    request: &RequestContext,
    id: Option<SignInId>,
    password: Password,
    ends_others: bool,
) -> SignInResult {
    let caller = BrowserContext::load(service, request).await?;
    let (caller, sign_in) = own_sign_in(service, caller, id).await?;
    let user = user_of(service, &sign_in).await?.ok_or(AuthError::OutOfOrder)?;
    let strategy =
        sign_in.first_factor.as_ref().map(|factor| factor.strategy).ok_or(AuthError::OutOfOrder)?;
    if strategy == Strategy::ResetPasswordEmailCode && is_repeated(&caller, &sign_in) {
        prove_password(service, request.at, &user, password).await?;
        let proof = Proof { user, strategy, sign_in: Some(sign_in.id), identifier: None };
        return complete(service, request, proof, SignInEffect::Nothing).await;
    }
    if sign_in.status != SignInStatus::NeedsNewPassword || !sign_in.is_open(request.now()) {
        return Err(AuthError::OutOfOrder.into());
    }
    // Before any change: a user must not set a password and then be refused.
    refuse_second(service, request, Some(&user)).await?;
    let hash = service.passwords().hash(password).await.map_err(AuthError::from)?;
    let proof = Proof { user, strategy, sign_in: Some(sign_in.id), identifier: None };
    complete(service, request, proof, SignInEffect::NewPassword { hash, ends_others }).await
}
