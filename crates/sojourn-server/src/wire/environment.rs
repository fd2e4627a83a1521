//! What a browser has to know of the instance before anything else.

use serde_json::{Value, json};
use sojourn_core::settings::Settings;

/// What the document is made of.
#[derive(Clone, Copy, Debug)]
pub struct Environment<'a> {
    /// The instance's id.
    pub instance_id: &'a str,
    /// The settings in force.
    pub settings: &'a Settings,
    /// Whether it is a development instance.
    pub development: bool,
    /// The portal, without a slash at the end. All addresses are absolute.
    pub portal: &'a str,
    /// The application.
    pub home_url: &'a str,
}

/// The environment document: never wrapped, and complete where the SDKs look
/// without asking. Compat: clerk/javascript packages/clerk-js/src/core/resources/Environment.ts
pub fn environment(environment: Environment<'_>) -> Value {
    let Environment { instance_id, settings, development, portal, home_url } = environment;
    let verify_email = settings.instance.verifies_at_sign_up();
    json!({
        "object": "environment",
        "id": format!("env_{instance_id}"),
        "auth_config": {
            "object": "auth_config",
            "id": format!("aac_{instance_id}"),
            "single_session_mode": !settings.session.multi_session_enabled,
            "claimed_at": null,
            "reverification": false,
            "session_minter": false,
            "preferred_channels": null,
            "test_mode": development && settings.instance.test_mode,
        },
        "display_config": {
            "object": "display_config",
            "id": format!("display_config_{instance_id}"),
            "instance_environment_type": if development { "development" } else { "production" },
            "application_name": settings.instance.application_name,
            "branded": false,
            "show_devmode_warning": false,
            "preferred_sign_in_strategy": "password",
            "theme": {},
            "logo_image_url": "",
            "favicon_image_url": "",
            "home_url": home_url,
            "sign_in_url": format!("{portal}/sign-in"),
            "sign_up_url": format!("{portal}/sign-up"),
            "user_profile_url": format!("{portal}/user"),
            "waitlist_url": format!("{portal}/sign-up"),
            "after_sign_in_url": home_url,
            "after_sign_up_url": home_url,
            "after_sign_out_one_url": format!("{portal}/sign-in/choose"),
            "after_sign_out_all_url": format!("{portal}/sign-in"),
            // Empty: the browser stays where it is, as people expect of a switch.
            "after_switch_session_url": "",
            "organization_profile_url": "",
            "create_organization_url": "",
            "after_leave_organization_url": "",
            "after_create_organization_url": "",
            "after_join_waitlist_url": "",
            "support_email": settings.instance.support_email.as_deref().unwrap_or_default(),
            "terms_url": "",
            "privacy_policy_url": "",
            "captcha_public_key": null,
            "captcha_public_key_invisible": null,
            "captcha_widget_type": null,
            "captcha_provider": "turnstile",
            "captcha_oauth_bypass": [],
            "captcha_heartbeat": false,
            "clerk_js_version": null,
            "google_one_tap_client_id": null,
        },
        "user_settings": {
            "attributes": {
                "email_address": attribute(true, true, &["email_code"], verify_email),
                "password": attribute(true, true, &[], false),
                "first_name": attribute(true, false, &[], false),
                "last_name": attribute(true, false, &[], false),
                "phone_number": attribute(false, false, &[], false),
                "username": attribute(false, false, &[], false),
                "web3_wallet": attribute(false, false, &[], false),
                "authenticator_app": attribute(false, false, &[], false),
                "backup_code": attribute(false, false, &[], false),
                "passkey": attribute(false, false, &[], false),
            },
            "social": {},
            "saml": {"enabled": false},
            "enterprise_sso": {"enabled": false, "self_serve_sso": false},
            "sign_in": {"second_factor": {"required": false, "enabled": false}},
            "sign_up": {
                "captcha_enabled": false, "captcha_widget_type": "smart", "custom_action_required": false,
                "progressive": true, "mode": "public", "legal_consent_enabled": false,
                "allowlist_only": false, "mfa": {"required": false},
            },
            "restrictions": {"allowlist": {"enabled": false}, "blocklist": {"enabled": false}},
            "password_settings": {
                "disable_hibp": true,
                "min_length": sojourn_core::password::MIN_CHARS,
                "max_length": sojourn_core::password::MAX_CHARS,
                "require_special_char": false, "require_numbers": false, "require_uppercase": false,
                "require_lowercase": false, "show_zxcvbn": false, "min_zxcvbn_strength": 0,
                "enforce_hibp_on_sign_in": false, "allowed_special_characters": "",
            },
            "username_settings": {"min_length": 4, "max_length": 64},
            "actions": {"delete_self": true, "create_organization": false},
            "attack_protection": {
                "user_lockout": {
                    "enabled": true,
                    "max_attempts": sojourn_core::factor::LOCKOUT_ATTEMPTS,
                    "duration_in_minutes": sojourn_core::factor::LOCKOUT.as_secs() / 60,
                },
                "pii": {"enabled": true},
                "email_link": {"require_same_client": true},
                "enumeration_protection": {"enabled": settings.instance.hides_accounts()},
            },
            "passkey_settings": {"allow_autofill": false, "show_sign_in_button": false},
        },
        "organization_settings": {
            "enabled": false, "max_allowed_memberships": 5, "force_organization_selection": false,
            "actions": {"admin_delete": true},
            "domains": {"enabled": false, "enrollment_modes": [], "default_role": null},
            "slug": {"disabled": false}, "organization_creation_defaults": {"enabled": false},
            "creator_role": "org:admin",
        },
        "commerce_settings": {"billing": {
            "stripe_publishable_key": null,
            "organization": {"enabled": false, "has_paid_plans": false},
            "user": {"enabled": false, "has_paid_plans": false},
        }},
        "api_keys_settings": {"enabled": false, "user_api_keys_enabled": false, "orgs_api_keys_enabled": false},
        "protect_config": {"object": "protect_config", "id": "", "loaders": []},
        "fraud_settings": {"native": {"device_attestation_mode": "disabled"}},
        "maintenance_mode": false,
        "client_debug_mode": false,
        "partitioned_cookies": false,
    })
}

fn attribute(enabled: bool, required: bool, codes: &[&str], verify_at_sign_up: bool) -> Value {
    json!({
        "enabled": enabled,
        "required": required,
        "used_for_first_factor": !codes.is_empty(),
        "first_factors": codes,
        "used_for_second_factor": false,
        "second_factors": [],
        "verifications": codes,
        "verify_at_sign_up": verify_at_sign_up,
        "immutable": false,
    })
}
