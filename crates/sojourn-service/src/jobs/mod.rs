//! Background jobs. Correctness never depends on them: they record the ends of sessions that no
//! request reads, so that their events are sent and lists stay short, and they delete old rows.
//!
//! If several nodes serve one instance, only the holder of a job's lease runs that job.

pub(crate) mod deliver;
mod keys;
mod purge;
pub mod sweep;

use std::time::Duration;

use sojourn_core::time::{Moment, seconds};
use sojourn_metrics::{JOB_FAILURES, SWEEPS, SWEPT, Stopwatch};
use sojourn_store::{CommitError, Engine as _, StoreError};

use self::sweep::Schedule;
pub use self::{deliver::deliver_due, purge::purge};
use crate::{
    instance::Service,
    keys::random_hex,
    webhooks::{self, Compose},
};

/// The interval at which the loop checks whether a job is due.
const TICK: Duration = seconds(1);
/// The lease duration: after this time another node can take over from a node that stopped.
const LEASE: Duration = seconds(30);
const PURGE_EVERY: Duration = seconds(300);

/// Runs until the server stops.
pub async fn run(service: &Service, compose: Compose) {
    tokio::join!(
        tidy(service),
        service.renew_pins_lease_loop(),
        keys::follow(service),
        deliver::run(service),
        webhooks::deliver::run(service, compose),
    );
}

async fn tidy(service: &Service) {
    let holder = random_hex(&mut service.random(), 16);
    let mut timer = tokio::time::interval(TICK);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut schedule, mut purged_at) = (Schedule::default(), None);
    loop {
        timer.tick().await;
        if let Err(error) = look(service, &holder, &mut schedule).await {
            JOB_FAILURES.inc_labelled(&["sweep"]);
            tracing::warn!(?error, "could not close overdue sessions; trying again");
        }
        let at = service.moment();
        if purged_at.is_none_or(|purged| at.wall.since(purged) >= PURGE_EVERY) {
            purged_at = Some(at.wall);
            if let Err(error) = purge_alone(service, &holder, at).await {
                JOB_FAILURES.inc_labelled(&["purge"]);
                tracing::warn!(?error, "could not purge old rows; trying again later");
            }
        }
    }
}

/// Sweeps if a sweep is due and this node gets the lease.
async fn look(service: &Service, holder: &str, schedule: &mut Schedule) -> Result<(), CommitError> {
    if service.shares_its_store() && service.has_development_tools() {
        service.follow_test_clock().await?;
    }
    let at = service.moment();
    let (settings, policy) = service.store().settings(service.instance_id()).await?;
    if schedule.is_due(at, &settings) && take_lease(service, "sweep", holder, at).await? {
        let started = Stopwatch::start();
        let swept = sweep::pass(service, at, schedule.looks_at_all(at)).await?;
        SWEEPS.observe(0, started.elapsed());
        SWEPT.add(0, swept.closed.len() as u64);
        schedule.note(at, &settings, &policy, &swept);
    }
    Ok(())
}

async fn purge_alone(service: &Service, holder: &str, at: Moment) -> Result<(), StoreError> {
    if take_lease(service, "purge", holder, at).await? {
        purge(service, at).await?;
    }
    Ok(())
}

async fn take_lease(
    service: &Service,
    name: &'static str,
    holder: &str,
    at: Moment,
) -> Result<bool, StoreError> {
    let until = at.wall + LEASE;
    service.store().take_lease(service.instance_id(), name, holder, at.wall, until).await
}
