//! Public documents: the keys that verify tokens, and whether we are well.

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::app::App;

/// The public keys. Anybody may read them, and keep them for five minutes.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "Well-known", responses((status = 200, description = "A JSON Web Key Set")))]
pub async fn get_jwks(State(app): State<App>) -> Response {
    public(&json!({"keys": [app.signer().jwk()]}))
}

/// Where the keys are, for libraries that begin with the issuer.
#[utoipa::path(get, path = "/.well-known/openid-configuration", tag = "Well-known", responses((status = 200, description = "Metadata of the issuer")))]
pub async fn get_openid_configuration(State(app): State<App>) -> Response {
    public(&json!({
        "issuer": app.issuer(),
        "jwks_uri": format!("{}/.well-known/jwks.json", app.own_origin()),
        "id_token_signing_alg_values_supported": ["RS256"],
        "subject_types_supported": ["public"],
        "response_types_supported": [],
    }))
}

fn public(body: &serde_json::Value) -> Response {
    let headers =
        [(header::CACHE_CONTROL, "public, max-age=300"), (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
    (headers, Json(body)).into_response()
}

/// Whether the server answers.
#[utoipa::path(get, path = "/v1/health", tag = "Health", responses((status = 200, description = "It does")))]
pub async fn get_health() -> impl IntoResponse {
    Json(json!({"object": "health", "status": "ok"}))
}
