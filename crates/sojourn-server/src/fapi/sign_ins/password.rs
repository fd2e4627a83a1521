//! Proof by password. The attempt is booked before the password is looked at,
//! so that parallel guesses do not slip past the lockout (AUT-04).

use sojourn_core::{
    password::Password,
    time::{Moment, Timestamp},
    user::User,
};
use sojourn_service::passwords::is_ours;
use sojourn_store::{Engine as _, Write};

use super::{SignInEffect, complete::refuse_banned, out_of_order};
use crate::{
    app::App,
    auth::BrowserCredentials,
    wire::{ApiError, ApiResult, ErrorCode},
};

/// Checks the password of `user`, booking the attempt first.
///
/// # Errors
/// `user_locked`, `strategy_for_user_invalid`, `form_password_incorrect`.
pub async fn prove(app: &App, parts: &BrowserCredentials, user: &User, password: &str) -> ApiResult<()> {
    refuse_banned(user)?;
    book(app, parts.visit.at, user, None).await?;
    let hash = user.password_hash.clone();
    let has_password = hash.is_some();
    let is_right = app.passwords().verify(Password::present(password), hash).await?;
    if !is_right {
        tracing::info!(event = "sign_in.failed", user_id = %user.id, strategy = "password", "not proved");
    }
    match (has_password, is_right) {
        (_, true) => Ok(()),
        (true, false) => Err(ApiError::param(ErrorCode::FormPasswordIncorrect, "password")),
        (false, false) => Err(ApiError::param(ErrorCode::StrategyForUserInvalid, "strategy")
            .why("This account has no password. Use another way to sign in, for instance a code by e-mail.")),
    }
}

/// What goes along with a sign-in by `password`, which was proved to be the
/// user's: a hash of ours, where the stored one was made elsewhere or with other
/// parameters. Nobody is turned away because there is no time for that now.
pub async fn renewal(app: &App, user: &User, password: &str) -> SignInEffect {
    if user.password_hash.as_ref().is_none_or(is_ours) {
        return SignInEffect::Nothing;
    }
    app.passwords()
        .hash(Password::present(password))
        .await
        .map_or(SignInEffect::Nothing, SignInEffect::RenewedHash)
}

/// Counts one attempt of an account, in one durable write, with `notice` when
/// it locks the account. The right answer forgives the count when it signs in.
///
/// # Errors
/// `user_locked`.
pub async fn book(app: &App, at: Moment, user: &User, notice: Option<Write>) -> ApiResult<()> {
    app.retry_on_conflict(|| async {
        let mut user = app.store().user(app.instance_id(), user.id).await?.ok_or_else(out_of_order)?;
        user.lockout.book(at.now).map_err(|until| locked(at.now, until))?;
        let mut changes = app.changes(at);
        if user.lockout.is_locked(at.now) {
            changes.writes.extend(notice.clone());
        }
        Ok(app.commit(changes.write(Write::User(user))).await?)
    })
    .await
}

/// Refuses who may not try now.
///
/// # Errors
/// `user_locked`.
pub fn refuse_locked(now: Timestamp, user: &User) -> ApiResult<()> {
    let until = user.lockout.locked_until.filter(|until| now < *until);
    until.map_or(Ok(()), |until| Err(locked(now, until)))
}

fn locked(now: Timestamp, until: Timestamp) -> ApiError {
    let seconds = until.since(now).as_secs().max(1);
    ApiError::new(ErrorCode::UserLocked)
        .why(format!(
            "Too many wrong answers. The account is locked for another {} minutes; sessions that are open stay open.",
            seconds.div_ceil(60)
        ))
        .meta("lockout_expires_in_seconds", seconds)
}
