//! Work that nobody asked for. Correctness never depends on it: it keeps lists
//! short and tables small.

use std::time::Duration;

use sojourn_core::time::{Moment, days};
use sojourn_store::{Engine as _, StoreError};

use crate::app::App;

/// How long attempts, nonces and tickets stay after they are over.
const KEPT: Duration = days(1);
const PURGE_EVERY: Duration = Duration::from_secs(300);
/// Rows removed at a time, so that no sign-in waits for the writer long.
const GROUP: u32 = 200;

/// Runs until the server ends.
pub async fn run(app: App) {
    tokio::join!(purge_at_times(&app), crate::pins::keep(&app));
}

async fn purge_at_times(app: &App) {
    let mut timer = tokio::time::interval(PURGE_EVERY);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        if let Err(error) = purge(app, app.moment()).await {
            tracing::warn!(%error, "could not remove old attempts; trying again later");
        }
    }
}

async fn purge(app: &App, at: Moment) -> Result<(), StoreError> {
    let before = Moment { now: at.now - KEPT, wall: at.wall - KEPT };
    while app.store().purge(before, GROUP).await? > 0 {
        tokio::task::yield_now().await;
    }
    Ok(())
}
