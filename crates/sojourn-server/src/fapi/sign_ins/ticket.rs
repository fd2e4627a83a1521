//! Proof by a ticket that the application's server made: good once.

use axum::response::Response;
use sojourn_core::sign_in::Strategy;
use sojourn_store::{Engine as _, SignInTokenStatus, Write};

use super::{Proof, complete, refuse_second};
use crate::{
    app::App,
    auth::CallerParts,
    keys::sha256,
    wire::{ApiError, ApiResult, ErrorCode},
};

/// Signs in the user of the ticket. That it is used once is a condition of the
/// commit, so of parallel uses one succeeds (AUT-10).
pub async fn sign_in(app: &App, parts: &CallerParts, ticket: &str) -> ApiResult<Response> {
    let token = app.store().sign_in_token(app.instance_id(), sha256(ticket.as_bytes())).await?;
    let token = token.ok_or_else(|| {
        ApiError::new(ErrorCode::TicketInvalid).why("The link is not one of ours. Ask for a new one.")
    })?;
    match token.status {
        SignInTokenStatus::Pending => {}
        SignInTokenStatus::Accepted => {
            return Err(ApiError::new(ErrorCode::TicketUsed)
                .why("The link is good for one use and was used. Ask for a new one."));
        }
        SignInTokenStatus::Revoked => {
            return Err(
                ApiError::new(ErrorCode::TicketInvalid).why("The link was taken back. Ask for a new one.")
            );
        }
    }
    if parts.visit.now >= token.expires_at {
        return Err(ApiError::new(ErrorCode::TicketExpired).why("The link is too old. Ask for a new one."));
    }
    let user = app.store().user(app.instance_id(), token.user_id).await?;
    let user = user.ok_or_else(|| {
        ApiError::new(ErrorCode::TicketInvalid).why("The account of this link does not exist any more.")
    })?;
    refuse_second(app, parts, Some(&user)).await?;
    let proof = Proof { user, strategy: Strategy::Ticket, sign_in: None, identifier: None };
    let done = complete(app, parts, proof, vec![Write::AcceptSignInToken(token.id)]).await;
    // Who lost the race finds the ticket used.
    match done {
        Err(error) if error.code() == ErrorCode::Conflict => Err(ApiError::new(ErrorCode::TicketUsed)
            .why("The link is good for one use and was used. Ask for a new one.")),
        other => other,
    }
}
