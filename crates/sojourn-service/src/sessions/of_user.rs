//! The sessions of a user on all clients.

use sojourn_core::{
    id::UserId,
    policy::Policy,
    session::{Session, decide},
    time::Timestamp,
};
use sojourn_store::{Engine as _, SessionFilter, StoreError, StoredStatus};

use crate::instance::Service;

/// The open sessions of a user, at most 100.
///
/// # Errors
/// The store fails.
pub async fn open_sessions_of(
    service: &Service,
    now: Timestamp,
    policy: &Policy,
    user_id: UserId,
) -> Result<Vec<Session>, StoreError> {
    let filter = SessionFilter {
        user_id: Some(user_id),
        stored: Some(StoredStatus::Open),
        limit: 100,
        ..SessionFilter::default()
    };
    let (mut sessions, _) = service.store().sessions(service.instance_id(), filter).await?;
    sessions.retain(|session| decide(now, policy, session).is_open());
    Ok(sessions)
}
