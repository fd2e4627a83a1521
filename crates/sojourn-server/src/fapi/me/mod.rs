//! The signed-in account, by the session that the request names.

pub mod account;
pub mod email_addresses;
pub mod password;
pub mod sessions;

use axum::{extract::FromRequestParts, http::request::Parts, response::Response};
use sojourn_service::account::{AccountResult, Named};

use super::answer::Browser;
use crate::wire::{ApiError, ApiResult, Params};

/// Whose `me` it is: that of the session named by `_clerk_session_id`, else of the
/// active one.
pub struct Whose(Named);

impl<S: Send + Sync> FromRequestParts<S> for Whose {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        let query = Params::from_form(parts.uri.query().unwrap_or(""))?;
        let named = query.text("_clerk_session_id")?;
        Ok(Self(named.map_or(Named::Active, |id| Named::Session(id.parse().ok()))))
    }
}

/// The answer to a change of the account: the user and the client.
fn changed(browser: &Browser, result: AccountResult) -> ApiResult<Response> {
    let outcome = browser.found(result)?;
    let view = browser.view(&outcome.shown);
    Ok(view.changed(&view.account(&outcome.user)))
}
