//! `Idempotency-Key`: a creation whose answer was lost may be asked for again.

use axum::http::HeaderMap;
use sojourn_service::idempotency::Creation;

use crate::wire::{ApiError, ApiResult, ErrorCode, Params};

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
