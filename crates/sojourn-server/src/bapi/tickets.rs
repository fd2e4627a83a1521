//! What sign-in tokens and actor tokens have in common: they are made, shown
//! with their secret once, and taken back while nobody used them.

use std::{ops::RangeInclusive, str::FromStr};

use serde_json::{Value, json};
use sojourn_core::{
    id::{TicketId, UserId},
    impersonation::Impersonation,
    time::{Moment, seconds},
};
use sojourn_service::keys::{random_secret, sha256};
use sojourn_store::{Engine as _, Expect, Ticket, TicketStatus, Write};

use crate::{
    app::App,
    wire::{ApiError, ApiResult, ErrorCode, Params},
};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Order {
    /// Its id.
    pub id: TicketId,
    /// Whom it signs in.
    pub user_id: UserId,
    /// Who acts as them, if it is not the user.
    pub impersonation: Option<Impersonation>,
    /// Seconds it is good for.
    pub good_for: u64,
}

/// Makes a ticket, and gives its wire object back with the secret, which is told
/// now and never again; `url` opens the portal with it.
///
/// # Errors
/// `missing` when there is no such user.
pub async fn create(app: &App, at: Moment, order: Order, missing: impl Fn() -> ApiError) -> ApiResult<Value> {
    let Order { id, user_id, impersonation, good_for } = order;
    let token = random_secret(&mut app.random());
    let ticket = Ticket {
        id,
        hash: sha256(token.as_bytes()),
        user_id,
        status: TicketStatus::Pending,
        created_at: at.now,
        updated_at: at.now,
        expires_at: at.now + seconds(good_for),
        impersonation,
    };
    app.retry_on_conflict(|| async {
        let user = app.store().user(app.instance_id(), user_id).await?.ok_or_else(&missing)?;
        let changes = app
            .changes(at)
            .expect(Expect::User(user_id, user.version))
            .write(Write::InsertTicket(ticket.clone()));
        Ok(app.commit(changes).await?)
    })
    .await?;
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
    let missing = || ApiError::not_found(what);
    let id = id.parse::<Id>().map_err(|_| missing())?.into();
    let at = app.moment();
    app.retry_on_conflict(|| async {
        let mut ticket = app.store().ticket_by_id(app.instance_id(), id).await?.ok_or_else(missing)?;
        if ticket.status != TicketStatus::Pending {
            let status = ticket.status.as_str();
            return Err(ApiError::new(used)
                .why(format!("It is {status} already; only one that is pending can be revoked. If it was used, revoke the session."))
                .into());
        }
        app.commit(app.changes(at).write(Write::RevokeTicket(id))).await?;
        ticket.status = TicketStatus::Revoked;
        ticket.updated_at = at.now;
        Ok(object(&ticket))
    })
    .await
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
