//! Every version of the settings there was, and the way back to one.

use sojourn_core::settings::{Change, Claims, Settings};
use sojourn_store::{Engine as _, StoreError};

use super::{ChangeRequest, Changed, SettingsError};
use crate::Service;

/// A version, and the one that it followed.
#[derive(Clone, Debug)]
pub struct VersionWithPredecessor {
    pub version: Settings,
    pub predecessor: Option<Settings>,
}

impl Service {
    /// One version of the settings; the newest version's number where there is none.
    ///
    /// # Errors
    /// The store does not answer.
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

    /// Makes a new version with the content of an earlier one; the history stays as it was.
    ///
    /// # Errors
    /// As [`Service::change_settings`]: what the bounds of today or pins refuse is refused.
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
