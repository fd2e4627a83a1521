//! A new password after a reset code.

use axum::{
    extract::{Path, State},
    response::Response,
};
use sojourn_core::{session::EndReason, sign_in::SignInStatus};
use sojourn_store::Write;

use super::{Proof, complete, out_of_order, own_sign_in};
use crate::{
    app::App,
    auth::CallerParts,
    revocation,
    wire::{ApiResult, Params},
};

/// Sets the new password and signs in. The account's other sessions end,
/// unless `sign_out_of_other_sessions=false` (SES-16).
#[utoipa::path(post, path = "/v1/client/sign_ins/{sign_in_id}/reset_password", tag = "Sign-ins", responses((status = 200, description = "The attempt and the client"), (status = 422, description = "The password cannot be used")))]
pub async fn reset_password(
    State(app): State<App>,
    parts: CallerParts,
    Path(id): Path<String>,
    params: Params,
) -> ApiResult<Response> {
    app.limits().attempt(&parts.visit.device.ip_address, &id)?;
    let caller = parts.load(&app).await?;
    let (sign_in, user) = own_sign_in(&app, &caller, &id).await?;
    let now = parts.visit.now;
    if sign_in.status != SignInStatus::NeedsNewPassword || !sign_in.is_open(now) {
        return Err(out_of_order());
    }
    let mut user = user.ok_or_else(out_of_order)?;
    let strategy = sign_in.first_factor.as_ref().map(|factor| factor.strategy).ok_or_else(out_of_order)?;
    let password = crate::passwords::chosen(&params, "password")?;
    let hash = app.passwords().hash(password).await?;
    let ends_others = params.flag("sign_out_of_other_sessions")?.unwrap_or(true);
    app.settle(|| async {
        let Some(mut user) = sojourn_store::Engine::user(app.store(), app.instance_id(), user.id).await?
        else {
            return Err(out_of_order().into());
        };
        if !sign_in.speaks_for(&user) {
            return Err(out_of_order().into());
        }
        user.set_password(hash.clone(), now);
        // The address received the code, so it is this person's.
        let changes = app.changes(now).write(Write::User(user.clone()));
        let keep = None;
        let changes = if ends_others {
            revocation::of_user(&app, changes, user.id, keep, EndReason::PasswordChanged).await?
        } else {
            changes
        };
        Ok(app.commit(changes).await?)
    })
    .await?;
    user.password_hash = Some(hash);
    complete(&app, &parts, Proof { user, strategy, sign_in: Some(sign_in.id), identifier: None }, Vec::new())
        .await
}
