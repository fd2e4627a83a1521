//! Sign-in by a ticket of the application's backend. A ticket is valid once. It signs in its user,
//! or a staff member as its user.

use sojourn_core::{client::GRACE, impersonation::Impersonation, sign_in::Strategy, user::User};
use sojourn_store::{Engine as _, Ticket, TicketStatus, Write};

use super::{
    SignInResult,
    complete::{Proof, SignInEffect, complete},
    counted, refuse_second,
};
use crate::{
    browser::{BrowserContext, RequestContext},
    factors::AuthError,
    instance::Service,
    keys::sha256,
    outcome::Failure,
};

/// Signs in with a ticket.
///
/// # Errors
/// [`AuthError`].
pub async fn with_ticket(service: &Service, request: &RequestContext, ticket: &str) -> SignInResult {
    counted(Strategy::Ticket, try_with_ticket(service, request, ticket).await)
}

async fn try_with_ticket(service: &Service, request: &RequestContext, ticket: &str) -> SignInResult {
    let caller = BrowserContext::load(service, request).await?;
    let GoodTicket { user, impersonation, .. } = examine(service, &caller, ticket).await?;
    refuse_second(service, request, Some(&user)).await?;
    let proof = Proof { user, strategy: Strategy::Ticket, sign_in: None, identifier: None };
    complete(service, request, proof, SignInEffect::Ticket { text: ticket.to_owned(), impersonation }).await
}

/// A valid ticket.
#[derive(Clone, Debug)]
pub(crate) struct GoodTicket {
    pub(crate) user: User,
    /// Set for an actor token.
    pub(crate) impersonation: Option<Impersonation>,
    /// Marks the ticket as used, if it is still pending: of concurrent uses one succeeds (AUT-10).
    /// `None` if this client used it and the response was lost.
    pub(crate) spend: Option<Write>,
}

/// Checks a ticket.
pub(crate) async fn examine(
    service: &Service,
    caller: &BrowserContext,
    ticket: &str,
) -> Result<GoodTicket, Failure<AuthError>> {
    let ticket = service.store().ticket(service.instance_id(), sha256(ticket.as_bytes())).await?;
    let ticket = ticket.ok_or(AuthError::TicketUnknown)?;
    let acts = ticket.impersonation.is_some();
    let spend = match ticket.status {
        TicketStatus::Pending => Some(Write::AcceptTicket(ticket.id)),
        TicketStatus::Accepted if was_spent_here(caller, &ticket) => None,
        TicketStatus::Accepted => return Err(AuthError::TicketUsed { acts }.into()),
        TicketStatus::Revoked => return Err(AuthError::TicketRevoked { acts }.into()),
    };
    if caller.request.now() >= ticket.expires_at {
        return Err(AuthError::TicketExpired.into());
    }
    let user = service.store().user(service.instance_id(), ticket.user_id).await?;
    let user = user.ok_or(AuthError::TicketWithoutUser { acts })?;
    Ok(GoodTicket { user, impersonation: ticket.impersonation, spend })
}

/// Whether this client used the ticket and the response was lost: the ticket was used when the
/// session of the lost response was created or, after an earlier repeat, at most the grace before.
fn was_spent_here(caller: &BrowserContext, ticket: &Ticket) -> bool {
    let Some(repeat) = caller.lost_answer() else { return false };
    let rotated_at = repeat.rotation.rotated_at;
    let in_time = ticket.updated_at <= rotated_at && rotated_at <= ticket.updated_at + GRACE;
    let is_its_session =
        repeat.unanswered.iter().all(|session| session.impersonation == ticket.impersonation);
    in_time && is_its_session && repeat.is_all_of(ticket.user_id)
}
