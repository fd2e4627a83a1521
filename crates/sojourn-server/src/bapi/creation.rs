//! `Idempotency-Key`: a creation whose answer was lost may be asked for again.

use std::future::Future;

use axum::http::HeaderMap;
use serde::Serialize;
use sojourn_service::idempotency::{self, Creation, FirstAnswer, KeyReused};
use sojourn_store::ChangeSet;

use crate::{
    app::{App, AttemptError},
    wire::{ApiError, ApiResult, ErrorCode, Params},
};

const MAX_KEY_BYTES: usize = 255;

/// The key of a creation, if it came with one.
///
/// # Errors
/// The key is no plain text of up to 255 characters.
pub fn creation(headers: &HeaderMap, operation: &str, params: &Params) -> ApiResult<Option<Creation>> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| (1..=MAX_KEY_BYTES).contains(&key.len()));
    let key = key.ok_or_else(|| {
        ApiError::new(ErrorCode::MalformedRequestParameters)
            .why("Idempotency-Key has to be a text of 1 to 255 printable ASCII characters.")
    })?;
    Ok(Some(Creation::new(key, operation, &params.fields().clone().into())))
}

/// As [`idempotency::create_once`], for handlers.
///
/// # Errors
/// What `attempt` and the store fail with, or the key was used for another request.
pub async fn create_once<F, T>(
    app: &App,
    creation: Option<&Creation>,
    attempt: impl Fn(String) -> F,
) -> ApiResult<FirstAnswer>
where
    F: Future<Output = Result<(ChangeSet, T), AttemptError>>,
    T: Serialize,
{
    let attempt = |nonce| {
        let attempt = attempt(nonce);
        async {
            let (changes, answer) = attempt.await?;
            Ok((changes, serde_json::to_value(answer).map_err(ApiError::internal)?))
        }
    };
    idempotency::create_once(app.service(), creation, attempt).await.map_err(AttemptError::into_refusal)
}

impl From<KeyReused> for AttemptError {
    fn from(_: KeyReused) -> Self {
        Self::Refused(
            ApiError::new(ErrorCode::IdempotencyKeyReused)
                .why("Another request was sent with this Idempotency-Key. Use a new key for each creation."),
        )
    }
}
