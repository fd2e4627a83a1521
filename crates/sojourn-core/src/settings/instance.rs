//! The settings that concern neither sessions nor tokens.

use serde::{Deserialize, Serialize};

/// The settings that concern neither sessions nor tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceSettings {
    /// The name of the application on the portal and in mail.
    pub application_name: String,
    /// The address that users can contact for help.
    #[serde(default)]
    pub support_email: Option<String>,
    pub auth_email: EmailSettings,
    /// Protection against attackers who probe for accounts.
    #[serde(default)]
    pub auth_attack_protection: AttackProtectionSettings,
    #[serde(default)]
    pub mail: MailSettings,
    /// Addresses to which the portal redirects.
    pub paths: PathSettings,
    /// Whether test addresses and their fixed code work. Development instances only.
    pub test_mode: bool,
    /// Origins that may call the Frontend API, in addition to those of the configuration.
    pub allowed_origins: Vec<String>,
    #[serde(default)]
    pub signing_keys: SigningKeySettings,
    #[serde(default)]
    pub audit: AuditSettings,
}

impl Default for InstanceSettings {
    fn default() -> Self {
        Self {
            application_name: "My application".to_owned(),
            support_email: None,
            auth_email: EmailSettings { verify_at_sign_up: true },
            auth_attack_protection: AttackProtectionSettings::default(),
            mail: MailSettings::default(),
            paths: PathSettings { home_url: None },
            test_mode: true,
            allowed_origins: Vec::new(),
            signing_keys: SigningKeySettings::default(),
            audit: AuditSettings::default(),
        }
    }
}

impl InstanceSettings {
    /// Whether responses hide which accounts exist.
    pub fn hides_accounts(&self) -> bool {
        self.auth_attack_protection.enumeration_protection == EnumerationProtection::Strict
    }

    /// Whether a sign-up must verify its address. With enumeration protection it always must: a
    /// sign-up that completes immediately would reveal that no account has the address.
    pub fn verifies_at_sign_up(&self) -> bool {
        self.auth_email.verify_at_sign_up || self.hides_accounts()
    }
}

/// The settings of e-mail addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailSettings {
    /// Whether a sign-up must verify its address before it is complete.
    pub verify_at_sign_up: bool,
}

/// Protection against attackers who probe for accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttackProtectionSettings {
    pub enumeration_protection: EnumerationProtection,
}

/// Whether sign-in and sign-up reveal which accounts exist (AUT-13).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnumerationProtection {
    /// They reveal it: users learn that they mistyped their address.
    #[default]
    Off,
    /// They do not: a client without a verified factor cannot learn whether an account exists.
    Strict,
}

/// The settings of mails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailSettings {
    /// The language of mails to readers who want none of those there are.
    pub default_locale: String,
    /// When a user is told of a sign-in from a browser that was new to the account.
    pub notify_new_device: NotifyNewDevice,
}

impl Default for MailSettings {
    fn default() -> Self {
        Self { default_locale: "en".to_owned(), notify_new_device: NotifyNewDevice::InProduction }
    }
}

/// When a user is told of a sign-in from a browser that was new to the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotifyNewDevice {
    /// On production instances. In development each test signs in from a new browser.
    InProduction,
    Always,
    Never,
}

/// Addresses to which the portal redirects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathSettings {
    /// The target after sign-in if the request names none.
    pub home_url: Option<String>,
}

/// The settings of the keys that sign tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKeySettings {
    /// Days after which a new key replaces the current one; 0: only an administrator rotates.
    pub rotation_days: u64,
}

/// The settings of the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditSettings {
    /// Days after which an entry is deleted; 0: never.
    pub retention_days: u64,
}

impl Default for AuditSettings {
    /// A year, and time to look at it when it is over.
    fn default() -> Self {
        Self { retention_days: 400 }
    }
}
