//! Tickets: sign-in tokens and actor tokens.

use std::time::Duration;

use sojourn_core::{
    audit::{Act, Action, AuditContext},
    id::{TicketId, UserId},
    impersonation::Impersonation,
    time::Moment,
};
use sojourn_store::{ChangeSet, Engine as _, Expect, Ticket, TicketStatus, Write};

use crate::{
    instance::Service,
    keys::sha256,
    outcome::{Failure, Reason},
};

/// Why a ticket is not created or revoked.
#[derive(Clone, Copy, Debug)]
pub enum TicketError {
    NoUser,
    Unknown,
    /// The ticket is not pending.
    Over(TicketStatus),
}

impl Reason for TicketError {}

/// The ticket to create.
#[derive(Clone, Debug)]
pub struct NewTicket {
    pub id: TicketId,
    pub user_id: UserId,
    /// Set for an actor token.
    pub impersonation: Option<Impersonation>,
    pub good_for: Duration,
}

impl NewTicket {
    /// The ticket for `secret`; only the hash of the secret is stored.
    pub fn ticket(&self, at: Moment, secret: &str) -> Ticket {
        Ticket {
            id: self.id,
            hash: sha256(secret.as_bytes()),
            user_id: self.user_id,
            status: TicketStatus::Pending,
            created_at: at.now,
            updated_at: at.now,
            expires_at: at.now + self.good_for,
            impersonation: self.impersonation.clone(),
        }
    }
}

/// Stores a new ticket, only if the user exists.
///
/// # Errors
/// [`TicketError::NoUser`].
pub async fn insert(
    service: &Service,
    context: &AuditContext,
    at: Moment,
    ticket: &Ticket,
) -> Result<ChangeSet, Failure<TicketError>> {
    let user = service.store().user(service.instance_id(), ticket.user_id).await?;
    let user = user.ok_or(TicketError::NoUser)?;
    let action = match ticket.id {
        TicketId::SignIn(_) => Action::SignInTokenCreated,
        TicketId::Actor(_) => Action::ActorTokenCreated,
    };
    let mut act = Act::on(action, ticket.id).field("user_id", (), ticket.user_id.to_string()).field(
        "expires_at",
        (),
        ticket.expires_at.as_millis(),
    );
    if let Some(impersonation) = &ticket.impersonation {
        act = act.field("actor", (), impersonation.actor.get("sub").cloned());
    }
    let changes = service.act(at, context, act);
    Ok(changes.expect(Expect::User(user.id, user.version)).write(Write::InsertTicket(ticket.clone())))
}

/// Revokes a pending ticket.
///
/// # Errors
/// [`TicketError::Unknown`], also if `id` is `None`; [`TicketError::Over`].
pub async fn revoke(
    service: &Service,
    context: &AuditContext,
    id: Option<TicketId>,
) -> Result<Ticket, Failure<TicketError>> {
    let id = id.ok_or(TicketError::Unknown)?;
    let at = service.moment();
    service
        .retry_on_conflict(|| async {
            let ticket = service.store().ticket_by_id(service.instance_id(), id).await?;
            let mut ticket = ticket.ok_or(TicketError::Unknown)?;
            if ticket.status != TicketStatus::Pending {
                return Err(TicketError::Over(ticket.status).into());
            }
            let action = match id {
                TicketId::SignIn(_) => Action::SignInTokenRevoked,
                TicketId::Actor(_) => Action::ActorTokenRevoked,
            };
            let act = Act::on(action, id)
                .field("status", ticket.status.as_str(), TicketStatus::Revoked.as_str())
                .field("user_id", (), ticket.user_id.to_string());
            service.commit(service.act(at, context, act).write(Write::RevokeTicket(id))).await?;
            ticket.status = TicketStatus::Revoked;
            ticket.updated_at = at.now;
            Ok(ticket)
        })
        .await
}
