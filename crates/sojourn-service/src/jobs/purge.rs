//! Deletes old rows.

use sojourn_core::time::{Moment, days};
use sojourn_store::{Engine as _, StoreError};

use crate::instance::Service;

/// The maximum number of rows per statement, so that a sign-in does not wait long for the writer.
const GROUP: u32 = 200;

/// Deletes the rows whose retention in the store is over, and ended sessions and entries of the audit
/// log that are older than the settings keep them.
///
/// # Errors
/// The store fails.
pub async fn purge(service: &Service, at: Moment) -> Result<(), StoreError> {
    while service.store().purge(at, GROUP).await? > 0 {
        tokio::task::yield_now().await;
    }
    let (settings, _) = service.store().settings(service.instance_id()).await?;
    let before = at.now - settings.session.ended_sessions_kept();
    while service.store().purge_sessions(service.instance_id(), before, GROUP).await? > 0 {
        tokio::task::yield_now().await;
    }
    let kept_days = settings.instance.audit.retention_days;
    if kept_days > 0 {
        let before = at.wall - days(kept_days);
        while service.store().purge_audit_log(service.instance_id(), before, GROUP).await? > 0 {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}
