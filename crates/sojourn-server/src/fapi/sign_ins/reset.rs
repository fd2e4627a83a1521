//! A new password after a reset code.

use axum::{
    extract::{Path, State},
    response::Response,
};
use sojourn_core::sign_in::SignInStatus;

use super::{Proof, SignInEffect, complete, out_of_order, own_sign_in, refuse_second};
use crate::{
    app::App,
    auth::BrowserCredentials,
    error::chosen_password,
    wire::{ApiResult, Params},
};

/// Sets the new password and signs in. The account's other sessions end,
/// unless `sign_out_of_other_sessions=false` (SES-16).
#[utoipa::path(post, path = "/v1/client/sign_ins/{sign_in_id}/reset_password", tag = "Sign-ins", responses((status = 200, description = "The attempt and the client"), (status = 422, description = "The password cannot be used")))]
pub async fn reset_password(
    State(app): State<App>,
    parts: BrowserCredentials,
    Path(id): Path<String>,
    params: Params,
) -> ApiResult<Response> {
    app.rate_limits().attempt(&parts.visit.device.ip_address, "answer")?;
    let caller = parts.load(&app).await?;
    let (sign_in, user) = own_sign_in(&app, &caller, &id).await?;
    let now = parts.visit.now();
    if sign_in.status != SignInStatus::NeedsNewPassword || !sign_in.is_open(now) {
        return Err(out_of_order());
    }
    let user = user.ok_or_else(out_of_order)?;
    // Before anything is changed: nobody shall set a password and be turned away then.
    refuse_second(&app, &parts, Some(&user)).await?;
    let strategy = sign_in.first_factor.as_ref().map(|factor| factor.strategy).ok_or_else(out_of_order)?;
    let password = chosen_password(&params, "password")?;
    let hash = app.passwords().hash(password).await?;
    let ends_others = params.flag("sign_out_of_other_sessions")?.unwrap_or(true);
    let proof = Proof { user, strategy, sign_in: Some(sign_in.id), identifier: None };
    complete(&app, &parts, proof, SignInEffect::NewPassword { hash, ends_others }).await
}
