//! Work that nobody asked for. Correctness never depends on it: it keeps lists
//! short and tables small, and has events told for sessions that nobody asks for.
//!
//! Where several nodes serve one instance, one of them does each job at a time:
//! whoever holds its lease.

mod purge;
pub(crate) mod sweep;

use std::time::Duration;

use sojourn_core::time::{Moment, seconds};
use sojourn_store::Engine as _;

pub(crate) use self::purge::purge;
use self::sweep::Schedule;
use crate::{
    app::App,
    keys::random_hex,
    wire::{ApiError, ApiResult},
};

/// How often it is looked whether something is to be done.
const TICK: Duration = seconds(1);
/// How long a lease is good for: a node that is gone is replaced after this time.
const LEASE: Duration = seconds(30);
const PURGE_EVERY: Duration = seconds(300);

/// Runs until the server ends.
pub async fn run(app: App) {
    tokio::join!(tidy(&app), crate::pins::keep(&app));
}

/// Sweeps and purges, when it is time.
async fn tidy(app: &App) {
    let holder = random_hex(&mut app.random(), 16);
    let mut timer = tokio::time::interval(TICK);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut schedule, mut purged_at) = (Schedule::default(), None);
    loop {
        timer.tick().await;
        if let Err(error) = look(app, &holder, &mut schedule).await {
            tracing::warn!(?error, "could not record the ends that are due; trying again");
        }
        let at = app.moment();
        if purged_at.is_none_or(|purged| at.wall.since(purged) >= PURGE_EVERY) {
            purged_at = Some(at.wall);
            if let Err(error) = purge_alone(app, &holder, at).await {
                tracing::warn!(?error, "could not remove what is long over; trying again later");
            }
        }
    }
}

/// Sweeps, if it is time and no other node does.
async fn look(app: &App, holder: &str, schedule: &mut Schedule) -> ApiResult<()> {
    if app.shares_its_store() && app.has_development_tools() {
        app.follow_test_clock().await?;
    }
    let at = app.moment();
    let (settings, policy) = app.store().settings(app.instance_id()).await?;
    if schedule.is_due(at, &settings) && take_lease(app, "sweep", holder, at).await? {
        let swept = sweep::pass(app, at, schedule.looks_at_all(at)).await?;
        schedule.note(at, &settings, &policy, &swept);
    }
    Ok(())
}

async fn purge_alone(app: &App, holder: &str, at: Moment) -> ApiResult<()> {
    if take_lease(app, "purge", holder, at).await? {
        purge(app, at).await?;
    }
    Ok(())
}

async fn take_lease(app: &App, name: &'static str, holder: &str, at: Moment) -> ApiResult<bool> {
    let until = at.wall + LEASE;
    let taken = app.store().take_lease(app.instance_id(), name, holder, at.wall, until).await;
    taken.map_err(ApiError::from)
}
