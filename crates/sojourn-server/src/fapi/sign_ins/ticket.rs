//! Proof by a ticket that the application's server made: good once. It signs its
//! user in, or somebody who acts as them.

use axum::response::Response;
use sojourn_core::{impersonation::Impersonation, sign_in::Strategy, user::User};
use sojourn_service::keys::sha256;
use sojourn_store::{Engine as _, TicketStatus, Write};

use super::{Proof, SignInEffect, complete, refuse_second};
use crate::{
    app::App,
    auth::BrowserCredentials,
    wire::{ApiError, ApiResult, ErrorCode},
};

/// Signs in the user of the ticket.
pub async fn sign_in(app: &App, parts: &BrowserCredentials, ticket: &str) -> ApiResult<Response> {
    let GoodTicket { user, impersonation, .. } = examine(app, parts, ticket).await?;
    refuse_second(app, parts, Some(&user)).await?;
    let proof = Proof { user, strategy: Strategy::Ticket, sign_in: None, identifier: None };
    complete(app, parts, proof, SignInEffect::Ticket { text: ticket.to_owned(), impersonation }).await
}

/// A ticket that is good at this moment.
#[derive(Clone, Debug)]
pub struct GoodTicket {
    /// Whom it signs in.
    pub user: User,
    /// Who acts as the user, if the ticket is theirs.
    pub impersonation: Option<Impersonation>,
    /// Spends it, on condition that it is still good: of parallel uses one
    /// succeeds (AUT-10).
    pub spend: Write,
}

/// Whose ticket it is, if it is good.
///
/// # Errors
/// What is wrong with it.
pub async fn examine(app: &App, parts: &BrowserCredentials, ticket: &str) -> ApiResult<GoodTicket> {
    let ticket = app.store().ticket(app.instance_id(), sha256(ticket.as_bytes())).await?;
    let ticket = ticket.ok_or_else(|| {
        ApiError::new(ErrorCode::TicketInvalid).why("The link is not one of ours. Ask for a new one.")
    })?;
    // Compat: the vendor's catalogue of Frontend API errors has a code of its own
    // for what is wrong with an actor token.
    let acts = ticket.impersonation.is_some();
    let either = |actors, users| ApiError::new(if acts { actors } else { users });
    match ticket.status {
        TicketStatus::Pending => {}
        TicketStatus::Accepted => {
            return Err(either(ErrorCode::ActorTokenUsed, ErrorCode::TicketUsed)
                .why("The link is good for one use and was used. Ask for a new one."));
        }
        TicketStatus::Revoked => {
            return Err(either(ErrorCode::ActorTokenRevoked, ErrorCode::TicketInvalid)
                .why("The link was taken back. Ask for a new one."));
        }
    }
    if parts.visit.now() >= ticket.expires_at {
        return Err(ApiError::new(ErrorCode::TicketExpired).why("The link is too old. Ask for a new one."));
    }
    let user = app.store().user(app.instance_id(), ticket.user_id).await?;
    let user = user.ok_or_else(|| {
        either(ErrorCode::ActorTokenSubjectNotFound, ErrorCode::TicketInvalid)
            .why("The account of this link does not exist any more.")
    })?;
    Ok(GoodTicket { user, impersonation: ticket.impersonation, spend: Write::AcceptTicket(ticket.id) })
}
