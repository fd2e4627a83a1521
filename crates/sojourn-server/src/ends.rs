//! Ends that a read or the sweeper finds: recorded before they are told
//! (D5).

use std::collections::BTreeSet;

use sojourn_core::{
    client::close_overdue,
    id::{ClientId, SessionId},
    policy::Policy,
    session::{Session, decide},
    time::{Moment, Timestamp},
};
use sojourn_store::Engine as _;

use crate::{
    app::App,
    wire::{ApiError, ApiResult},
};

/// Browsers that are written together. A conflict on one repeats its group only.
const GROUP: usize = 50;

/// The browsers of those sessions that are stored as open and are over.
pub fn overdue(now: Timestamp, policy: &Policy, sessions: &[Session]) -> BTreeSet<ClientId> {
    let overdue = |session: &&Session| session.closed.is_none() && !decide(now, policy, session).is_open();
    sessions.iter().filter(overdue).map(|session| session.client_id).collect()
}

/// Records what is over in these browsers, and gives back what was recorded.
///
/// # Errors
/// The store does not answer, or others change the same rows all the time.
pub async fn record_ends(app: &App, at: Moment, clients: BTreeSet<ClientId>) -> ApiResult<Vec<Session>> {
    let mut closed = Vec::new();
    let clients: Vec<_> = clients.into_iter().collect();
    for group in clients.chunks(GROUP) {
        let recorded = app.retry_on_conflict(|| async {
            let (mut changes, mut closed) = (app.changes(at), Vec::new());
            for client_id in group {
                if let Some(record) = app.store().browser(app.instance_id(), *client_id).await? {
                    let step = close_overdue(at, &record.policy, &record.browser);
                    changes = changes.browser(&step);
                    closed.extend(step.closed);
                }
                // Who came in the meantime is served first.
                tokio::task::yield_now().await;
            }
            app.commit(changes).await?;
            Ok(closed)
        });
        closed.extend(recorded.await?);
    }
    Ok(closed)
}

/// A session as it is now, and the policy by which.
///
/// # Errors
/// 404 when there is none.
pub async fn session(app: &App, at: Moment, id: &str) -> ApiResult<(Session, Policy)> {
    let id: SessionId = id.parse().map_err(|_| no_session())?;
    let load = || async { app.store().session(app.instance_id(), id).await?.ok_or_else(no_session) };
    let (_, policy) = app.store().settings(app.instance_id()).await?;
    let session = load().await?;
    let clients = overdue(at.now, &policy, std::slice::from_ref(&session));
    if clients.is_empty() {
        return Ok((session, policy));
    }
    record_ends(app, at, clients).await?;
    Ok((load().await?, policy))
}

/// The refusal of an unknown session.
pub fn no_session() -> ApiError {
    ApiError::not_found("session")
}
