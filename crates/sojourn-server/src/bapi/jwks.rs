//! The keys that verify tokens, for SDKs that ask with their secret key.

use axum::{Json, response::IntoResponse};
use sojourn_api as api;

use crate::{auth::ApplicationServer, wire::key_set};

/// The public keys.
#[utoipa::path(
    get, path = "/v1/jwks",
    responses((status = 200, description = "A JSON Web Key Set", body = api::JsonWebKeySet)),
)]
pub async fn get_jwks(app: ApplicationServer) -> impl IntoResponse {
    Json(key_set(&app))
}
