//! The Backend API: what application servers ask, with a secret key, under
//! `/v1`. Contract: the public OpenAPI document of the vendor's Backend API,
//! 2026-05-12; the settings below `/v1/instance` are ours.

mod actor_tokens;
mod audit_log;
mod clients;
mod config;
mod creation;
mod handshake;
mod instance;
mod jwks;
mod mails;
mod page;
mod secret_keys;
mod session_revocations;
mod sessions;
mod settings;
mod settings_history;
mod settings_request;
pub(crate) mod settings_schema;
mod sign_in_tokens;
mod signing_keys;
mod testing_tokens;
mod tickets;
mod tokens;
mod users;
mod webhook_deliveries;
mod webhooks;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

/// Routes with their documentation.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(public_keys())
        .routes(routes!(clients::list_clients))
        .routes(routes!(clients::get_client))
        .routes(routes!(clients::verify_client))
        .routes(routes!(handshake::get_handshake_payload))
        .routes(routes!(sessions::list_sessions, sessions::create_session))
        .routes(routes!(sessions::get_session))
        .routes(routes!(sessions::get_session_end))
        .routes(routes!(sessions::revoke_session))
        .routes(routes!(session_revocations::revoke_sessions))
        .routes(routes!(tokens::verify_session))
        .routes(routes!(tokens::refresh_session))
        .routes(routes!(tokens::create_session_token))
        .routes(routes!(tokens::create_template_token))
        .routes(routes!(users::list_users, users::create::create_user))
        .routes(routes!(users::count_users))
        .routes(routes!(users::import::import_users))
        .routes(routes!(users::get_user, users::update::update_user, users::delete_user))
        .routes(routes!(users::export::export_user))
        .routes(routes!(users::update::merge_user_metadata, users::update::replace_user_metadata))
        .routes(routes!(users::standing::ban_user))
        .routes(routes!(users::standing::unban_user))
        .routes(routes!(users::standing::lock_user))
        .routes(routes!(users::standing::unlock_user))
        .routes(routes!(users::password::verify_password))
        .routes(routes!(users::password::remove_password))
        .routes(routes!(sign_in_tokens::create_sign_in_token))
        .routes(routes!(sign_in_tokens::revoke_sign_in_token))
        .routes(routes!(actor_tokens::create_actor_token))
        .routes(routes!(actor_tokens::revoke_actor_token))
        .routes(routes!(testing_tokens::create_testing_token))
        .routes(routes!(instance::get_instance, instance::update_instance))
        .routes(routes!(instance::get_received_request))
        .routes(routes!(settings::get_instance_settings, settings::update_instance_settings))
        .routes(routes!(settings::get_session_settings, settings::update_session_settings))
        .routes(routes!(settings::get_session_token, settings::update_session_token))
        .routes(routes!(secret_keys::list_secret_keys, secret_keys::create_secret_key))
        .routes(routes!(secret_keys::revoke_secret_key))
        .routes(routes!(signing_keys::list_signing_keys))
        .routes(routes!(signing_keys::rotate_signing_key))
        .routes(routes!(mails::list_outgoing_mails))
        .routes(routes!(mails::retry_mail))
        .routes(routes!(mails::retry_failed_mails))
        .routes(routes!(mails::send_test_mail))
        .routes(routes!(mails::list_mail_templates))
        .routes(routes!(mails::preview_mail))
        .routes(routes!(settings_history::list_settings_versions))
        .routes(routes!(settings_history::get_settings_version))
        .routes(routes!(settings_history::rollback_settings))
        .routes(routes!(config::get_config, config::update_config, config::replace_config))
        .routes(routes!(config::get_config_schema))
        .routes(routes!(audit_log::list_audit_log))
        .routes(routes!(webhooks::list_webhook_endpoints, webhooks::create_webhook_endpoint))
        .routes(routes!(
            webhooks::get_webhook_endpoint,
            webhooks::update_webhook_endpoint,
            webhooks::delete_webhook_endpoint
        ))
        .routes(routes!(webhooks::rotate_webhook_secret))
        .routes(routes!(webhook_deliveries::test_webhook_endpoint))
        .routes(routes!(webhook_deliveries::replay_webhooks))
        .routes(routes!(webhook_deliveries::list_webhook_deliveries))
        .routes(routes!(webhook_deliveries::get_webhook_delivery))
        .routes(routes!(webhook_deliveries::retry_webhook_delivery))
}

/// The keys that verify tokens: on every address, because SDKs fetch them from wherever they are told.
pub fn public_keys() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(jwks::get_jwks))
}
