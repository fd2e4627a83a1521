//! The application's server, by its secret key.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use sojourn_store::Engine as _;

use crate::{
    app::App,
    keys::sha256,
    wire::{ApiError, ApiResult, ErrorCode},
};

/// Proof that the request carries a secret key of this instance. Ask for it
/// before anything else, so that nothing exists for those without (AUZ-03).
#[derive(Clone, Copy, Debug)]
pub struct ApplicationServer;

impl FromRequestParts<App> for ApplicationServer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> ApiResult<Self> {
        let (proof, key) = prove(app, &parts.headers).await?;
        // SDKs fetch the keys again for every token they do not know, so this
        // one is cheap and never limited.
        // Compat: clerk/javascript packages/backend/src/tokens/keys.ts
        if parts.uri.path() != "/v1/jwks" {
            app.limits().backend(key)?;
        }
        Ok(proof)
    }
}

/// Whether the headers carry a secret key of this instance.
///
/// # Errors
/// What is wrong with the key, or that there is none.
pub async fn authenticate(app: &App, headers: &HeaderMap) -> ApiResult<ApplicationServer> {
    let (proof, key) = prove(app, headers).await?;
    app.limits().backend(key)?;
    Ok(proof)
}

async fn prove<'a>(app: &App, headers: &'a HeaderMap) -> ApiResult<(ApplicationServer, &'a str)> {
    let header = headers.get(header::AUTHORIZATION).ok_or_else(|| {
        ApiError::new(ErrorCode::AuthenticationInvalid)
            .why("This address needs a secret key. Send it as `Authorization: Bearer sk_…`.")
    })?;
    let key = header.to_str().ok().and_then(|value| value.strip_prefix("Bearer ")).map(str::trim);
    let key = key.ok_or_else(|| {
        ApiError::new(ErrorCode::AuthorizationHeaderFormatInvalid)
            .why("The header has to read `Authorization: Bearer sk_…`.")
    })?;
    if headers.contains_key(header::ORIGIN) {
        return Err(ApiError::new(ErrorCode::SecretKeyFromBrowser)
            .why("A secret key was sent together with an Origin header, that is, from a browser. Keep it on your server, and rotate it."));
    }
    if !is_secret_key(app, key).await? {
        return Err(ApiError::new(ErrorCode::ClerkKeyInvalid)
            .why("The secret key is not one of this instance. Compare it with the one that the server printed at its start."));
    }
    Ok((ApplicationServer, key))
}

/// Whether `key` is a secret key of this instance: a look-up by hash, so that
/// neither the database nor the time it takes tells a part of it.
///
/// # Errors
/// The store does not answer.
pub async fn is_secret_key(app: &App, key: &str) -> ApiResult<bool> {
    Ok(app.store().secret_key(app.instance_id(), sha256(key.as_bytes())).await?.is_some())
}
