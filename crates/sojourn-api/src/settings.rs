//! The settings, their history, and what a change would do. The registry of the settings makes the
//! schemas of the documents, so the types here are generic over them: clients that know no registry
//! read them as [`serde_json::Map`].

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::{Kind, UnixMillis, named};

/// A document of the settings in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VersionedSettings<S> {
    /// `session_settings`, `session_token_settings` or `instance_settings`.
    pub object: String,
    /// One for all documents.
    pub version: u64,
    pub updated_at: UnixMillis,
    #[serde(flatten)]
    pub settings: S,
}

/// The session token's settings, and what this process knows of its tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionTokenInForce<S> {
    #[serde(flatten)]
    pub settings: VersionedSettings<S>,
    pub claims_cut: ClaimsCut,
}

/// Tokens without the claims that they should have had, because those were too large.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClaimsCut {
    /// When this process began to count.
    pub since: UnixMillis,
    pub tokens: u64,
    /// The users of the newest ones.
    pub user_ids: Vec<String>,
}

/// The answer to a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum ChangedOrDryRun<C, D> {
    DryRun(D),
    Changed(C),
}

/// The settings that a change put into force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChangedSettings<S> {
    #[serde(flatten)]
    pub settings: VersionedSettings<S>,
    pub warnings: Vec<SettingsWarning>,
}

/// What a change would put into force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SettingsDryRun<S> {
    /// The kind of the document and `_dry_run`.
    pub object: String,
    pub before: S,
    pub after: S,
    pub warnings: Vec<SettingsWarning>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionSettingsDryRun<S> {
    #[serde(flatten)]
    pub settings: SettingsDryRun<S>,
    pub would_end: WouldEnd,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionTokenDryRun<S> {
    #[serde(flatten)]
    pub settings: SettingsDryRun<S>,
    /// Where the request names a user.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub rendered: Option<RenderedClaims>,
}

/// The claims as a token of one user would have them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RenderedClaims {
    pub user_id: String,
    pub claims: Map<String, Value>,
    /// As JSON. Browsers keep 4096 bytes for the whole cookie.
    pub bytes: u64,
}

/// Something to think about in settings that are accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SettingsWarning {
    pub code: String,
    pub message: String,
}

/// Sessions that a change would end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WouldEnd {
    /// At the moment of the change.
    pub now: u64,
    /// Beyond those, without further activity.
    pub within_one_hour: u64,
}

/// A version of the settings in their history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SettingsVersion {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub version: u64,
    /// `system`, `backend`, `cli:` and a name, `file:` or `env:` and where.
    pub author: String,
    /// The earlier version whose content this one brought back.
    pub restores: Option<u64>,
    pub ended_all_sessions: bool,
    pub saved_at: UnixMillis,
    pub in_force_from: UnixMillis,
    /// From the version before it.
    pub changes: Vec<SettingsDifference>,
}

/// One value that differs between two versions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SettingsDifference {
    /// As a TOML key.
    pub path: String,
    /// Null where there was nothing.
    pub before: Value,
    /// Null where there is nothing any more.
    pub after: Value,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SettingsVersionWithConfig<S> {
    #[serde(flatten)]
    pub version: SettingsVersion,
    pub config: S,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SettingsRollback<S> {
    #[serde(flatten)]
    pub version: SettingsVersionWithConfig<S>,
    pub warnings: Vec<SettingsWarning>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SettingsRollbackDryRun<S> {
    #[schema(schema_with = crate::kind::schema::<SettingsRollbackDryRun<S>>)]
    pub object: Kind<Self>,
    /// The one in force.
    pub version: u64,
    pub restores: u64,
    pub before: S,
    pub after: S,
    pub changes: Vec<SettingsDifference>,
    pub would_end: WouldEnd,
    pub warnings: Vec<SettingsWarning>,
}

/// The configuration in force, or a part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConfigurationInForce<S> {
    /// A number, as a text.
    pub config_version: String,
    #[serde(flatten)]
    pub config: S,
}

/// The answer to a change of the configuration, or to its dry run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConfigurationChanged<S> {
    /// In force after the change; in a dry run the one to match.
    pub config_version: String,
    pub dry_run: bool,
    pub before: S,
    pub after: S,
    pub warnings: Vec<SettingsWarning>,
    /// In a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub would_end: Option<WouldEnd>,
}

/// A JSON Schema: names, meanings, defaults and bounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct JsonSchema(pub Map<String, Value>);

/// Whose claims a dry run renders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SessionTokenQuery {
    pub dry_run: Option<bool>,
    /// In a dry run.
    pub user_id: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ConfigurationQuery {
    /// Keys of the configuration to answer, separated by commas; all by default.
    pub keys: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ChangeConfigurationQuery {
    pub dry_run: Option<bool>,
    /// Whether null and keys that are left out may take away what is set.
    pub destructive: Option<bool>,
    /// Keys of the configuration to answer; those of the request by default.
    pub keys: Option<Vec<String>>,
}

/// Part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// 1 to 500, 10 by default.
    pub limit: Option<u32>,
    pub offset: Option<u32>,
}

/// For which version a change is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct IfMatch {
    /// The version that has to be in force. Any by default.
    #[serde(rename = "If-Match")]
    pub version: Option<String>,
}

/// A creation that may be repeated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct IdempotencyKey {
    /// A repeat with the same key gets the first answer, for a day.
    #[serde(rename = "Idempotency-Key")]
    pub key: Option<String>,
}

named! { SettingsVersion = "settings_version" }

impl<S> crate::Named for SettingsRollbackDryRun<S> {
    const OBJECT: &'static str = "settings_rollback_dry_run";
}
