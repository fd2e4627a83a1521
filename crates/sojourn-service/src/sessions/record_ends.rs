//! Closes sessions that a read or the sweeper finds overdue, before the response reports the end
//! (D5).

use std::{collections::BTreeSet, future::poll_fn, task::Poll};

use sojourn_core::{
    client::close_overdue,
    id::{ClientId, SessionId},
    policy::Policy,
    session::{Session, decide},
    time::{Moment, Timestamp},
};
use sojourn_store::{CommitError, Engine as _};

use crate::instance::Service;

/// The number of clients per commit. A conflict repeats only its own group.
const GROUP: usize = 50;

/// The clients of sessions that are stored as open but overdue.
pub fn overdue(now: Timestamp, policy: &Policy, sessions: &[Session]) -> BTreeSet<ClientId> {
    let overdue = |session: &&Session| session.closed.is_none() && !decide(now, policy, session).is_open();
    sessions.iter().filter(overdue).map(|session| session.client_id).collect()
}

/// Closes the overdue sessions of these clients, and returns them.
///
/// # Errors
/// The store fails, or conflicts did not end.
pub async fn record_ends(
    service: &Service,
    at: Moment,
    clients: BTreeSet<ClientId>,
) -> Result<Vec<Session>, CommitError> {
    let mut closed = Vec::new();
    let clients: Vec<_> = clients.into_iter().collect();
    for group in clients.chunks(GROUP) {
        let recorded = service.retry_on_conflict(|| async {
            let (mut changes, mut closed) = (service.changes(at), Vec::new());
            for client_id in group {
                if let Some(record) = service.store().browser(service.instance_id(), *client_id).await? {
                    let step = close_overdue(at, &record.policy, &record.browser);
                    changes = changes.browser(&step);
                    closed.extend(step.closed);
                }
                yield_once().await;
            }
            service.commit(changes).await?;
            Ok::<_, CommitError>(closed)
        });
        closed.extend(recorded.await?);
    }
    Ok(closed)
}

/// Yields once to the executor, so that other tasks can run. Independent of the async runtime.
async fn yield_once() {
    let mut yielded = false;
    poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The current state of a session, and the policy; `None` if it does not exist.
///
/// # Errors
/// The store fails, or conflicts did not end.
pub async fn find(
    service: &Service,
    at: Moment,
    id: SessionId,
) -> Result<Option<(Session, Policy)>, CommitError> {
    let (_, policy) = service.store().settings(service.instance_id()).await?;
    let load = || service.store().session(service.instance_id(), id);
    let Some(session) = load().await? else { return Ok(None) };
    let clients = overdue(at.now, &policy, std::slice::from_ref(&session));
    if clients.is_empty() {
        return Ok(Some((session, policy)));
    }
    record_ends(service, at, clients).await?;
    Ok(load().await?.map(|session| (session, policy)))
}
