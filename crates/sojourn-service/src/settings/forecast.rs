//! How many sessions a change of the settings would end.

use sojourn_core::forecast::{Forecast, WouldEnd};
use sojourn_store::{Engine as _, StoreError};

use super::Changed;
use crate::Service;

/// Sessions looked at together, so that a forecast holds few of them at a time.
const GROUP: u32 = 1000;

impl Service {
    /// How many of the sessions that live at the moment of asking the change would
    /// end: exact for what this node knows, activity in memory included.
    ///
    /// # Errors
    /// The store does not answer.
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
            // A million sessions take seconds; requests that sign somebody in do not wait for them.
            tokio::task::yield_now().await;
        }
    }
}
