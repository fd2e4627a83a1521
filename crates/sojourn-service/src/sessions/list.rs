//! The sessions of the instance, for the application's backend.

use sojourn_core::{
    policy::Policy,
    session::{ClosedStatus, Session},
    time::Moment,
};
use sojourn_store::{CommitError, Engine as _, SessionFilter, StoredStatus};

use super::record_ends::{overdue, record_ends};
use crate::instance::Service;

/// The current status of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusFilter {
    Active,
    /// A sign-in with open tasks; this server has none.
    Pending,
    Closed(ClosedStatus),
}

/// The number of sessions per batch, which bounds memory use.
const PAGE: u32 = 500;

/// Sessions and their total number. Overdue sessions are closed first, so that statuses, filters
/// and counts agree.
///
/// # Errors
/// The store fails, or conflicts did not end.
pub async fn list(
    service: &Service,
    at: Moment,
    policy: &Policy,
    mut filter: SessionFilter,
    status: Option<StatusFilter>,
) -> Result<(Vec<Session>, u64), CommitError> {
    use StatusFilter::{Active, Closed, Pending};
    // An overdue session that is stored as open has another status than the table says.
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

/// Closes all overdue sessions of the filter, in batches.
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
