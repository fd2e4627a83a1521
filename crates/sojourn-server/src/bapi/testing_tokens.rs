//! Tokens that tests put into their requests to pass bot checks, of which this
//! server has none. Compat: clerk/javascript packages/testing/src/common/setup.ts

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use sojourn_api as api;
use sojourn_core::time::minutes;
use sojourn_service::keys::random_hex;

use crate::{auth::ApplicationServer, wire::ApiResult};

/// A token for an hour.
#[utoipa::path(
    post, path = "/v1/testing_tokens",
    responses((status = 200, description = "A testing token", body = api::TestingToken)),
)]
pub async fn create_testing_token(app: ApplicationServer) -> ApiResult<Response> {
    let now = app.moment().wall;
    let token = format!("{}-c_{}", now.as_secs(), random_hex(&mut app.random(), 16));
    let expires_at = (now + minutes(60)).as_secs();
    Ok(Json(api::TestingToken { object: api::Kind::default(), token, expires_at }).into_response())
}
