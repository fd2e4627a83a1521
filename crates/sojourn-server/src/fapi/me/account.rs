//! The account itself: read it, change it, delete it.

use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use serde_json::json;
use sojourn_core::{
    event::Event,
    session::{EndReason, EndedBy, Ending, Session},
    user::{User, merge_metadata},
};
use sojourn_service::sessions::revoke;
use sojourn_store::{Expect, Write};

use super::{me, owner, refuse_actor, store_user};
use crate::{
    app::{App, AttemptError},
    auth::BrowserCredentials,
    fapi::{
        answer::{View, refuse_caller},
        me::email_addresses::refused,
    },
    wire::{
        ApiError, ApiResult, ErrorCode, Params,
        params::within_metadata_limit,
        user::{Audience, deleted, user as user_object},
    },
};

/// The account.
#[utoipa::path(get, path = "/v1/me", tag = "Me", responses((status = 200, description = "The user"), (status = 401, description = "Not signed in")))]
pub async fn get_me(
    State(app): State<App>,
    parts: BrowserCredentials,
    RawQuery(query): RawQuery,
) -> ApiResult<Response> {
    app.retry_on_conflict(|| async {
        let caller = parts.load(&app).await?;
        let (step, _, user) = me(&app, &caller, query.as_deref()).await?;
        caller.commit_step(&app, &step).await?;
        let view = View::new(&app, &caller, &step.browser);
        Ok(view.read(&user_object(&user, caller.visit.now(), Audience::Browser)))
    })
    .await
}

/// Changes names, unsafe metadata, and which address is the primary one.
/// Nothing else of an account is the browser's to write (AUZ-05).
#[utoipa::path(patch, path = "/v1/me", tag = "Me", responses((status = 200, description = "The user and the client"), (status = 401, description = "Not signed in"), (status = 403, description = "Somebody acts as the account, and an address of it would change"), (status = 422, description = "A field is not accepted")))]
pub async fn update_me(
    State(app): State<App>,
    parts: BrowserCredentials,
    RawQuery(query): RawQuery,
    params: Params,
) -> ApiResult<Response> {
    change(&app, &parts, query.as_deref(), |session, user| {
        if params.has("first_name") {
            user.first_name = params.text("first_name")?;
        }
        if params.has("last_name") {
            user.last_name = params.text("last_name")?;
        }
        if let Some(id) = params.text("primary_email_address_id")? {
            refuse_actor(session)?;
            let name = "primary_email_address_id";
            let missing = || {
                ApiError::param(ErrorCode::FormResourceNotFound, name)
                    .why("The account has no e-mail address of this id.")
            };
            user.make_primary(id.parse().map_err(|_| missing())?)
                .map_err(|refusal| refused(refusal, name, missing))?;
        }
        if let Some(metadata) = params.object("unsafe_metadata")? {
            within_metadata_limit("unsafe_metadata", &metadata)?;
            user.unsafe_metadata = metadata;
        }
        Ok(())
    })
    .await
}

/// Merges unsafe metadata: objects deeply, null deletes a key.
#[utoipa::path(patch, path = "/v1/me/metadata", tag = "Me", responses((status = 200, description = "The user and the client"), (status = 401, description = "Not signed in"), (status = 422, description = "Too much, or no object")))]
pub async fn merge_metadata_of_me(
    State(app): State<App>,
    parts: BrowserCredentials,
    RawQuery(query): RawQuery,
    params: Params,
) -> ApiResult<Response> {
    change(&app, &parts, query.as_deref(), |_, user| {
        if let Some(patch) = params.object("unsafe_metadata")? {
            merge_metadata(&mut user.unsafe_metadata, &patch);
            within_metadata_limit("unsafe_metadata", &user.unsafe_metadata)?;
        }
        Ok(())
    })
    .await
}

async fn change(
    app: &App,
    parts: &BrowserCredentials,
    query: Option<&str>,
    decide: impl Fn(&Session, &mut User) -> ApiResult<()>,
) -> ApiResult<Response> {
    app.retry_on_conflict(|| async {
        let caller = parts.load(app).await?;
        let (step, session, mut user) = me(app, &caller, query).await?;
        decide(&session, &mut user)?;
        user.changed(caller.visit.now());
        store_user(app, &caller, &step, &user).await?;
        let view = View::new(app, &caller, &step.browser).with_user(&user);
        Ok(view.changed(&user_object(&user, caller.visit.now(), Audience::Browser)))
    })
    .await
}

/// Deletes the account. Its sessions end in the same commit, here and in all
/// other browsers; other accounts of this browser stay signed in (SES-06).
#[utoipa::path(delete, path = "/v1/me", tag = "Me", responses((status = 200, description = "It is gone, and the client as it is then"), (status = 401, description = "Not signed in"), (status = 403, description = "Somebody acts as the account")))]
pub async fn delete_me(
    State(app): State<App>,
    parts: BrowserCredentials,
    RawQuery(query): RawQuery,
) -> ApiResult<Response> {
    let user_id = app
        .retry_on_conflict(|| async {
            let caller = parts.load(&app).await?;
            let (_, _, user) = owner(&app, &caller, query.as_deref()).await?;
            let changes = app.changes(caller.visit.at).expect(Expect::User(user.id, user.version));
            let ending = Ending::revoked(EndReason::UserDeleted, EndedBy::User);
            let changes = revoke::of_user(&app, changes, user.id, None, ending).await?;
            let changes = changes.write(Write::DeleteUser(user.id)).event(Event::UserDeleted(user.id));
            app.commit(changes).await?;
            Ok::<_, AttemptError>(user.id)
        })
        .await?;
    let caller = parts.load(&app).await?;
    let Some(step) = caller.close_overdue() else { return Ok(refuse_caller(&app, &caller).await?) };
    let view = View::new(&app, &caller, &step.browser);
    Ok(view.changed(&deleted("user", &user_id.to_string())))
}

/// Pictures are not kept here: people are drawn by their initials. The official
/// components offer the upload whatever the environment says, so it is answered
/// in words that they show.
#[utoipa::path(post, path = "/v1/me/profile_image", tag = "Me", responses((status = 422, description = "Pictures are not kept")))]
pub async fn set_profile_image() -> ApiError {
    ApiError::new(ErrorCode::FormParamValueInvalid)
        .message("Profile pictures are not available.")
        .why("Profile pictures are not available here. Your initials are shown instead.")
}

/// None: nobody signs in by an enterprise here. Compat: clerk/javascript
/// packages/ui UserProfile AccountPage
#[utoipa::path(get, path = "/v1/me/enterprise_connections", tag = "Me", responses((status = 200, description = "An empty list"), (status = 401, description = "Not signed in")))]
pub async fn list_enterprise_connections(
    State(app): State<App>,
    parts: BrowserCredentials,
    RawQuery(query): RawQuery,
) -> ApiResult<Response> {
    app.retry_on_conflict(|| async {
        let caller = parts.load(&app).await?;
        let (step, _, _) = me(&app, &caller, query.as_deref()).await?;
        caller.commit_step(&app, &step).await?;
        Ok(View::new(&app, &caller, &step.browser).read(&json!([])))
    })
    .await
}
