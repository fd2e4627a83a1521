//! The application's server: it knows the secret key.

use axum::Router;
use serde_json::Value;

use crate::{Answer, Request};

/// Calls the Backend API.
#[derive(Clone, Debug)]
pub struct Backend {
    pub(crate) router: Router,
    pub(crate) secret_key: String,
    /// As the `Host` header names the server.
    pub(crate) host: String,
}

impl Backend {
    /// Any request, with the key.
    pub fn request(&self, method: &str, target: &str) -> Request {
        let key = format!("Bearer {}", self.secret_key);
        let request = Request::new(self.router.clone(), method, target).header("host", &self.host);
        request.header("authorization", &key)
    }

    /// GET.
    pub async fn get(&self, target: &str) -> Answer {
        self.request("GET", target).send().await
    }

    /// POST with a JSON body.
    pub async fn post(&self, target: &str, body: Value) -> Answer {
        self.request("POST", target).json(&body).send().await
    }

    /// PATCH with a JSON body.
    pub async fn patch(&self, target: &str, body: Value) -> Answer {
        self.request("PATCH", target).json(&body).send().await
    }

    /// PUT with a JSON body.
    pub async fn put(&self, target: &str, body: Value) -> Answer {
        self.request("PUT", target).json(&body).send().await
    }

    /// DELETE.
    pub async fn delete(&self, target: &str) -> Answer {
        self.request("DELETE", target).send().await
    }
}
