//! The only function that changes settings.

use sojourn_core::{
    audit::{Act, Action, AuditContext, FieldChange},
    event::Event,
    policy::Policy,
    settings::{Change, Refusal, Settings, differences},
    time::Timestamp,
};
use sojourn_store::{CommitError, Engine as _, StoreError, Write};

use super::Pin;
use crate::{MaybeConflict, Service};

/// The parameters of a settings change.
#[derive(Clone, Debug)]
pub struct ChangeRequest {
    /// The version that must be in force.
    pub expected: Option<u64>,
    /// Only compute the result; change nothing.
    pub dry_run: bool,
    pub author: Author,
    /// For the audit log.
    pub context: AuditContext,
    /// The earlier version to restore.
    pub restores: Option<u64>,
    /// Sign everybody out, even if the settings do not change.
    pub ends_all_sessions: bool,
}

/// The author of a change, for the history.
#[derive(Clone, Debug)]
pub enum Author {
    /// `backend`, or `cli:` and a name.
    Named(String),
    /// The file or variable of the first pin that changes a value.
    Pins,
}

impl ChangeRequest {
    /// A change that applies to any current version.
    pub const fn by(author: Author, context: AuditContext) -> Self {
        Self { expected: None, dry_run: false, author, context, restores: None, ends_all_sessions: false }
    }

    /// The entry of the audit log for the change.
    fn act(&self, service: &Service, before: &Settings, after: &Settings) -> Act {
        let (action, object_id) = match self {
            Self { ends_all_sessions: true, .. } => {
                (Action::SessionsRevokedAll, service.instance_id().to_string())
            }
            Self { restores: Some(_), .. } => (Action::SettingsRolledBack, after.version.to_string()),
            _ => (Action::SettingsChanged, after.version.to_string()),
        };
        let changes = differences(&before.config(), &after.config()).into_iter().map(FieldChange::from);
        let act = Act::on(action, object_id).fields(changes);
        match self.restores {
            Some(version) => act.field("restores", (), version),
            None => act,
        }
    }
}

/// The settings before and after a change.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The single reading of the clock.
    pub now: Timestamp,
    pub before: Settings,
    /// All versions of the session settings before the change.
    pub policy: Policy,
    /// The settings in force now; in a dry run, the settings that would be.
    pub after: Settings,
}

/// Why a settings change is refused.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("{0}")]
    Refused(Refusal),
    #[error("{} is pinned in {}. Change it there and restart.", .0.setting.path, .0.origin)]
    Pinned(Pin),
    #[error(
        "Version {expected} was to be changed, but version {in_force} is in force. Read the settings again and decide anew."
    )]
    OtherVersion { expected: u64, in_force: u64 },
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl From<Refusal> for SettingsError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StoreError> for SettingsError {
    fn from(error: StoreError) -> Self {
        Self::Commit(error.into())
    }
}

impl MaybeConflict for SettingsError {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Commit(error) if error.is_conflict())
    }
}

impl Service {
    /// Stores the result of `decide` as a new settings version. If nothing changes, or in a dry
    /// run, no version is created, except to sign everybody out.
    ///
    /// # Errors
    /// The error of `decide`, another version than expected, or a change of a pinned value.
    pub async fn change_settings(
        &self,
        request: &ChangeRequest,
        decide: impl Fn(&Settings) -> Result<Settings, Refusal>,
    ) -> Result<Changed, SettingsError> {
        if !request.dry_run {
            // Sessions are judged by the old settings up to this time, so their activity must be
            // stored before.
            self.store().flush_activity().await?;
        }
        let at = self.moment();
        let now = at.now;
        self.retry_on_conflict(|| async {
            let (before, policy) = self.store().settings(self.instance_id()).await?;
            if let Some(expected) = request.expected.filter(|expected| *expected != before.version) {
                return Err(SettingsError::OtherVersion { expected, in_force: before.version });
            }
            let after = decide(&before)?;
            if after.says_the_same(&before) && !request.ends_all_sessions {
                return Ok(Changed { now, policy, after: before.clone(), before });
            }
            let author = match &request.author {
                Author::Named(name) => name.clone(),
                Author::Pins => self.pins().author_of(&before, &after),
            };
            self.pins().allow(&before, &after).map_err(|pin| SettingsError::Pinned(pin.clone()))?;
            let after = Settings {
                restores: request.restores,
                ends_all_sessions: request.ends_all_sessions,
                ..before.succeeded_by(after, at, author)
            };
            if !request.dry_run {
                let act = request.act(self, &before, &after);
                let mut changes = self.act(at, &request.context, act).write(Write::Settings(after.clone()));
                if after.session != before.session {
                    changes = changes.event(Event::SessionSettingsChanged { version: after.version });
                }
                self.commit(changes).await?;
            }
            Ok(Changed { now, before, policy, after })
        })
        .await
    }

    /// As [`Self::change_settings`], for new values of some settings.
    ///
    /// # Errors
    /// As [`Self::change_settings`].
    pub async fn set_settings(
        &self,
        request: &ChangeRequest,
        change: &Change,
    ) -> Result<Changed, SettingsError> {
        self.change_settings(request, |settings| settings.with(change, self.environment())).await
    }
}
