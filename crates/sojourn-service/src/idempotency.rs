//! Idempotent creations with an `Idempotency-Key`: the first response is committed together with
//! the created object, so a repeated request creates nothing (decision 40).

use std::future::Future;

use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sojourn_core::id::Randomness;
use sojourn_store::{ChangeSet, CommitError, Engine as _, IdempotencyKey, StoreError, Write};

use crate::{
    instance::Service,
    keys::{random_hex, sha256},
    outcome::{Failure, Reason},
};

/// A creation with an idempotency key.
#[derive(Clone, Copy, Debug)]
pub struct Creation {
    key_hash: [u8; 32],
    request_hash: [u8; 32],
}

/// Why nothing is created.
#[derive(Clone, Copy, Debug)]
pub enum CreationError<R> {
    /// The key was used for another request.
    KeyReused,
    Refused(R),
}

impl<R> Reason for CreationError<R> {}

/// The first response to a creation, without its secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FirstAnswer {
    pub answer: Value,
    /// The input of the secret; see [`FirstAnswer::secrets`].
    nonce: String,
}

impl Creation {
    /// The creation by `operation` with the body `request` under `key`.
    pub fn new(key: &str, operation: &str, request: &Value) -> Self {
        Self {
            key_hash: sha256(key.as_bytes()),
            request_hash: sha256(format!("{operation} {request}").as_bytes()),
        }
    }

    async fn first_answer<R>(
        &self,
        service: &Service,
    ) -> Result<Option<FirstAnswer>, Failure<CreationError<R>>> {
        match service.store().idempotency_key(service.instance_id(), self.key_hash).await? {
            None => Ok(None),
            Some(found) if found.request_hash != self.request_hash => Err(CreationError::KeyReused.into()),
            Some(found) => serde_json::from_value(found.answer).map(Some).map_err(|error| {
                StoreError::Corrupt { table: "idempotency_keys", reason: error.to_string() }.into()
            }),
        }
    }
}

impl FirstAnswer {
    /// The source of the creation's secrets, the same for each repeated request.
    pub const fn secrets<'a>(&'a self, service: &'a Service) -> CreationSecrets<'a> {
        CreationSecrets { service, nonce: self.nonce.as_str(), block: 0 }
    }
}

/// Secrets that a repeated request shows again although they are not stored: they are derived from
/// a stored nonce and a key that is not in the database.
#[derive(Clone, Copy, Debug)]
pub struct CreationSecrets<'a> {
    service: &'a Service,
    nonce: &'a str,
    block: u32,
}

impl<'a> CreationSecrets<'a> {
    /// The secrets of a creation in progress.
    pub const fn new(service: &'a Service, nonce: &'a str) -> Self {
        Self { service, nonce, block: 0 }
    }
}

impl Randomness for CreationSecrets<'_> {
    fn fill(&mut self, bytes: &mut [u8]) {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.service.code_key());
        for chunk in bytes.chunks_mut(32) {
            // Codes are hashed with the same key, but their input begins with the id of an attempt.
            let tag = hmac::sign(&key, format!("creation {} {}", self.nonce, self.block).as_bytes());
            chunk.copy_from_slice(&tag.as_ref()[..chunk.len()]);
            self.block += 1;
        }
    }
}

/// Creates an object, or returns the first response if the same key was used before. `attempt`
/// receives the nonce of its secrets, and returns the changes and the response without secrets.
///
/// # Errors
/// [`CreationError`].
pub async fn create_once<R, F, T>(
    service: &Service,
    creation: Option<&Creation>,
    attempt: impl Fn(String) -> F,
) -> Result<FirstAnswer, Failure<CreationError<R>>>
where
    F: Future<Output = Result<(ChangeSet, T), Failure<R>>>,
    T: Serialize,
{
    service
        .retry_on_conflict(|| async {
            if let Some(creation) = creation
                && let Some(first) = creation.first_answer(service).await?
            {
                return Ok(first);
            }
            let nonce = random_hex(&mut service.random(), 16);
            let attempted = attempt(nonce.clone()).await;
            let (changes, answer) = attempted.map_err(|failure| failure.map(CreationError::Refused))?;
            let first = FirstAnswer { answer: serde_json::to_value(answer).unwrap_or_default(), nonce };
            match (service.commit(record(changes, creation, &first)).await, creation) {
                (Ok(()), _) => Ok(first),
                // By the same request, which came first.
                (Err(error @ CommitError::Taken(_)), Some(creation)) => {
                    creation.first_answer(service).await?.ok_or_else(|| error.into())
                }
                (Err(error), _) => Err(error.into()),
            }
        })
        .await
}

fn record(changes: ChangeSet, creation: Option<&Creation>, first: &FirstAnswer) -> ChangeSet {
    let Some(Creation { key_hash, request_hash }) = creation.copied() else { return changes };
    let answer = serde_json::to_value(first).unwrap_or_default();
    let created_at = changes.at.wall;
    changes.write(Write::IdempotencyKey(IdempotencyKey { key_hash, request_hash, answer, created_at }))
}
