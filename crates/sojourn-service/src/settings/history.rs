//! The history of the settings, and the rollback to an earlier version.

use sojourn_core::settings::{Change, Claims, Settings};
use sojourn_store::{Engine as _, StoreError};

use super::{ChangeRequest, Changed, SettingsError};
use crate::Service;

/// A version and its predecessor.
#[derive(Clone, Debug)]
pub struct VersionWithPredecessor {
    pub version: Settings,
    pub predecessor: Option<Settings>,
}

impl Service {
    /// One settings version; the number of the newest version if it does not exist.
    ///
    /// # Errors
    /// The store fails.
    pub async fn settings_version(
        &self,
        version: u64,
    ) -> Result<Result<VersionWithPredecessor, u64>, StoreError> {
        let mut history = self.store().settings_history(self.instance_id()).await?;
        let newest = history.last().map_or(0, |newest| newest.version);
        let Some(index) = history.iter().position(|one| one.version == version) else {
            return Ok(Err(newest));
        };
        history.truncate(index + 1);
        let found =
            history.pop().map(|version| VersionWithPredecessor { version, predecessor: history.pop() });
        Ok(found.ok_or(newest))
    }

    /// Creates a new version with the content of an earlier one. The history is not changed.
    ///
    /// # Errors
    /// As [`Service::change_settings`], with the current bounds and pins.
    pub async fn roll_back_settings(
        &self,
        request: ChangeRequest,
        earlier: &Settings,
    ) -> Result<Changed, SettingsError> {
        let request = ChangeRequest { restores: Some(earlier.version), ..request };
        let earlier = earlier.config();
        let decide = |settings: &Settings| {
            settings.with(&Change::merge(&earlier, settings, Claims::Replaced, true)?, self.environment())
        };
        self.change_settings(&request, decide).await
    }
}
