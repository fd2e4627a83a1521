//! A request that is put together piece by piece, for what no browser sends.

use std::{
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header},
};
use tower::ServiceExt as _;

use crate::{Answer, schema::sent};

/// A request under construction.
#[derive(Debug)]
pub struct Request {
    router: Router,
    method: Method,
    target: String,
    headers: HeaderMap,
    body: Vec<u8>,
    is_described: bool,
    peer: Option<IpAddr>,
}

impl Request {
    pub(crate) fn new(router: Router, method: &str, target: &str) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("localhost:4000"));
        let method = method.parse().expect("a method");
        Self {
            router,
            method,
            target: target.to_owned(),
            headers,
            body: Vec::new(),
            is_described: true,
            peer: None,
        }
    }

    /// Sets a header, in place of one of that name.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("a header's name");
        self.headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).expect("a header's value"));
        self
    }

    /// One more header, beside those of that name.
    #[must_use]
    pub fn another_header(mut self, name: &str, value: &[u8]) -> Self {
        let name: HeaderName = name.parse().expect("a header's name");
        self.headers.append(name, HeaderValue::from_bytes(value).expect("a header's value"));
        self
    }

    /// Over a connection from this address.
    ///
    /// # Panics
    /// It is none.
    #[must_use]
    pub fn from_peer(mut self, address: &str) -> Self {
        self.peer = Some(address.parse().expect("an IP address"));
        self
    }

    /// Removes a header.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    /// The `Origin` header; `None` removes it.
    #[must_use]
    pub fn origin(self, origin: Option<&str>) -> Self {
        match origin {
            Some(origin) => self.header("origin", origin),
            None => self.without("origin"),
        }
    }

    /// A form body.
    #[must_use]
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        self.body("application/x-www-form-urlencoded", form(fields).into_bytes())
    }

    /// A JSON body.
    #[must_use]
    pub fn json(self, value: &serde_json::Value) -> Self {
        self.body("application/json", value.to_string().into_bytes())
    }

    /// Any body.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    /// Sends what the OpenAPI document does not know, on purpose.
    #[must_use]
    pub fn beyond_the_document(mut self) -> Self {
        self.is_described = false;
        self
    }

    /// Sends it; the answer is read whole.
    ///
    /// # Panics
    /// The target is nothing that a request line can carry.
    pub async fn send(self) -> Answer {
        let asked = format!("{} {}", self.method, self.target);
        self.try_send().await.unwrap_or_else(|| panic!("{asked}: no request line carries that"))
    }

    /// As [`Self::send`], to a router that is not the application's own.
    ///
    /// # Panics
    /// As [`Self::send`].
    pub async fn send_to(mut self, router: Router) -> Answer {
        self.router = router;
        self.send().await
    }

    /// As [`Self::send`]; `None` when no request line can carry the target.
    pub async fn try_send(self) -> Option<Answer> {
        let uri: Uri = self.target.parse().ok()?;
        let asked = format!("{} {}", self.method, self.target);
        let content_type = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or("").to_owned();
        let mut request = axum::http::Request::new(Body::from(self.body.clone()));
        *request.method_mut() = self.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers;
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(ConnectInfo(SocketAddr::from((peer, 40_000))));
        }
        let response = self.router.oneshot(request).await.unwrap_or_else(|never| match never {});
        let answer = Answer::read(asked.clone(), response).await;
        if self.is_described
            && answer.status() < 400
            && let Err(faults) = sent::check(&asked, &content_type, &self.body)
        {
            panic!("{answer}\nwas asked what openapi/sojourn.json does not have:\n{faults}");
        }
        Some(answer)
    }
}

/// Fields as a form or a query.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        let and = if text.is_empty() { "" } else { "&" };
        write!(text, "{and}{}={}", escaped(name), escaped(value)).expect("strings take text");
    }
    text
}

fn escaped(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
