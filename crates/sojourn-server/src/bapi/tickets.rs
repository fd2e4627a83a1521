//! What sign-in tokens and actor tokens have in common: they are made, shown
//! with their secret once, and taken back while nobody used them.

use std::{convert::Infallible, ops::RangeInclusive, str::FromStr};

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use sojourn_api as api;
use sojourn_core::{
    id::{TicketId, UserId},
    time::Moment,
};
use sojourn_service::{
    Failure,
    idempotency::{Creation, CreationError, CreationSecrets, create_once},
    keys::random_secret,
    tickets::{self, NewTicket, TicketError},
};
use sojourn_store::{Ticket, TicketStatus};

use crate::{
    auth::ApplicationServer,
    wire::{ApiError, ApiResult, ErrorCode, Params, millis},
};

/// Makes a ticket, and gives its wire object back with the secret, which only the repeats
/// of the same request are told again; `url` opens the portal with it.
///
/// # Errors
/// `missing` when there is no such user.
pub async fn create(
    app: &ApplicationServer,
    at: Moment,
    order: NewTicket,
    creation: Option<&Creation>,
    missing: impl Fn() -> ApiError,
) -> ApiResult<Response> {
    let order = &order;
    let made = create_once(app, creation, |nonce| async move {
        let ticket = order.ticket(at, &random_secret(&mut CreationSecrets::new(app, &nonce)));
        Ok((tickets::insert(app, app.context(), at, &ticket).await?, answer(&ticket)))
    });
    let first = made.await.map_err(|failure| match failure {
        Failure::Refused(CreationError::Refused(reason), _) => {
            refused(reason.into(), missing, ErrorCode::InternalError)
        }
        other => other.map(|_| CreationError::<Infallible>::KeyReused).into(),
    })?;
    let token = random_secret(&mut first.secrets(app));
    let mut answer = first.answer;
    answer["url"] = format!("{}/sign-in?__clerk_ticket={token}", app.own_origin()).into();
    answer["token"] = token.into();
    Ok(Json(answer).into_response())
}

/// Takes a ticket back that nobody used.
///
/// # Errors
/// 404 where `id` names no ticket of the kind `what`; `used` when it is not
/// pending any more.
pub async fn revoke<Id>(app: &ApplicationServer, id: &str, what: &str, used: ErrorCode) -> ApiResult<Response>
where
    Id: FromStr + Into<TicketId>,
{
    let revoked = tickets::revoke(app, app.context(), id.parse::<Id>().ok().map(Into::into)).await;
    let ticket = revoked.map_err(|failure| refused(failure, || ApiError::not_found(what), used))?;
    Ok(Json(answer(&ticket)).into_response())
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

/// The ticket without its secret.
fn answer(ticket: &Ticket) -> TicketAnswer {
    let status = match ticket.status {
        TicketStatus::Pending => api::TicketStatus::Pending,
        TicketStatus::Accepted => api::TicketStatus::Accepted,
        TicketStatus::Revoked => api::TicketStatus::Revoked,
    };
    let (user_id, id) = (ticket.user_id.to_string(), ticket.id.to_string());
    let (created_at, updated_at) = (millis(ticket.created_at), millis(ticket.updated_at));
    let (token, url) = (None, None);
    match &ticket.impersonation {
        None => {
            let object = api::Kind::default();
            let answer = api::SignInToken { object, id, user_id, status, token, url, created_at, updated_at };
            TicketAnswer::SignIn(answer)
        }
        Some(own) => {
            let (object, actor) = (api::Kind::default(), own.actor.clone());
            TicketAnswer::Actor(api::ActorToken {
                object,
                id,
                user_id,
                actor,
                status,
                token,
                url,
                created_at,
                updated_at,
            })
        }
    }
}

/// Either of the two.
#[derive(Serialize)]
#[serde(untagged)]
enum TicketAnswer {
    SignIn(api::SignInToken),
    Actor(api::ActorToken),
}
