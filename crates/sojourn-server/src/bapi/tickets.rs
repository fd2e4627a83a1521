//! What sign-in tokens and actor tokens have in common: they are made, shown
//! with their secret once, and taken back while nobody used them.

use std::{ops::RangeInclusive, str::FromStr};

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use sojourn_api as api;
use sojourn_core::{
    id::{TicketId, UserId},
    time::Moment,
};
use sojourn_service::{
    Failure,
    keys::random_secret,
    tickets::{self, NewTicket, TicketError},
};
use sojourn_store::{Ticket, TicketStatus};

use crate::{
    app::App,
    wire::{ApiError, ApiResult, ErrorCode, Params, millis},
};

/// Makes a ticket, and gives its wire object back with the secret, which is told
/// now and never again; `url` opens the portal with it.
///
/// # Errors
/// `missing` when there is no such user.
pub async fn create(
    app: &App,
    at: Moment,
    order: NewTicket,
    missing: impl Fn() -> ApiError,
) -> ApiResult<Response> {
    let token = random_secret(&mut app.random());
    let ticket = order.ticket(at, &token);
    let made = app.service().retry_on_conflict(|| async {
        let changes = tickets::insert(app, app.changes(at), &ticket).await?;
        Ok::<_, Failure<TicketError>>(app.commit(changes).await?)
    });
    made.await.map_err(|failure| refused(failure, &missing, ErrorCode::InternalError))?;
    let url = format!("{}/sign-in?__clerk_ticket={token}", app.own_origin());
    Ok(answer(&ticket, Some(token), Some(url)))
}

/// Takes a ticket back that nobody used.
///
/// # Errors
/// 404 where `id` names no ticket of the kind `what`; `used` when it is not
/// pending any more.
pub async fn revoke<Id>(app: &App, id: &str, what: &str, used: ErrorCode) -> ApiResult<Response>
where
    Id: FromStr + Into<TicketId>,
{
    let revoked = tickets::revoke(app, id.parse::<Id>().ok().map(Into::into)).await;
    let ticket = revoked.map_err(|failure| refused(failure, || ApiError::not_found(what), used))?;
    Ok(answer(&ticket, None, None))
}

fn refused(failure: Failure<TicketError>, missing: impl Fn() -> ApiError, used: ErrorCode) -> ApiError {
    match failure {
        Failure::Refused(TicketError::NoUser | TicketError::Unknown, _) => missing(),
        Failure::Refused(TicketError::Over(status), _) => ApiError::new(used).why(format!(
            "It is {} already; only one that is pending can be revoked. If it was used, revoke the session.",
            status.as_str()
        )),
        Failure::Storage(error) => error.into(),
    }
}

/// The user that a request names.
///
/// # Errors
/// `form_param_missing`; `missing` for a text that is no user's id.
pub fn user_id(params: &Params, missing: impl Fn() -> ApiError) -> ApiResult<UserId> {
    params.required("user_id")?.parse().map_err(|_| missing())
}

/// The seconds that `name` asks for, or else `default`.
///
/// # Errors
/// They are out of `bounds`.
pub fn seconds_of(params: &Params, name: &str, default: u64, bounds: RangeInclusive<u64>) -> ApiResult<u64> {
    let asked = params.number(name)?.unwrap_or(default);
    if bounds.contains(&asked) {
        return Ok(asked);
    }
    let (least, most) = bounds.into_inner();
    Err(ApiError::param(ErrorCode::FormParamValueInvalid, name)
        .why(format!("{name} has to be from {least} to {most}.")))
}

fn answer(ticket: &Ticket, token: Option<String>, url: Option<String>) -> Response {
    let status = match ticket.status {
        TicketStatus::Pending => api::TicketStatus::Pending,
        TicketStatus::Accepted => api::TicketStatus::Accepted,
        TicketStatus::Revoked => api::TicketStatus::Revoked,
    };
    let (user_id, id) = (ticket.user_id.to_string(), ticket.id.to_string());
    let (created_at, updated_at) = (millis(ticket.created_at), millis(ticket.updated_at));
    match &ticket.impersonation {
        None => {
            let object = api::Kind::default();
            Json(api::SignInToken { object, id, user_id, status, token, url, created_at, updated_at })
                .into_response()
        }
        Some(own) => {
            let (object, actor) = (api::Kind::default(), own.actor.clone());
            Json(api::ActorToken { object, id, user_id, actor, status, token, url, created_at, updated_at })
                .into_response()
        }
    }
}
