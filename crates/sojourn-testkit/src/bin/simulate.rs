//! `make simulate`: runs many seeds, or repeats one.

#![expect(clippy::print_stdout, reason = "a tool for a terminal")]

use std::{
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use sojourn_testkit::sim::run_seeds;

/// The interval of progress lines in seconds.
const TOLD_EVERY: u64 = 5;

fn number(name: &str, otherwise: u64) -> Result<u64, String> {
    match std::env::var(name).as_deref() {
        Err(_) | Ok("") => Ok(otherwise),
        Ok(text) => text.parse().map_err(|_| format!("{name} has to be a whole number, and is {text}.")),
    }
}

#[expect(clippy::disallowed_methods, reason = "how long it takes, not the time of anything simulated")]
fn main() -> ExitCode {
    let (first, count) = match (number("FROM", 0), number("SEEDS", 1_000_000)) {
        (Ok(first), Ok(count)) => (first, count),
        (Err(why), _) | (_, Err(why)) => {
            println!("{why}");
            return ExitCode::FAILURE;
        }
    };
    let (begun, told) = (Instant::now(), AtomicU64::new(0));
    let outcome = run_seeds(first..first.saturating_add(count), |outcome| {
        let seconds = begun.elapsed().as_secs();
        let last = told.load(Ordering::Relaxed);
        let is_time = last + TOLD_EVERY <= seconds;
        if is_time && told.compare_exchange(last, seconds, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            println!("{:>9} seeds, {} a second", outcome.runs, outcome.runs / seconds.max(1));
        }
    });
    println!("{} seeds from {first} on, {:?}", outcome.runs, outcome.coverage);
    for failure in &outcome.failures {
        println!("\n{failure}");
    }
    if outcome.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
