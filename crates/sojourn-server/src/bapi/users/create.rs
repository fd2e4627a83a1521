//! New accounts.

use axum::{extract::State, response::Response};
use sojourn_core::{
    event::Event,
    id::{EmailAddressId, UserId},
    user::User,
};
use sojourn_store::Write;

use super::{
    fields::{self, Writing},
    object,
};
use crate::{
    app::App,
    auth::ApplicationServer,
    wire::{ApiError, ApiResult, ErrorCode, Params},
};

/// Makes an account. Its addresses are verified: the application vouches for them.
#[utoipa::path(post, path = "/v1/users", tag = "Users", responses((status = 200, description = "The user"), (status = 422, description = "A field is not accepted")))]
pub async fn create_user(
    State(app): State<App>,
    _: ApplicationServer,
    params: Params,
) -> ApiResult<Response> {
    fields::refuse_unknown(&params)?;
    let at = app.moment();
    let now = at.now;
    let mut user = User::new(UserId::generate(now, &mut app.random()), now);
    fields::apply_profile(&params, &mut user, now)?;
    fields::apply_metadata(&params, &mut user, Writing::Replace)?;
    for email in fields::addresses(&params)? {
        user.add_email(EmailAddressId::generate(now, &mut app.random()), email, Some("admin"), now);
    }
    user.banned = params.flag("banned")?.unwrap_or(false);
    if params.flag("locked")?.unwrap_or(false) {
        user.lockout.lock(now);
    }
    match fields::password(&app, &params).await? {
        Some(hash) => {
            user.password_hash = Some(hash);
            user.password_updated_at = Some(now);
        }
        None if params.flag("skip_password_requirement")?.unwrap_or(false) => {}
        None => {
            return Err(ApiError::param(ErrorCode::FormParamMissing, "password").why(
                "A user needs a password. Give one, or skip_password_requirement for a user who signs in by a code.",
            ));
        }
    }
    let changes = app.changes(at).write(Write::User(user.clone())).event(Event::UserCreated(user.id));
    app.commit(changes).await?;
    Ok(object(&user, now))
}
