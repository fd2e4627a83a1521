//! Changes of an account's fields.

use axum::{
    extract::{Path, State},
    response::Response,
};
use sojourn_core::{id::EmailAddressId, session::EndReason, user::User};

use super::{
    change,
    fields::{self, Writing},
    load,
};
use crate::{
    app::App,
    auth::ApplicationServer,
    wire::{ApiError, ApiResult, ErrorCode, Params},
};

/// Changes what is given. Metadata is accepted here in every API version.
#[utoipa::path(patch, path = "/v1/users/{user_id}", tag = "Users", responses((status = 200, description = "The user"), (status = 404, description = "Unknown"), (status = 422, description = "A field is not accepted")))]
pub async fn update_user(
    State(app): State<App>,
    _: ApplicationServer,
    Path(id): Path<String>,
    params: Params,
) -> ApiResult<Response> {
    load(&app, &id).await?;
    fields::refuse_unknown(&params)?;
    let hash = fields::password(&app, &params).await?;
    let signs_out = params.flag("sign_out_of_other_sessions")?.unwrap_or(false);
    if signs_out && hash.is_none() {
        return Err(ApiError::param(ErrorCode::FormParamMissing, "password").why(
            "sign_out_of_other_sessions goes with a new password. To end sessions alone, revoke them.",
        ));
    }
    let ends = signs_out.then_some(EndReason::PasswordChanged);
    change(&app, &id, ends, |user, now| {
        fields::apply_profile(&params, user, now)?;
        fields::apply_metadata(&params, user, Writing::Replace)?;
        if let Some(primary) = params.text("primary_email_address_id")? {
            user.primary_email_address_id = Some(own_address(user, &primary)?);
        }
        if let Some(hash) = &hash {
            user.set_password(hash.clone(), now);
        }
        Ok(())
    })
    .await
}

fn own_address(user: &User, id: &str) -> ApiResult<EmailAddressId> {
    let name = "primary_email_address_id";
    let address = id.parse().ok().and_then(|id| user.email(id)).ok_or_else(|| {
        ApiError::param(ErrorCode::FormResourceNotFound, name)
            .why("The user has no e-mail address of this id.")
    })?;
    if address.verified_by.is_none() {
        return Err(ApiError::param(ErrorCode::FormParamValueInvalid, name)
            .why("Only a verified address can be the primary one."));
    }
    Ok(address.id)
}

/// Merges metadata: objects deeply, null deletes a key.
#[utoipa::path(patch, path = "/v1/users/{user_id}/metadata", tag = "Users", responses((status = 200, description = "The user"), (status = 404, description = "Unknown")))]
pub async fn merge_user_metadata(
    State(app): State<App>,
    _: ApplicationServer,
    Path(id): Path<String>,
    params: Params,
) -> ApiResult<Response> {
    change(&app, &id, None, |user, _| fields::apply_metadata(&params, user, Writing::Merge)).await
}

/// Replaces each kind of metadata that is given.
#[utoipa::path(put, path = "/v1/users/{user_id}/metadata", tag = "Users", responses((status = 200, description = "The user"), (status = 404, description = "Unknown")))]
pub async fn replace_user_metadata(
    State(app): State<App>,
    _: ApplicationServer,
    Path(id): Path<String>,
    params: Params,
) -> ApiResult<Response> {
    change(&app, &id, None, |user, _| fields::apply_metadata(&params, user, Writing::Replace)).await
}
