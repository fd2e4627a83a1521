//! The signed-in account, by the session that the request names.

pub mod account;
pub mod email_addresses;
pub mod password;
pub mod sessions;

use axum::response::Response;
use sojourn_service::account::{AccountResult, Named};

use super::answer::{View, refused};
use crate::{
    app::App,
    auth::BrowserCredentials,
    wire::{
        ApiResult, Params,
        user::{Audience, user as user_object},
    },
};

/// Whose `me` it is: that of the session named by `_clerk_session_id`, else of the
/// active one.
fn named(query: Option<&str>) -> ApiResult<Named> {
    let named = Params::from_form(query.unwrap_or(""))?.text("_clerk_session_id")?;
    Ok(named.map_or(Named::Active, |id| Named::Session(id.parse().ok())))
}

/// The answer to a change of the account: the user and the client.
fn changed(app: &App, parts: &BrowserCredentials, result: AccountResult) -> ApiResult<Response> {
    let outcome = result.map_err(|failure| refused(app, parts, failure))?;
    let user = user_object(&outcome.user, outcome.shown.caller.request.now(), Audience::Browser);
    Ok(View::new(app, parts, &outcome.shown).changed(&user))
}
