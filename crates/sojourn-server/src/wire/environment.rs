//! The environment document, which a browser loads before anything else.

use serde_json::Map;
use sojourn_api as api;
use sojourn_core::{factor, password, settings::Settings};

/// The input of the document.
#[derive(Clone, Copy, Debug)]
pub struct Environment<'a> {
    pub instance_id: &'a str,
    pub settings: &'a Settings,
    pub development: bool,
    /// The URL of the portal without a trailing slash. All URLs in the document are absolute.
    pub portal: &'a str,
    /// The URL of the application.
    pub home_url: &'a str,
}

/// The environment document: never wrapped, and complete where the SDKs look
/// without asking. Compat: clerk/javascript packages/clerk-js/src/core/resources/Environment.ts
pub fn environment(environment: Environment<'_>) -> api::Environment {
    api::Environment {
        object: api::Kind::default(),
        id: format!("env_{}", environment.instance_id),
        auth_config: auth_config(environment),
        display_config: display_config(environment),
        user_settings: user_settings(environment.settings),
        organization_settings: no_organizations(),
        commerce_settings: api::CommerceSettings::default(),
        api_keys_settings: api::ApiKeysSettings::default(),
        protect_config: api::ProtectConfig::default(),
        fraud_settings: api::FraudSettings {
            object: api::Kind::default(),
            native: api::NativeFraudSettings { device_attestation_mode: "disabled".to_owned() },
        },
        maintenance_mode: false,
        client_debug_mode: false,
        partitioned_cookies: false,
    }
}

fn auth_config(environment: Environment<'_>) -> api::AuthConfig {
    let Environment { instance_id, settings, development, .. } = environment;
    api::AuthConfig {
        object: api::Kind::default(),
        id: format!("aac_{instance_id}"),
        first_name: api::FieldUse::On,
        last_name: api::FieldUse::On,
        email_address: api::FieldUse::Required,
        phone_number: api::FieldUse::Off,
        username: api::FieldUse::Off,
        password: api::FieldUse::Required,
        identification_requirements: vec![words(&["email_address"])],
        identification_strategies: words(&["email_address"]),
        first_factors: words(&["email_code", "password", "reset_password_email_code", "ticket"]),
        second_factors: Vec::new(),
        email_address_verification_strategies: words(&["email_code"]),
        single_session_mode: !settings.session.multi_session_enabled,
        enhanced_email_deliverability: false,
        test_mode: development && settings.instance.test_mode,
        url_based_session_syncing: false,
        claimed_at: None,
        reverification: false,
        session_minter: false,
        preferred_channels: None,
        native_settings: api::NativeSettings::default(),
    }
}

fn display_config(environment: Environment<'_>) -> api::DisplayConfig {
    let Environment { instance_id, settings, development, portal, home_url } = environment;
    let nowhere = String::new;
    api::DisplayConfig {
        object: api::Kind::default(),
        id: format!("display_config_{instance_id}"),
        instance_environment_type: match development {
            true => api::EnvironmentType::Development,
            false => api::EnvironmentType::Production,
        },
        application_name: settings.instance.application_name.clone(),
        branded: false,
        show_devmode_warning: false,
        preferred_sign_in_strategy: "password".to_owned(),
        experimental_force_oauth_first: false,
        theme: Map::new(),
        logo_image_url: nowhere(),
        favicon_image_url: nowhere(),
        logo_url: None,
        favicon_url: None,
        logo_image: None,
        favicon_image: None,
        logo_link_url: home_url.to_owned(),
        home_url: home_url.to_owned(),
        sign_in_url: format!("{portal}/sign-in"),
        sign_up_url: format!("{portal}/sign-up"),
        user_profile_url: format!("{portal}/user"),
        waitlist_url: format!("{portal}/sign-up"),
        oauth_consent_url: nowhere(),
        after_sign_in_url: home_url.to_owned(),
        after_sign_up_url: home_url.to_owned(),
        after_sign_out_one_url: format!("{portal}/sign-in/choose"),
        after_sign_out_all_url: format!("{portal}/sign-in"),
        after_switch_session_url: nowhere(),
        organization_profile_url: nowhere(),
        create_organization_url: nowhere(),
        after_leave_organization_url: nowhere(),
        after_create_organization_url: nowhere(),
        after_join_waitlist_url: nowhere(),
        support_email: settings.instance.support_email.clone().unwrap_or_default(),
        help_url: None,
        terms_url: nowhere(),
        privacy_policy_url: nowhere(),
        captcha_public_key: None,
        captcha_public_key_invisible: None,
        captcha_widget_type: None,
        captcha_provider: "turnstile".to_owned(),
        captcha_oauth_bypass: Vec::new(),
        captcha_heartbeat: false,
        clerk_js_version: None,
        google_one_tap_client_id: None,
    }
}

