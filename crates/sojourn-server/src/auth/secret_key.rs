//! The application's server, by its secret key.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use sojourn_core::time::{Timestamp, minutes};
use sojourn_service::keys::sha256;
use sojourn_store::{Engine as _, SecretKey, Write};

use crate::{
    app::App,
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
            app.rate_limits().backend(key)?;
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
    app.rate_limits().backend(key)?;
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
    let known = find(app, key).await?.ok_or_else(|| {
        ApiError::new(ErrorCode::ClerkKeyInvalid)
            .why("The secret key is not one of this instance. Compare it with the one that the server printed at its start.")
    })?;
    if !known.is_good() {
        return Err(ApiError::new(ErrorCode::ClerkKeyInvalid)
            .why("The secret key was revoked. Give the application another one: sojourn keys create."));
    }
    note_use(app, &known);
    Ok((ApplicationServer, key))
}

/// Whether `key` is a good secret key of this instance.
///
/// # Errors
/// The store does not answer.
pub async fn is_secret_key(app: &App, key: &str) -> ApiResult<bool> {
    let Some(known) = find(app, key).await?.filter(SecretKey::is_good) else { return Ok(false) };
    note_use(app, &known);
    Ok(true)
}

/// A look-up by hash, so that neither the database nor the time it takes tells a
/// part of a key.
async fn find(app: &App, key: &str) -> ApiResult<Option<SecretKey>> {
    Ok(app.store().secret_key(app.instance_id(), sha256(key.as_bytes())).await?)
}

/// How exactly the last use of a key is known.
const USE_NOTED_EVERY: Duration = minutes(5);

/// The last uses that this node has noted.
#[derive(Debug, Default)]
pub struct KeyUses(Mutex<BTreeMap<[u8; 32], Timestamp>>);

impl KeyUses {
    /// Whether the use of `key` at `wall` is worth a row: not if one was noted a
    /// moment ago, here or by another node.
    fn is_news(&self, key: &SecretKey, wall: Timestamp) -> bool {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = key.last_used_at.max(noted.get(&key.hash).copied());
        let is_news = last.is_none_or(|last| wall >= last + USE_NOTED_EVERY);
        if is_news {
            noted.insert(key.hash, wall);
        }
        is_news
    }
}

/// Notes that a key is in use. No request waits for it.
fn note_use(app: &App, key: &SecretKey) {
    let at = app.moment();
    if !app.key_uses().is_news(key, at.wall) {
        return;
    }
    let (app, used) = (app.clone(), app.changes(at).write(Write::SecretKeyUsed(key.hash)));
    tokio::spawn(async move {
        if let Err(error) = app.commit(used).await {
            tracing::warn!(%error, "that a secret key is in use could not be noted");
        }
    });
}
