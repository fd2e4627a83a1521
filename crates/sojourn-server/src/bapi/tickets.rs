//! What sign-in tokens and actor tokens have in common: they are made, shown
//! with their secret once, and taken back while nobody used them.

use std::{ops::RangeInclusive, str::FromStr};

use serde_json::{Value, json};
use sojourn_core::{
    id::{TicketId, UserId},
    time::Moment,
};
use sojourn_service::{
    Failure,
    keys::random_secret,
    tickets::{self, NewTicket, TicketError},
};
use sojourn_store::Ticket;

use crate::{
    app::App,
    wire::{ApiError, ApiResult, ErrorCode, Params},
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
) -> ApiResult<Value> {
    let token = random_secret(&mut app.random());
    let ticket = order.ticket(at, &token);
    let made = app.service().retry_on_conflict(|| async {
        let changes = tickets::insert(app, app.changes(at), &ticket).await?;
        Ok::<_, Failure<TicketError>>(app.commit(changes).await?)
    });
    made.await.map_err(|failure| refused(failure, &missing, ErrorCode::InternalError))?;
    let mut object = object(&ticket);
    object["url"] = format!("{}/sign-in?__clerk_ticket={token}", app.own_origin()).into();
    object["token"] = token.into();
    Ok(object)
}

/// Takes a ticket back that nobody used.
///
/// # Errors
/// 404 where `id` names no ticket of the kind `what`; `used` when it is not
/// pending any more.
pub async fn revoke<Id>(app: &App, id: &str, what: &str, used: ErrorCode) -> ApiResult<Value>
where
    Id: FromStr + Into<TicketId>,
{
    let revoked = tickets::revoke(app, id.parse::<Id>().ok().map(Into::into)).await;
    let ticket = revoked.map_err(|failure| refused(failure, || ApiError::not_found(what), used))?;
    Ok(object(&ticket))
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

fn object(ticket: &Ticket) -> Value {
    let kind = match ticket.id {
        TicketId::SignIn(_) => "sign_in_token",
        TicketId::Actor(_) => "actor_token",
    };
    let mut object = json!({
        "object": kind,
        "id": ticket.id,
        "user_id": ticket.user_id,
        "status": ticket.status.as_str(),
        "created_at": ticket.created_at,
        "updated_at": ticket.updated_at,
    });
    if let Some(own) = &ticket.impersonation {
        object["actor"] = own.actor.clone().into();
    }
    object
}
