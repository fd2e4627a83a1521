//! Removes what is long over.

use sojourn_core::time::Moment;
use sojourn_store::{Engine as _, StoreError};

use crate::instance::Service;

/// Rows removed at a time, so that no sign-in waits for the writer long.
const GROUP: u32 = 200;

/// Removes what the store keeps no longer, and sessions that ended longer ago than
/// the settings keep them.
///
/// # Errors
/// The store does not answer.
pub async fn purge(service: &Service, at: Moment) -> Result<(), StoreError> {
    while service.store().purge(at, GROUP).await? > 0 {
        tokio::task::yield_now().await;
    }
    let (settings, _) = service.store().settings(service.instance_id()).await?;
    let before = at.now - settings.session.ended_sessions_kept();
    while service.store().purge_sessions(service.instance_id(), before, GROUP).await? > 0 {
        tokio::task::yield_now().await;
    }
    Ok(())
}