fn user_settings(settings: &Settings) -> api::UserSettings {
    let verify_email = settings.instance.verifies_at_sign_up();
    api::UserSettings {
        attributes: api::Attributes {
            email_address: api::Attribute {
                verify_at_sign_up: verify_email,
                ..attribute(true, &["email_code"])
            },
            password: attribute(true, &[]),
            first_name: attribute(false, &[]),
            last_name: attribute(false, &[]),
            phone_number: api::Attribute::default(),
            username: api::Attribute::default(),
            web3_wallet: api::Attribute::default(),
            authenticator_app: api::Attribute::default(),
            backup_code: api::Attribute::default(),
            passkey: api::Attribute::default(),
            ticket: attribute(false, &[]),
        },
        social: Map::new(),
        saml: api::Switch::default(),
        enterprise_sso: api::EnterpriseSso::default(),
        sign_in: api::SignInSettings::default(),
        sign_up: api::SignUpSettings {
            captcha_enabled: false,
            captcha_widget_type: "smart".to_owned(),
            custom_action_required: false,
            progressive: true,
            mode: "public".to_owned(),
            legal_consent_enabled: false,
            allowlist_only: false,
            mfa: api::MfaSettings::default(),
        },
        restrictions: api::Restrictions::default(),
        password_settings: api::PasswordSettings {
            disable_hibp: true,
            min_length: password::MIN_CHARS as u64,
            max_length: password::MAX_CHARS as u64,
            ..api::PasswordSettings::default()
        },
        username_settings: api::UsernameSettings {
            min_length: 4,
            max_length: 64,
            allow_extended_special_characters: false,
            allow_numeric_usernames: false,
        },
        actions: api::UserActions {
            delete_self: true,
            create_organization: false,
            create_organizations_limit: None,
        },
        attack_protection: api::AttackProtection {
            user_lockout: api::UserLockout {
                enabled: true,
                max_attempts: factor::LOCKOUT_ATTEMPTS,
                duration_in_minutes: factor::LOCKOUT.as_secs() / 60,
            },
            pii: api::Switch { enabled: true },
            email_link: api::EmailLinkSettings { require_same_client: true },
            enumeration_protection: api::Switch { enabled: settings.instance.hides_accounts() },
        },
        passkey_settings: api::PasskeySettings::default(),
    }
}

fn no_organizations() -> api::OrganizationSettings {
    api::OrganizationSettings {
        enabled: false,
        max_allowed_memberships: 5,
        force_organization_selection: false,
        actions: api::OrganizationActions { admin_delete: true },
        domains: api::OrganizationDomains::default(),
        slug: api::OrganizationSlug::default(),
        organization_creation_defaults: api::Switch::default(),
        creator_role: "org:admin".to_owned(),
    }
}

/// An attribute of users, verified by and used with `codes`.
fn attribute(required: bool, codes: &[&str]) -> api::Attribute {
    api::Attribute {
        enabled: true,
        required,
        used_for_first_factor: !codes.is_empty(),
        first_factors: words(codes),
        verifications: words(codes),
        ..api::Attribute::default()
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
