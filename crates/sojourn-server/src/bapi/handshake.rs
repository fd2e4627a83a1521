//! The second half of a handshake: the application redeems the nonce that the
//! browser brought back.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use sojourn_api as api;
use sojourn_core::handshake::directives;
use sojourn_service::sessions::backend::{self, RedeemedHandshake};
use url::Url;

use crate::{
    app::App,
    auth::{ApplicationServer, host},
    wire::{ApiResult, Params},
};

/// The cookies to set for the browser that brought `nonce`.
#[utoipa::path(
    get, path = "/v1/clients/handshake_payload",
    params(api::HandshakeNonceQuery),
    responses((status = 200, description = "`Set-Cookie` lines", body = api::HandshakePayload)),
    extensions(("x-error-codes" = json!(["form_param_missing", "resource_not_found"]))),
)]
pub async fn get_handshake_payload(app: ApplicationServer, params: Params) -> ApiResult<Response> {
    let nonce = params.required("nonce")?;
    let RedeemedHandshake { handshake, claims, client_uat } = backend::redeem_handshake(&app, &nonce).await?;
    let token = claims.map(|claims| app.sign(&claims));
    let secure = handshake.origin.starts_with("https://");
    let domain = shared_domain(&app, &handshake.origin);
    let cookies = directives(app.cookie_names(), token.as_deref(), client_uat, secure, domain);
    let directives = cookies.iter().map(ToString::to_string).collect();
    Ok(Json(api::HandshakePayload { directives }).into_response())
}

fn shared_domain<'a>(app: &'a App, origin: &str) -> Option<&'a str> {
    host::shared_domain(app, Url::parse(origin).ok()?.host_str()?)
}
