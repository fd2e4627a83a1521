//! Stands in for `sojourn_server` until it is merged: the interface that `serve.rs` relies on.

use std::path::PathBuf;

use aws_lc_rs::hmac;
use axum::Router;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::config::Pin;

#[derive(Debug)]
#[expect(dead_code, reason = "the real server reads them")]
pub struct Options {
    pub database: PathBuf,
    pub master_key: [u8; 32],
    /// Where browsers and SDKs reach the server, without a slash at the end.
    pub base_url: String,
    pub application_name: String,
    pub expose_development: bool,
    pub rate_limits: bool,
    pub allowed_origins: Vec<String>,
    pub allow_loopback_origins: bool,
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
    options: Options,
}

impl App {
    pub fn open(options: Options) -> Result<Self, StartError> {
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&options.database)
            .map_err(|error| StartError { message: error.to_string() })?;
        Ok(Self { options })
    }

    pub fn router(&self) -> Router {
        Router::new().route("/v1/health", get(|| async { axum::Json(serde_json::json!({ "status": "ok" })) }))
    }

    pub fn publishable_key(&self) -> String {
        format!("pk_live_{}", STANDARD_NO_PAD.encode("clerk.00000000.localhost$"))
    }

    pub fn secret_key(&self) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.options.master_key);
        format!("sk_test_{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, b"secret key")))
    }

    pub fn missing_bundles(&self) -> Vec<String> {
        Vec::new()
    }

    pub fn mailbox_link(&self) -> String {
        format!("{}/mailbox?t=stub", self.options.base_url)
    }

    /// Users and sessions.
    pub fn counts(&self) -> (u64, u64) {
        (0, 0)
    }

    /// Writes what is still in memory.
    pub async fn close(self) {}
}
