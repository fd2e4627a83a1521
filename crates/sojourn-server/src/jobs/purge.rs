//! Removes what is long over.

use std::time::Duration;

use sojourn_core::time::{Moment, days};
use sojourn_store::{Engine as _, StoreError};

use crate::app::App;

/// How long attempts, nonces and tickets stay after they are over.
const KEPT: Duration = days(1);
/// Rows removed at a time, so that no sign-in waits for the writer long.
const GROUP: u32 = 200;

/// Removes attempts, nonces and tickets that are over, and sessions that ended
/// longer ago than the settings keep them.
///
/// # Errors
/// The store does not answer.
pub(crate) async fn purge(app: &App, at: Moment) -> Result<(), StoreError> {
    let before = Moment { now: at.now - KEPT, wall: at.wall - KEPT };
    while app.store().purge(before, GROUP).await? > 0 {
        tokio::task::yield_now().await;
    }
    let (settings, _) = app.store().settings(app.instance_id()).await?;
    let before = at.now - settings.session.ended_sessions_kept();
    while app.store().purge_sessions(app.instance_id(), before, GROUP).await? > 0 {
        tokio::task::yield_now().await;
    }
    Ok(())
}
