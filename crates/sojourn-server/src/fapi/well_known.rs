//! Public documents: the keys that verify tokens, and whether we are well.

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use sojourn_api as api;

use crate::{app::App, wire::key_set};

/// The public keys. Anybody may read them, and keep them for five minutes.
#[utoipa::path(
    get, path = "/.well-known/jwks.json",
    operation_id = "frontend_get_jwks",
    responses((status = 200, description = "A JSON Web Key Set", body = api::JsonWebKeySet)),
)]
pub async fn get_jwks(State(app): State<App>) -> Response {
    public(&key_set(&app))
}

/// Where the keys are, for libraries that begin with the issuer.
#[utoipa::path(
    get, path = "/.well-known/openid-configuration",
    responses((status = 200, description = "Metadata of the issuer", body = api::OpenIdConfiguration)),
)]
pub async fn get_openid_configuration(State(app): State<App>) -> Response {
    public(&api::OpenIdConfiguration {
        issuer: app.issuer().to_owned(),
        jwks_uri: format!("{}/.well-known/jwks.json", app.own_origin()),
        id_token_signing_alg_values_supported: vec!["RS256".to_owned()],
        subject_types_supported: vec!["public".to_owned()],
        response_types_supported: Vec::new(),
    })
}

fn public(body: &impl serde::Serialize) -> Response {
    let headers =
        [(header::CACHE_CONTROL, "public, max-age=300"), (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
    (headers, Json(body)).into_response()
}

/// Whether the server answers.
#[utoipa::path(
    get, path = "/v1/health",
    responses((status = 200, description = "It answers", body = api::Health)),
)]
pub async fn get_health() -> impl IntoResponse {
    Json(api::Health { object: api::Kind::default(), status: "ok".to_owned() })
}
