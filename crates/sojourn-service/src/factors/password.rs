//! Password verification. The attempt is counted before the password is verified, so that parallel
//! guesses cannot exceed the lockout (AUT-04).

use sojourn_core::{password::Password, time::Moment, user::User};
use sojourn_store::{CommitError, Engine as _, Write};

use super::{AuthError, locked, refuse_banned};
use crate::{instance::Service, outcome::Failure};

/// Counts an attempt and verifies the password of `user`.
///
/// # Errors
/// [`AuthError::Locked`], [`AuthError::NoPassword`], [`AuthError::PasswordIncorrect`].
pub async fn prove_password(
    service: &Service,
    at: Moment,
    user: &User,
    password: Password,
) -> Result<(), Failure<AuthError>> {
    refuse_banned(user)?;
    book(service, at, user, Vec::new()).await?;
    let hash = user.password_hash.clone();
    let has_password = hash.is_some();
    let is_right = service.passwords().verify(password, hash).await.map_err(AuthError::from)?;
    match (has_password, is_right) {
        (_, true) => return Ok(()),
        (true, false) => log_failed(Some(user), "password"),
        (false, false) => {
            log_failed(Some(user), "password");
            return Err(AuthError::NoPassword.into());
        }
    }
    Err(AuthError::PasswordIncorrect.into())
}

/// Counts one attempt of an account in a durable write, with `notice` if it locks the account. A
/// successful sign-in resets the count.
///
/// # Errors
/// [`AuthError::Locked`].
pub(crate) async fn book(
    service: &Service,
    at: Moment,
    user: &User,
    notice: Vec<Write>,
) -> Result<(), Failure<AuthError>> {
    let mut user = user.clone();
    loop {
        user.lockout.book(at.now).map_err(|until| locked(at.now, until))?;
        let mut changes = service.changes(at);
        if user.lockout.is_locked(at.now) {
            changes.writes.extend(notice.clone());
        }
        match service.commit(changes.write(Write::User(user.clone()))).await {
            // Each conflict means that another attempt was counted, so the lockout bounds this
            // loop.
            Err(CommitError::Conflict) => {
                let now = service.store().user(service.instance_id(), user.id).await?;
                user = now.ok_or(AuthError::OutOfOrder)?;
            }
            done => return Ok(done?),
        }
    }
}

pub(crate) fn log_failed(user: Option<&User>, strategy: &str) {
    let user_id = user.map(|user| user.id.to_string());
    tracing::info!(event = "sign_in.failed", user_id, strategy, "verification failed");
}
