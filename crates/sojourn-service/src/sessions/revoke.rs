//! Ends sessions from outside their browser: by the application's backend, by another device, or
//! because of a ban or a new password.

use std::collections::BTreeSet;

use sojourn_core::{
    audit::{Act, Action, AuditContext},
    client::{SignOutScope, sign_out},
    id::{SessionId, UserId},
    session::{Ending, Session},
    time::Moment,
};
use sojourn_store::{ChangeSet, Engine as _, SessionFilter, StoreError, StoredStatus, Write};

use super::backend::BackendError;
use crate::{
    instance::Service,
    outcome::Failure,
    users::{self, UserError},
};

/// Adds the end of all open sessions of a user except `keep`, on all clients, to `changes`.
///
/// # Errors
/// The store fails.
pub async fn of_user(
    service: &Service,
    mut changes: ChangeSet,
    user_id: UserId,
    keep: Option<SessionId>,
    ending: Ending,
) -> Result<ChangeSet, StoreError> {
    let filter = SessionFilter {
        user_id: Some(user_id),
        stored: Some(StoredStatus::Open),
        limit: u32::MAX,
        ..SessionFilter::default()
    };
    let (sessions, _) = service.store().sessions(service.instance_id(), filter).await?;
    let clients: BTreeSet<_> =
        sessions.iter().filter(|session| Some(session.id) != keep).map(|session| session.client_id).collect();
    let at = changes.at;
    let is_written = |changes: &ChangeSet, id| {
        changes.writes.iter().any(|write| matches!(write, Write::Client(client) if client.id == id))
    };
    for client_id in clients {
        // The set already writes the requesting client; that step contains the ends there.
        if is_written(&changes, client_id) {
            continue;
        }
        let Some(record) = service.store().browser(service.instance_id(), client_id).await? else { continue };
        let mut of_user = record
            .browser
            .sessions
            .iter()
            .filter(|session| session.user_id == user_id && Some(session.id) != keep);
        let Some(session) = of_user.next() else { continue };
        // A client has at most one session of a user, except for sessions from before this rule.
        let keeps = record.browser.sessions.iter().any(|session| Some(session.id) == keep);
        let leaving = match keeps {
            true => SignOutScope::One(session.id),
            false => SignOutScope::User(user_id),
        };
        let step = sign_out(at, &record.policy, &record.browser, leaving, ending, None);
        changes = changes.browser(&step);
    }
    Ok(changes)
}

/// Ends one session on any client, and returns it. A session that is already over keeps its end.
/// `context` is `None` for the user's own act, which is not an administrative one.
///
/// # Errors
/// [`BackendError::NoSession`].
pub async fn one(
    service: &Service,
    context: Option<&AuditContext>,
    id: Option<SessionId>,
    ending: Ending,
) -> Result<Session, Failure<BackendError>> {
    let id = id.ok_or(BackendError::NoSession)?;
    service
        .retry_on_conflict(|| async {
            let session = service.store().session(service.instance_id(), id).await?;
            let session = session.ok_or(BackendError::NoSession)?;
            if session.closed.is_some() {
                return Ok(session);
            }
            let at = service.moment();
            let record = service.store().browser(service.instance_id(), session.client_id).await?;
            let Some(record) = record else { return Ok(session) };
            let step = sign_out(at, &record.policy, &record.browser, SignOutScope::One(id), ending, None);
            let mut changes = service.changes(at).browser(&step);
            let closed = step.closed.into_iter().find(|closed| closed.id == id);
            // A limit may have ended it before.
            let is_revoked = closed.as_ref().is_some_and(|closed| has_ending(closed, ending));
            if let Some(context) = context.filter(|_| is_revoked) {
                let act = Act::on(Action::SessionRevoked, id)
                    .field("status", "active", ending.status.as_str())
                    .field("user_id", (), session.user_id.to_string());
                changes = changes.act(context, act);
            }
            service.commit(changes).await?;
            Ok(closed.unwrap_or(session))
        })
        .await
}

/// Ends all sessions of a user. Returns the time and the number of ended sessions; `dry_run` only
/// counts.
///
/// # Errors
/// [`UserError::Unknown`].
pub async fn all_of_user(
    service: &Service,
    context: &AuditContext,
    id: Option<UserId>,
    ending: Ending,
    dry_run: bool,
) -> Result<(Moment, usize), Failure<UserError>> {
    service
        .retry_on_conflict(|| async {
            let user = users::load(service, id).await?;
            let at = service.moment();
            let changes = of_user(service, service.changes(at), user.id, None, ending).await?;
            // Overdue sessions are closed with the end that their limit caused, so they do not
            // count.
            let is_ended =
                |write: &&Write| matches!(write, Write::CloseSession(session) if has_ending(session, ending));
            let ended = changes.writes.iter().filter(is_ended).count();
            if !dry_run {
                let act = Act::on(Action::SessionsRevoked, user.id).field("open_sessions", ended, 0);
                service.commit(changes.act(context, act)).await?;
            }
            Ok((at, ended))
        })
        .await
}

/// Whether the session is closed, and for the reason of `ending`.
fn has_ending(session: &Session, ending: Ending) -> bool {
    session.closed.is_some_and(|closing| closing.reason == ending.reason)
}
