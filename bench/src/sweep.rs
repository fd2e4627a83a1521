//! The longest latency of refreshes while the sweeper closes very many sessions, compared with one
//! batch of the sweeper and with the same refreshes without a sweep.

use std::{collections::BTreeSet, time::Duration};

use sojourn_core::{client::close_overdue, testing::SeededRng, time::minutes};
use sojourn_store::{Engine as _, SessionFilter, StoredStatus};

use tokio::time::Instant;

use crate::population::Population;

const BEFORE: usize = 2_000;
/// The sessions that stay active while all others end.
const ACTIVE: usize = 500;

/// Ends all but a few sessions at the same time, and refreshes those few meanwhile.
pub async fn beside(population: &Population) -> Vec<String> {
    let (app, mut rng) = (&population.app, SeededRng::new(13));
    // A minute before the first session ends, however long the earlier rounds took.
    app.clock.set(sojourn_testkit::START + minutes(60 * 24 - 1));
    for index in 0..ACTIVE {
        population.refresh(index).send().await.assert_ok();
    }
    app.store().flush_activity().await.expect("a store that answers");
    let quiet = latencies(population, &mut rng, BEFORE).await;

    app.clock.advance(minutes(2));
    let sweeper = tokio_thread(app.server().clone());
    let mut busy = Vec::new();
    let mut recorded = 0;
    let lapsed = population.len().saturating_sub(ACTIVE) as u64;
    let begun = Instant::now();
    while recorded < lapsed.min(100_000) && begun.elapsed() < Duration::from_secs(300) {
        busy.extend(latencies(population, &mut rng, 500).await);
        recorded = abandoned(population).await;
    }
    busy.sort_unstable();
    sweeper.abort();
    let group = group_beside(population, &mut rng).await;
    let shown = |name: &str, latencies: &[Duration]| {
        let at = |part: f64| latencies[((latencies.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
        format!(
            "{name}  p50 {:6.2} ms  p99 {:6.2} ms  p99.9 {:6.2} ms  longest {:6.2} ms",
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0)
        )
    };
    let longest = |latencies: &[Duration]| latencies.last().copied().unwrap_or_default().as_secs_f64();
    vec![
        format!("sweep: {recorded} ends recorded beside {} refreshes", busy.len()),
        shown("refresh, quiet    ", &quiet),
        shown("refresh, sweeping ", &busy),
        format!(
            "one group of the sweeper {:.2} ms beside refreshes; longest wait ÷ group {:.2} (at most 1)",
            group.as_secs_f64() * 1e3,
            (longest(&busy) - longest(&quiet)).max(0.0) / group.as_secs_f64()
        ),
    ]
}

/// A separate runtime for the sweeper, because the server has several workers.
fn tokio_thread(app: sojourn_server::App) -> tokio::task::AbortHandle {
    let (told, handle) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let job = runtime.spawn(sojourn_server::run_jobs(app));
        told.send(job.abort_handle()).expect("somebody waits");
        // Ends when the job is aborted.
        let _ = runtime.block_on(job);
    });
    handle.recv().expect("the thread runs")
}

async fn abandoned(population: &Population) -> u64 {
    let stored = Some(StoredStatus::Closed(sojourn_core::session::ClosedStatus::Abandoned));
    let filter = SessionFilter { stored, limit: 1, ..SessionFilter::default() };
    let app = &population.app;
    app.store().sessions(app.server().instance_id(), filter).await.expect("a store that answers").1
}

/// Sorted latencies of sequential refreshes.
async fn latencies(population: &Population, rng: &mut SeededRng, count: usize) -> Vec<Duration> {
    let mut latencies = Vec::with_capacity(count);
    for _ in 0..count {
        let refresh = population.refresh(rng.below(ACTIVE as u64) as usize);
        let begun = Instant::now();
        let answer = refresh.send().await;
        latencies.push(begun.elapsed());
        assert_eq!(answer.status(), 200, "{answer}");
    }
    latencies.sort_unstable();
    latencies
}

/// The duration of one batch of the sweeper while the same refreshes run: the batch is read, and
/// the overdue sessions of its first clients are closed in one commit.
async fn group_beside(population: &Population, rng: &mut SeededRng) -> Duration {
    let server = population.app.server().clone();
    let groups = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(longest_group(&server))
    });
    while !groups.is_finished() {
        latencies(population, rng, 100).await;
    }
    groups.join().expect("groups are recorded")
}

async fn longest_group(server: &sojourn_server::App) -> Duration {
    let mut longest = Duration::ZERO;
    for _ in 0..40 {
        let begun = Instant::now();
        let sessions =
            server.store().open_sessions(server.instance_id(), None, 200).await.expect("an answer");
        let clients: BTreeSet<_> = sessions.iter().map(|session| session.client_id).take(50).collect();
        let mut changes = server.changes(server.moment());
        for client in clients {
            let record = server.store().browser(server.instance_id(), client).await.expect("an answer");
            let record = record.expect("the browser is there");
            changes = changes.browser(&close_overdue(server.moment(), &record.policy, &record.browser));
        }
        server.commit(changes).await.expect("nobody is in the way");
        longest = longest.max(begun.elapsed());
    }
    longest
}
