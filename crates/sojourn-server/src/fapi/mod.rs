//! The Frontend API: what browsers ask, under `/v1`. Contract: the public
//! OpenAPI document of the vendor's Frontend API, 2026-05-12.

mod answer;
mod client;
mod environment;
mod handshake;
mod me;
mod sessions;
mod sign_ins;
mod sign_ups;
mod well_known;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

/// Routes with their documentation.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(environment::get_environment, environment::update_environment))
        .routes(routes!(client::get_client, client::create_client, client::put_client, client::delete_client))
        .routes(routes!(client::delete_client_sessions))
        .routes(routes!(client::touch_client))
        .routes(routes!(handshake::perform_handshake))
        .routes(routes!(sessions::get_session))
        .routes(routes!(sessions::touch_session))
        .routes(routes!(sessions::end_session))
        .routes(routes!(sessions::remove_session))
        .routes(routes!(sessions::create_session_token))
        .routes(routes!(sign_ins::create_sign_in))
        .routes(routes!(sign_ins::get_sign_in))
        .routes(routes!(sign_ins::prepare_first_factor))
        .routes(routes!(sign_ins::attempt_first_factor))
        .routes(routes!(sign_ins::reset_password))
        .routes(routes!(sign_ups::create_sign_up))
        .routes(routes!(sign_ups::get_sign_up, sign_ups::update_sign_up))
        .routes(routes!(sign_ups::prepare_verification))
        .routes(routes!(sign_ups::attempt_verification))
        .routes(routes!(me::account::get_me, me::account::update_me, me::account::delete_me))
        .routes(routes!(me::account::merge_metadata_of_me))
        .routes(routes!(me::account::set_profile_image))
        .routes(routes!(me::account::list_enterprise_connections))
        .routes(routes!(me::email_addresses::list_email_addresses, me::email_addresses::create_email_address))
        .routes(routes!(me::email_addresses::get_email_address, me::email_addresses::delete_email_address))
        .routes(routes!(me::email_addresses::prepare_email_address))
        .routes(routes!(me::email_addresses::attempt_email_address))
        .routes(routes!(me::password::change_password))
        .routes(routes!(me::password::remove_password))
        .routes(routes!(me::sessions::list_sessions))
        .routes(routes!(me::sessions::list_active_sessions))
        .routes(routes!(me::sessions::revoke_session))
        .merge(public_documents())
}

/// What everybody may read, on every address that is served.
pub fn public_documents() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(well_known::get_jwks))
        .routes(routes!(well_known::get_openid_configuration))
        .routes(routes!(well_known::get_health))
}

/// Where pictures are sent to, which are larger than anything else.
pub const IMAGES: &str = "/v1/me/profile_image";

/// Whether a path is answered to everybody, whoever asks.
pub fn is_public(path: &str) -> bool {
    matches!(path, "/v1/environment" | "/v1/health" | IMAGES) || path.starts_with("/.well-known/")
}

/// Whether a path below `/v1` is the Frontend API's, known or not.
pub fn owns(path: &str) -> bool {
    const SECTIONS: [&str; 8] = [
        "/v1/client",
        "/v1/environment",
        "/v1/me",
        "/v1/health",
        "/v1/dev_browser",
        "/v1/waitlist",
        "/v1/tickets",
        "/v1/verify",
    ];
    SECTIONS.iter().any(|section| {
        path.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}
