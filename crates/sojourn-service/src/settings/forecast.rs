//! The number of sessions that a settings change would end.

use sojourn_core::forecast::{Forecast, WouldEnd};
use sojourn_store::{Engine as _, StoreError};

use super::Changed;
use crate::Service;

/// The number of sessions per batch, which bounds memory use.
const GROUP: u32 = 1000;

impl Service {
    /// The number of open sessions that the change would end: exact for this node, including
    /// activity in memory.
    ///
    /// # Errors
    /// The store fails.
    pub async fn would_end(&self, changed: &Changed) -> Result<WouldEnd, StoreError> {
        if changed.after.session == changed.before.session && !changed.after.ends_all_sessions {
            return Ok(WouldEnd::default());
        }
        let next = changed.after.policy_version();
        let mut forecast = Forecast::new(changed.now, changed.policy.clone(), next);
        let mut walked = None;
        loop {
            let group = self.store().open_sessions(self.instance_id(), walked, GROUP).await?;
            group.iter().for_each(|session| forecast.see(session));
            let Some(last) = group.last().filter(|last| last.created_at <= changed.now) else {
                return Ok(forecast.would_end());
            };
            walked = Some((last.created_at, last.id));
            // A forecast over a million sessions takes seconds; other requests must run in between.
            tokio::task::yield_now().await;
        }
    }
}
