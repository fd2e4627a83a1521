//! Waits for the reason to stop: a signal, or the end of the process that started a test server.

use std::os::unix::process::parent_id;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::failure::{Exit, Failure};
use crate::output;

/// Supervisors commonly kill after 30 s, so the server stops earlier.
pub const DRAIN: Duration = Duration::from_secs(25);

const PARENT_CHECK: Duration = Duration::from_millis(250);

/// Listens for SIGTERM and SIGINT from its creation.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub fn listen() -> Result<Self, Failure> {
        let one = |kind| {
            signal(kind).map_err(|error| {
                Failure::new(Exit::Other, "signals_unavailable", "cannot listen for signals")
                    .because(error.to_string())
            })
        };
        Ok(Self { terminate: one(SignalKind::terminate())?, interrupt: one(SignalKind::interrupt())? })
    }

    /// As [`Self::next`], also for SIGHUP, by which a terminal that is closed ends its commands.
    pub async fn next_or_hangup(&mut self) -> i32 {
        let Ok(mut hangup) = signal(SignalKind::hangup()) else { return self.next().await };
        tokio::select! {
            code = self.next() => code,
            _ = hangup.recv() => 129,
        }
    }

    /// The exit code that a shell reports for the received signal.
    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.terminate.recv() => 143,
            _ = self.interrupt.recv() => 130,
        }
    }
}

/// Becomes true at the first reason to stop. A second signal ends the process at once.
pub fn watch(mut signals: Signals, until_parent_dies: bool) -> watch::Receiver<bool> {
    let (stop, stopped) = watch::channel(false);
    // Read first, so that the end of the parent is noticed from here on.
    let parent = parent_id();
    tokio::spawn(async move {
        tokio::select! {
            _ = signals.next() => output::note("stopping: answering accepted requests (again: stop at once)"),
            () = parent_gone(parent), if until_parent_dies => {}
        }
        // Sending fails only if the server has already stopped.
        let _ = stop.send(true);
        let code = signals.next().await;
        std::process::exit(code);
    });
    stopped
}

/// Waits until the parent process ends: the kernel then gives the process another parent.
async fn parent_gone(parent: u32) {
    while parent_id() == parent {
        tokio::time::sleep(PARENT_CHECK).await;
    }
}
