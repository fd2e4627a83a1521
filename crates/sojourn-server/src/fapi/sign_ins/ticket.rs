//! Proof by a ticket that the application's server made: good once.

use axum::response::Response;
use sojourn_core::{sign_in::Strategy, user::User};
use sojourn_store::{Engine as _, TicketStatus, Write};

use super::{Along, Proof, complete, refuse_second};
use crate::{
    app::App,
    auth::CallerParts,
    keys::sha256,
    wire::{ApiError, ApiResult, ErrorCode},
};

/// Signs in the user of the ticket.
pub async fn sign_in(app: &App, parts: &CallerParts, ticket: &str) -> ApiResult<Response> {
    let GoodTicket { user, .. } = examine(app, parts, ticket).await?;
    refuse_second(app, parts, Some(&user)).await?;
    let proof = Proof { user, strategy: Strategy::Ticket, sign_in: None, identifier: None };
    complete(app, parts, proof, Along::Ticket(ticket.to_owned())).await
}

/// A ticket that is good at this moment.
#[derive(Clone, Debug)]
pub struct GoodTicket {
    /// Whom it signs in.
    pub user: User,
    /// Spends it, on condition that it is still good: of parallel uses one
    /// succeeds (AUT-10).
    pub spend: Write,
}

/// Whose ticket it is, if it is good.
///
/// # Errors
/// What is wrong with it.
pub async fn examine(app: &App, parts: &CallerParts, ticket: &str) -> ApiResult<GoodTicket> {
    let token = app.store().ticket(app.instance_id(), sha256(ticket.as_bytes())).await?;
    let token = token.ok_or_else(|| {
        ApiError::new(ErrorCode::TicketInvalid).why("The link is not one of ours. Ask for a new one.")
    })?;
    match token.status {
        TicketStatus::Pending => {}
        TicketStatus::Accepted => return Err(used()),
        TicketStatus::Revoked => {
            return Err(
                ApiError::new(ErrorCode::TicketInvalid).why("The link was taken back. Ask for a new one.")
            );
        }
    }
    if parts.visit.now() >= token.expires_at {
        return Err(ApiError::new(ErrorCode::TicketExpired).why("The link is too old. Ask for a new one."));
    }
    let user = app.store().user(app.instance_id(), token.user_id).await?;
    let user = user.ok_or_else(|| {
        ApiError::new(ErrorCode::TicketInvalid).why("The account of this link does not exist any more.")
    })?;
    Ok(GoodTicket { user, spend: Write::AcceptTicket(token.id) })
}

fn used() -> ApiError {
    ApiError::new(ErrorCode::TicketUsed).why("The link is good for one use and was used. Ask for a new one.")
}
