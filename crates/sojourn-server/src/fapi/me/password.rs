//! The account's password: changed, set for the first time, or taken away.

use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use sojourn_core::{
    event::Event,
    factor::Lockout,
    session::{EndReason, EndedBy, Ending},
    user::User,
};
use sojourn_service::sessions::revoke;
use sojourn_store::Write;

use super::{owner, store_user};
use crate::{
    app::App,
    auth::BrowserCredentials,
    error::chosen_password,
    fapi::{answer::View, sign_ins},
    wire::{
        ApiError, ApiResult, ErrorCode, Params,
        user::{Audience, user as user_object},
    },
};

/// Sets a new password; who knows the old one may, within the lockout.
#[utoipa::path(post, path = "/v1/me/change_password", tag = "Me", responses((status = 200, description = "The user and the client"), (status = 403, description = "Somebody acts as the account"), (status = 422, description = "A password is not accepted")))]
pub async fn change_password(
    State(app): State<App>,
    parts: BrowserCredentials,
    RawQuery(query): RawQuery,
    params: Params,
) -> ApiResult<Response> {
    app.rate_limits().attempt(&parts.visit.device.ip_address, "change_password")?;
    let caller = parts.load(&app).await?;
    let (_, session, known) = owner(&app, &caller, query.as_deref()).await?;
    let new = chosen_password(&params, "new_password")?;
    if known.password_hash.is_some() {
        prove_current(&app, &parts, &known, &params).await?;
    }
    let hash = app.passwords().hash(new).await?;
    let ends_others = params.flag("sign_out_of_other_sessions")?.unwrap_or(false);
    app.retry_on_conflict(|| async {
        let caller = parts.load(&app).await?;
        let (step, _, mut user) = owner(&app, &caller, query.as_deref()).await?;
        refuse_changed(&known, &user)?;
        let now = caller.visit.now();
        user.set_password(hash.clone(), now);
        user.lockout = Lockout::default();
        let changes =
            app.changes(caller.visit.at).write(Write::User(user.clone())).event(Event::UserUpdated(user.id));
        let changes = if ends_others {
            let ending = Ending::revoked(EndReason::PasswordChanged, EndedBy::User);
            revoke::of_user(&app, changes, user.id, Some(session.id), ending).await?
        } else {
            changes
        };
        app.commit(changes).await?;
        let view = View::new(&app, &caller, &step.browser).with_user(&user);
        Ok(view.changed(&user_object(&user, now, Audience::Browser)))
    })
    .await
}

/// Takes the password away, as long as a code by mail still leads into the account.
#[utoipa::path(post, path = "/v1/me/remove_password", tag = "Me", responses((status = 200, description = "The user and the client"), (status = 403, description = "Somebody acts as the account"), (status = 400, description = "There is none"), (status = 422, description = "The password is wrong, or the only way in")))]
pub async fn remove_password(
    State(app): State<App>,
    parts: BrowserCredentials,
    RawQuery(query): RawQuery,
    params: Params,
) -> ApiResult<Response> {
    app.rate_limits().attempt(&parts.visit.device.ip_address, "change_password")?;
    let caller = parts.load(&app).await?;
    let (_, _, known) = owner(&app, &caller, query.as_deref()).await?;
    refuse_last_way_in(&known)?;
    prove_current(&app, &parts, &known, &params).await?;
    app.retry_on_conflict(|| async {
        let caller = parts.load(&app).await?;
        let (step, _, mut user) = owner(&app, &caller, query.as_deref()).await?;
        refuse_changed(&known, &user)?;
        refuse_last_way_in(&user)?;
        user.remove_password(caller.visit.now());
        user.lockout = Lockout::default();
        store_user(&app, &caller, &step, &user).await?;
        let view = View::new(&app, &caller, &step.browser).with_user(&user);
        Ok(view.changed(&user_object(&user, caller.visit.now(), Audience::Browser)))
    })
    .await
}

async fn prove_current(app: &App, parts: &BrowserCredentials, user: &User, params: &Params) -> ApiResult<()> {
    let current = params.required("current_password")?;
    sign_ins::prove_password(app, parts, user, &current).await.map_err(|error| match error.code() {
        ErrorCode::FormPasswordIncorrect => {
            ApiError::param(ErrorCode::FormPasswordIncorrect, "current_password")
        }
        _ => error,
    })
}

/// What was proved holds only while the password is the same.
fn refuse_changed(known: &User, user: &User) -> ApiResult<()> {
    if user.has_password_of(known) {
        Ok(())
    } else {
        Err(ApiError::param(ErrorCode::FormPasswordIncorrect, "current_password"))
    }
}

fn refuse_last_way_in(user: &User) -> ApiResult<()> {
    if user.password_hash.is_none() {
        return Err(ApiError::new(ErrorCode::NoPasswordSet).why("This account has no password."));
    }
    if !user.has_verified_email() {
        return Err(ApiError::new(ErrorCode::StrategyForUserInvalid)
            .message("The password is the only way to sign in.")
            .why(
                "The password is the only way to sign in to this account. Verify an e-mail address first.",
            ));
    }
    Ok(())
}
