//! The keys that verify tokens, for SDKs that ask with their secret key.

use axum::{Json, extract::State, response::IntoResponse};
use serde_json::json;

use crate::{app::App, auth::ApplicationServer};

/// The public keys.
#[utoipa::path(get, path = "/v1/jwks", tag = "JWKS", responses((status = 200, description = "A JSON Web Key Set")))]
pub async fn get_jwks(State(app): State<App>, _: ApplicationServer) -> impl IntoResponse {
    Json(json!({"keys": [app.signer().jwk()]}))
}
