//! The user's sessions on all clients: list them, and end those on other devices.

use sojourn_core::{
    id::SessionId,
    session::{EndReason, EndedBy, Ending, Session},
};
use sojourn_store::Engine as _;

use super::{AccountError, AccountOutcome, Me, Named, me, owner};
use crate::{
    browser::RequestContext,
    instance::Service,
    outcome::{Failure, Shown},
    sessions::{open_sessions_of, read_client, revoke},
};

/// All open sessions of the account, on all clients.
///
/// # Errors
/// [`AccountError::SignedOut`].
pub async fn list_sessions(
    service: &Service,
    request: &RequestContext,
    named: Named,
) -> Result<(AccountOutcome, Vec<Session>), Failure<AccountError>> {
    service
        .retry_on_conflict(|| async {
            let Me { caller, step, user, .. } = me(service, request, named).await?;
            let (now, policy) = (caller.request.now(), &caller.request.policy);
            let sessions = open_sessions_of(service, now, policy, user.id).await?;
            Ok((AccountOutcome { shown: Shown::new(caller, step.browser), user }, sessions))
        })
        .await
}

/// Ends a session of the account on another device, and returns the closed session.
///
/// # Errors
/// [`AccountError::NoSession`], [`AccountError::OwnerOnly`].
pub async fn revoke_session(
    service: &Service,
    request: &RequestContext,
    named: Named,
    id: SessionId,
) -> Result<(AccountOutcome, Session), Failure<AccountError>> {
    service
        .retry_on_conflict(|| async {
            let Me { user, .. } = owner(service, request, named).await?;
            let theirs = service.store().session(service.instance_id(), id).await?;
            theirs.filter(|session| session.user_id == user.id).ok_or(AccountError::NoSession)?;
            let ending = Ending::revoked(EndReason::RevokedByUser, EndedBy::User);
            let revoked = revoke::one(service, None, Some(id), ending).await;
            let session = revoked.map_err(|failure| failure.map(|_| AccountError::NoSession))?;
            let shown = read_client(service, request).await?.with_user(user.clone());
            Ok((AccountOutcome { shown, user }, session))
        })
        .await
}
