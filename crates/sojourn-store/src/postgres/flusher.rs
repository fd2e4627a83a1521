//! Writes activity in the background.

use std::{sync::Arc, time::Duration};

use tokio::{sync::oneshot, time::sleep};

use super::shared::Shared;

/// The interval for writing activity and the high-water mark.
const FLUSH_EVERY: Duration = Duration::from_millis(800);
/// Every this many flushes, idle activity is removed from memory.
const TIDY_EVERY: u32 = 30;

/// Writes activity in the background until it is stopped or the engine is dropped.
pub(super) async fn flush_loop(shared: Arc<Shared>, mut stopped: oneshot::Receiver<()>) {
    let mut flushes = 0_u32;
    loop {
        let ends = tokio::select! {
            () = sleep(FLUSH_EVERY) => false,
            _ = &mut stopped => true,
        };
        if ends && shared.is_closed() {
            return;
        }
        flushes = flushes.wrapping_add(1);
        if flushes.is_multiple_of(TIDY_EVERY) {
            shared.activity.tidy();
        }
        loop {
            match shared.flush(ends).await {
                Ok(true) if !ends => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "activity could not be written; trying again");
                    break;
                }
            }
        }
        if ends {
            return;
        }
    }
}
