//! The settings that concern neither sessions nor tokens.

use serde::{Deserialize, Serialize};

/// The settings that concern neither sessions nor tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceSettings {
    /// How the application calls itself, on the portal and in mail.
    pub application_name: String,
    /// Where users write to for help.
    #[serde(default)]
    pub support_email: Option<String>,
    /// E-mail addresses.
    pub auth_email: EmailSettings,
    /// What strangers may find out.
    #[serde(default)]
    pub auth_attack_protection: AttackProtectionSettings,
    /// Where people are sent.
    pub paths: PathSettings,
    /// Whether test addresses and their code work; development instances only.
    pub test_mode: bool,
    /// Origins that may call the Frontend API, beside those of the configuration.
    pub allowed_origins: Vec<String>,
}

impl Default for InstanceSettings {
    fn default() -> Self {
        Self {
            application_name: "My application".to_owned(),
            support_email: None,
            auth_email: EmailSettings { verify_at_sign_up: true },
            auth_attack_protection: AttackProtectionSettings::default(),
            paths: PathSettings { home_url: None },
            test_mode: true,
            allowed_origins: Vec::new(),
        }
    }
}

impl InstanceSettings {
    /// Whether nobody may learn which accounts exist.
    pub fn hides_accounts(&self) -> bool {
        self.auth_attack_protection.enumeration_protection == EnumerationProtection::Strict
    }

    /// Whether a sign-up has to prove its address. Where accounts are hidden it
    /// has to in any case: one that is complete at once tells that the address
    /// was free.
    pub fn verifies_at_sign_up(&self) -> bool {
        self.auth_email.verify_at_sign_up || self.hides_accounts()
    }
}

/// The settings of e-mail addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailSettings {
    /// Whether a sign-up has to prove its address before it is complete.
    pub verify_at_sign_up: bool,
}

/// The settings that keep strangers from finding things out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttackProtectionSettings {
    /// Whether signing in and up tells which accounts exist.
    pub enumeration_protection: EnumerationProtection,
}

/// Whether signing in and up tells which accounts exist (AUT-13).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnumerationProtection {
    /// It does: people learn that they mistyped their address.
    #[default]
    Off,
    /// It does not: whoever has proved nothing learns nothing.
    Strict,
}

/// The settings of paths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathSettings {
    /// Where the portal sends people who came from nowhere.
    pub home_url: Option<String>,
}
