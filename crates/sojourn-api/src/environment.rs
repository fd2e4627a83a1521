//! What a browser has to know of the instance before anything else.
//! Compat: clerk/javascript packages/clerk-js/src/core/resources/Environment.ts

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{EnvironmentType, Kind, named};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Environment {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub id: String,
    pub auth_config: AuthConfig,
    pub display_config: DisplayConfig,
    pub user_settings: UserSettings,
    pub organization_settings: OrganizationSettings,
    pub commerce_settings: CommerceSettings,
    pub api_keys_settings: ApiKeysSettings,
    pub protect_config: ProtectConfig,
    pub fraud_settings: FraudSettings,
    pub maintenance_mode: bool,
    pub client_debug_mode: bool,
    pub partitioned_cookies: bool,
}

/// Whether people are asked for something at the sign-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldUse {
    On,
    Off,
    Required,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuthConfig {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub id: String,
    pub first_name: FieldUse,
    pub last_name: FieldUse,
    pub email_address: FieldUse,
    pub phone_number: FieldUse,
    pub username: FieldUse,
    pub password: FieldUse,
    /// Each inner list is a way to be identified.
    pub identification_requirements: Vec<Vec<String>>,
    pub identification_strategies: Vec<String>,
    pub first_factors: Vec<String>,
    pub second_factors: Vec<String>,
    pub email_address_verification_strategies: Vec<String>,
    pub single_session_mode: bool,
    pub enhanced_email_deliverability: bool,
    pub test_mode: bool,
    pub url_based_session_syncing: bool,
    pub claimed_at: Option<i64>,
    pub reverification: bool,
    pub session_minter: bool,
    pub preferred_channels: Option<Map<String, Value>>,
    pub native_settings: NativeSettings,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NativeSettings {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub api_enabled: bool,
    pub trusted_device_sign_in_enabled: bool,
    pub trusted_device_enrollment_prompt_after_sign_in_enabled: bool,
    pub trusted_device_enrollment_prompt_after_sign_up_enabled: bool,
}

/// Addresses are absolute, or empty where there is nothing of the kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DisplayConfig {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub id: String,
    pub instance_environment_type: EnvironmentType,
    pub application_name: String,
    pub branded: bool,
    pub show_devmode_warning: bool,
    pub preferred_sign_in_strategy: String,
    pub experimental_force_oauth_first: bool,
    pub theme: Map<String, Value>,
    pub logo_image_url: String,
    pub favicon_image_url: String,
    pub logo_url: Option<String>,
    pub favicon_url: Option<String>,
    pub logo_image: Option<Map<String, Value>>,
    pub favicon_image: Option<Map<String, Value>>,
    pub logo_link_url: String,
    pub home_url: String,
    pub sign_in_url: String,
    pub sign_up_url: String,
    pub user_profile_url: String,
    pub waitlist_url: String,
    pub oauth_consent_url: String,
    pub after_sign_in_url: String,
    pub after_sign_up_url: String,
    pub after_sign_out_one_url: String,
    pub after_sign_out_all_url: String,
    /// Empty: the browser stays where it is, as people expect of a switch.
    pub after_switch_session_url: String,
    pub organization_profile_url: String,
    pub create_organization_url: String,
    pub after_leave_organization_url: String,
    pub after_create_organization_url: String,
    pub after_join_waitlist_url: String,
    pub support_email: String,
    pub help_url: Option<String>,
    pub terms_url: String,
    pub privacy_policy_url: String,
    pub captcha_public_key: Option<String>,
    pub captcha_public_key_invisible: Option<String>,
    pub captcha_widget_type: Option<String>,
    pub captcha_provider: String,
    pub captcha_oauth_bypass: Vec<String>,
    pub captcha_heartbeat: bool,
    pub clerk_js_version: Option<String>,
    pub google_one_tap_client_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UserSettings {
    pub attributes: Attributes,
    /// Empty: signing in at other providers is not offered.
    pub social: Map<String, Value>,
    pub saml: Switch,
    pub enterprise_sso: EnterpriseSso,
    pub sign_in: SignInSettings,
    pub sign_up: SignUpSettings,
    pub restrictions: Restrictions,
    pub password_settings: PasswordSettings,
    pub username_settings: UsernameSettings,
    pub actions: UserActions,
    pub attack_protection: AttackProtection,
    pub passkey_settings: PasskeySettings,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attributes {
    pub email_address: Attribute,
    pub password: Attribute,
    pub first_name: Attribute,
    pub last_name: Attribute,
    pub phone_number: Attribute,
    pub username: Attribute,
    pub web3_wallet: Attribute,
    pub authenticator_app: Attribute,
    pub backup_code: Attribute,
    pub passkey: Attribute,
    pub ticket: Attribute,
}

/// What is asked of an account or used to prove whose it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attribute {
    pub enabled: bool,
    pub required: bool,
    pub used_for_first_factor: bool,
    pub first_factors: Vec<String>,
    pub used_for_second_factor: bool,
    pub second_factors: Vec<String>,
    pub verifications: Vec<String>,
    pub verify_at_sign_up: bool,
    pub immutable: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Switch {
    pub enabled: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnterpriseSso {
    pub enabled: bool,
    pub self_serve_sso: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignInSettings {
    pub second_factor: SecondFactorSettings,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecondFactorSettings {
    pub enabled: bool,
    pub required: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignUpSettings {
    pub captcha_enabled: bool,
    pub captcha_widget_type: String,
    pub custom_action_required: bool,
    pub progressive: bool,
    pub mode: String,
    pub legal_consent_enabled: bool,
    pub allowlist_only: bool,
    pub mfa: MfaSettings,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MfaSettings {
    pub required: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Restrictions {
    pub allowlist: Switch,
    pub blocklist: Switch,
    pub allowlist_blocklist_disabled_on_sign_in: Switch,
    pub block_email_subaddresses: Switch,
    pub block_disposable_email_domains: Switch,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PasswordSettings {
    pub disable_hibp: bool,
    pub disable_password_reverification: bool,
    pub min_length: u64,
    pub max_length: u64,
    pub require_special_char: bool,
    pub require_numbers: bool,
    pub require_uppercase: bool,
    pub require_lowercase: bool,
    pub show_zxcvbn: bool,
    pub min_zxcvbn_strength: u8,
    pub enforce_hibp_on_sign_in: bool,
    pub allowed_special_characters: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsernameSettings {
    pub min_length: u64,
    pub max_length: u64,
    pub allow_extended_special_characters: bool,
    pub allow_numeric_usernames: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserActions {
    pub delete_self: bool,
    pub create_organization: bool,
    pub create_organizations_limit: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttackProtection {
    pub user_lockout: UserLockout,
    pub pii: Switch,
    pub email_link: EmailLinkSettings,
    pub enumeration_protection: Switch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserLockout {
    pub enabled: bool,
    pub max_attempts: u32,
    pub duration_in_minutes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EmailLinkSettings {
    pub require_same_client: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PasskeySettings {
    pub allow_autofill: bool,
    pub show_sign_in_button: bool,
    pub satisfies_second_factor: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrganizationSettings {
    pub enabled: bool,
    pub max_allowed_memberships: u32,
    pub force_organization_selection: bool,
    pub actions: OrganizationActions,
    pub domains: OrganizationDomains,
    pub slug: OrganizationSlug,
    pub organization_creation_defaults: Switch,
    pub creator_role: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrganizationActions {
    pub admin_delete: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrganizationDomains {
    pub enabled: bool,
    pub enrollment_modes: Vec<String>,
    pub default_role: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrganizationSlug {
    pub disabled: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommerceSettings {
    pub billing: BillingSettings,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BillingSettings {
    pub stripe_publishable_key: Option<String>,
    pub free_trial_requires_payment_method: bool,
    pub organization: BillingSwitch,
    pub user: BillingSwitch,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BillingSwitch {
    pub enabled: bool,
    pub has_paid_plans: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiKeysSettings {
    pub enabled: bool,
    pub user_api_keys_enabled: bool,
    pub orgs_api_keys_enabled: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProtectConfig {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub id: String,
    pub loaders: Vec<Value>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FraudSettings {
    #[schema(schema_with = crate::kind::schema::<Self>)]
    pub object: Kind<Self>,
    pub native: NativeFraudSettings,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NativeFraudSettings {
    pub device_attestation_mode: String,
}

named! {
    Environment = "environment"
    AuthConfig = "auth_config"
    NativeSettings = "native_settings"
    DisplayConfig = "display_config"
    ProtectConfig = "protect_config"
    FraudSettings = "fraud_settings"
}
