//! Removes what is long over.

use std::time::Duration;

use sojourn_core::time::{Moment, days};
use sojourn_store::{Engine as _, StoreError};

use crate::instance::Service;

/// How long attempts, nonces and tickets stay after they are over.
const KEPT: Duration = days(1);
/// Rows removed at a time, so that no sign-in waits for the writer long.
const GROUP: u32 = 200;

/// Removes attempts, nonces and tickets that are over, and sessions that ended
/// longer ago than the settings keep them.
///
/// # Errors
/// The store does not answer.
pub async fn purge(service: &Service, at: Moment) -> Result<(), StoreError> {
    let before = Moment { now: at.now - KEPT, wall: at.wall - KEPT };
    while service.store().purge(before, GROUP).await? > 0 {
        tokio::task::yield_now().await;
    }
    let (settings, _) = service.store().settings(service.instance_id()).await?;
    let before = at.now - settings.session.ended_sessions_kept();
    while service.store().purge_sessions(service.instance_id(), before, GROUP).await? > 0 {
        tokio::task::yield_now().await;
    }
    Ok(())
}
