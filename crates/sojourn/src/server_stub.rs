//! Stands in for `sojourn_server` until it is merged: the interface that `serve.rs` relies on.

use std::path::PathBuf;

use aws_lc_rs::hmac;
use axum::Router;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use url::Url;

use crate::config::Pin;

#[derive(Debug)]
#[expect(dead_code, reason = "the real server reads them")]
pub struct Options {
    pub database: PathBuf,
    pub master_key: [u8; 32],
    /// Where browsers and SDKs reach the server.
    pub base_url: Url,
    pub exposed: bool,
    pub rate_limits: bool,
    pub allowed_origins: Vec<String>,
    pub allow_loopback: bool,
    pub pins: Vec<Pin>,
    /// Milliseconds since 1970 UTC; read once per request.
    pub now_ms: fn() -> i64,
}

#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StartError {
    pub message: String,
}

#[derive(Debug)]
pub struct App {
    base_url: Url,
    publishable_key: String,
    secret_key: String,
}

const HOST: &str = "clerk.00000000.localhost";

#[expect(clippy::unused_async, reason = "the real server is asynchronous here")]
impl App {
    pub async fn open(options: Options) -> Result<Self, StartError> {
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&options.database)
            .map_err(|error| StartError { message: error.to_string() })?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &options.master_key);
        Ok(Self {
            base_url: options.base_url,
            publishable_key: format!("pk_live_{}", STANDARD_NO_PAD.encode(format!("{HOST}$"))),
            secret_key: format!("sk_test_{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, b"secret key"))),
        })
    }

    pub fn router(&self) -> Router {
        let health = get(|| async { axum::Json(serde_json::json!({ "status": "ok" })) });
        Router::new().route("/v1/health", health)
    }

    pub fn publishable_key(&self) -> &str {
        &self.publishable_key
    }

    /// Known in development only.
    pub fn secret_key(&self) -> Option<&str> {
        Some(&self.secret_key)
    }

    pub fn key_host(&self) -> &str {
        HOST
    }

    pub fn missing_bundles(&self) -> Vec<String> {
        Vec::new()
    }

    pub fn mailbox_link(&self) -> String {
        self.base_url.join("mailbox?t=stub").map_or_else(|_| String::new(), String::from)
    }

    /// Users and sessions.
    pub async fn counts(&self) -> Result<(u64, u64), StartError> {
        Ok((0, 0))
    }

    /// Writes what is still in memory.
    pub async fn close(&self) -> Result<(), StartError> {
        Ok(())
    }
}
