//! The user's password: change it, set it for the first time, or remove it.

use sojourn_core::{
    factor::Lockout,
    password::Password,
    session::{EndReason, EndedBy, Ending},
    user::{PasswordHash, User},
};

use super::{AccountError, AccountOutcome, AccountResult, Me, Named, change_as_owner, owner};
use crate::{
    browser::RequestContext,
    factors::{AuthError, password::prove_password},
    instance::Service,
    outcome::{Failure, Shown},
    sessions::revoke,
    users,
};

/// Sets a new password, after a verification of the old one within the lockout. `ends_others`: also
/// ends the account's other sessions.
///
/// # Errors
/// [`AccountError`].
pub async fn change_password(
    service: &Service,
    request: &RequestContext,
    named: Named,
    current: Option<&Password>,
    new: Password,
    ends_others: bool,
) -> AccountResult {
    // Outside the retry below, because each verification counts as an attempt.
    let Me { user: known, .. } = owner(service, request, named).await?;
    if known.password_hash.is_some() {
        prove_current(service, request, &known, current).await?;
    }
    let hash = service.passwords().hash(new).await.map_err(AuthError::from)?;
    put_password(service, request, named, &known, &hash, ends_others).await
}

/// The last step of [`change_password`]: stores the hash of the new password. `known` is the
/// account as it was when the current password was verified.
///
/// # Errors
/// [`AccountError`].
pub async fn put_password(
    service: &Service,
    request: &RequestContext,
    named: Named,
    known: &User,
    hash: &PasswordHash,
    ends_others: bool,
) -> AccountResult {
    service
        .retry_on_conflict(|| async {
            let Me { caller, step, session, mut user } = owner(service, request, named).await?;
            refuse_changed(known, &user)?;
            user.set_password(hash.clone(), caller.request.now());
            user.lockout = Lockout::default();
            let mut changes = users::changed(service.changes(caller.request.at), &user);
            if ends_others {
                let ending = Ending::revoked(EndReason::PasswordChanged, EndedBy::User);
                changes = revoke::of_user(service, changes, user.id, Some(session.id), ending).await?;
            }
            service.commit(changes).await?;
            Ok(AccountOutcome { shown: Shown::new(caller, step.browser).with_user(user.clone()), user })
        })
        .await
}

/// Removes the password. The user must still be able to sign in by a code sent by mail.
///
/// # Errors
/// [`AccountError`].
pub async fn remove_password(
    service: &Service,
    request: &RequestContext,
    named: Named,
    current: Option<&Password>,
) -> AccountResult {
    let Me { user: known, .. } = owner(service, request, named).await?;
    refuse_last_way_in(&known)?;
    prove_current(service, request, &known, current).await?;
    change_as_owner(service, request, named, |now, user| {
        refuse_changed(&known, user)?;
        refuse_last_way_in(user)?;
        user.remove_password(now);
        user.lockout = Lockout::default();
        Ok(())
    })
    .await
}

async fn prove_current(
    service: &Service,
    request: &RequestContext,
    user: &User,
    current: Option<&Password>,
) -> Result<(), Failure<AccountError>> {
    let current = current.cloned().ok_or(AccountError::CurrentPasswordMissing)?;
    let proved = prove_password(service, request.at, user, current).await;
    proved.map_err(|failure| {
        failure.map(|error| match error {
            AuthError::PasswordIncorrect => AccountError::CurrentPasswordIncorrect,
            other => other.into(),
        })
    })
}

// The verification is valid only for the password that was verified.
fn refuse_changed(known: &User, user: &User) -> Result<(), AccountError> {
    if user.has_password_of(known) { Ok(()) } else { Err(AccountError::CurrentPasswordIncorrect) }
}

fn refuse_last_way_in(user: &User) -> Result<(), AccountError> {
    if user.password_hash.is_none() {
        return Err(AccountError::NoPassword);
    }
    if !user.has_verified_email() {
        return Err(AccountError::LastWayIn);
    }
    Ok(())
}
