//! Follows the rotations of signing keys that other nodes commit, and starts those that are due.

use std::time::Duration;

use sojourn_core::time::seconds;
use sojourn_metrics::JOB_FAILURES;

use super::take_lease;
use crate::{instance::Service, keys::random_hex, signing_keys};

/// How often a node reads the signing keys. For that long it may sign with a key that an emergency
/// rotation on another node has withdrawn; those tokens are refused.
const READ_EVERY: Duration = seconds(10);

pub(super) async fn follow(service: &Service) {
    let holder = random_hex(&mut service.random(), 16);
    let mut timer = tokio::time::interval(READ_EVERY);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        if service.shares_its_store() {
            match signing_keys::reload(service).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(
                    %error,
                    "a new signing key cannot be read with the master key of this node; give it the new one and start it again",
                ),
                Err(error) => tracing::warn!(%error, "could not read the signing keys; trying again"),
            }
        }
        if let Err(error) = rotate(service, &holder).await {
            JOB_FAILURES.inc_labelled(&["signing_keys"]);
            tracing::warn!(error, "could not rotate the signing key; trying again");
        }
    }
}

async fn rotate(service: &Service, holder: &str) -> Result<(), String> {
    let at = service.moment();
    if take_lease(service, "signing_keys", holder, at).await.map_err(|error| error.to_string())? {
        signing_keys::rotate_if_due(service).await.map_err(|error| format!("{error:?}"))?;
    }
    Ok(())
}
