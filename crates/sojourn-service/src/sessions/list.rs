//! The sessions of the instance, for the application's server.

use sojourn_core::{
    policy::Policy,
    session::{ClosedStatus, Session},
    time::Moment,
};
use sojourn_store::{CommitError, Engine as _, SessionFilter, StoredStatus};

use super::record_ends::{overdue, record_ends};
use crate::instance::Service;

/// Which sessions, as they are now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusFilter {
    Active,
    /// Of a sign-in with tasks left, which this server has none of.
    Pending,
    Closed(ClosedStatus),
}

/// Sessions that are looked at together: so many are in memory at once.
const PAGE: u32 = 500;

/// Sessions, and how many there are in all. Those that turn out to be over are recorded
/// as such first, so that statuses, filters and counts agree.
///
/// # Errors
/// The store does not answer, or others change the same rows all the time.
pub async fn list(
    service: &Service,
    at: Moment,
    policy: &Policy,
    mut filter: SessionFilter,
    status: Option<StatusFilter>,
) -> Result<(Vec<Session>, u64), CommitError> {
    use StatusFilter::{Active, Closed, Pending};
    // Sessions that are over, but stored as open, belong elsewhere than the table says.
    if matches!(status, Some(Active | Closed(ClosedStatus::Expired | ClosedStatus::Abandoned))) {
        record_overdue(service, at, policy, &filter).await?;
    }
    filter.stored = match status {
        None => None,
        Some(Active) => Some(StoredStatus::Open),
        Some(Closed(status)) => Some(StoredStatus::Closed(status)),
        Some(Pending) => return Ok((Vec::new(), 0)),
    };
    let load = || service.store().sessions(service.instance_id(), filter.clone());
    let found = load().await?;
    let over = overdue(at.now, policy, &found.0);
    if over.is_empty() {
        return Ok(found);
    }
    record_ends(service, at, over).await?;
    Ok(load().await?)
}

/// Walks through all that are stored as open, page by page.
async fn record_overdue(
    service: &Service,
    at: Moment,
    policy: &Policy,
    filter: &SessionFilter,
) -> Result<(), CommitError> {
    let mut page =
        SessionFilter { stored: Some(StoredStatus::Open), limit: PAGE, offset: 0, ..filter.clone() };
    loop {
        let sessions = service.store().session_page(service.instance_id(), page.clone()).await?;
        record_ends(service, at, overdue(at.now, policy, &sessions)).await?;
        match sessions.last() {
            Some(last) if sessions.len() == PAGE as usize => page.after = Some((last.created_at, last.id)),
            _ => return Ok(()),
        }
    }
}
