//! A complete response.

use axum::{
    body::Bytes,
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::schema;

/// A response of the server.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The request, for the messages of failed assertions.
    asked: String,
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    pub(crate) async fn read(asked: String, response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.expect("a whole body");
        let answer = Self { asked, status: parts.status, headers: parts.headers, body };
        if let Err(faults) = schema::check(&answer.asked, answer.status, &answer.headers, &answer.body) {
            panic!("{answer}\ndiffers from openapi/sojourn.json:\n{faults}");
        }
        answer
    }

    /// Whether the requested URL contains this text.
    pub fn asked_for(&self, text: &str) -> bool {
        self.asked.contains(text)
    }

    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The value of a header, if present.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a plain header"))
    }

    /// The `Location` header.
    pub fn location(&self) -> Option<&str> {
        self.header(header::LOCATION.as_str())
    }

    /// The values of the `Set-Cookie` headers, in order.
    pub fn set_cookies(&self) -> Vec<&str> {
        let lines = self.headers.get_all(header::SET_COOKIE).iter();
        lines.map(|line| line.to_str().expect("a plain cookie")).collect()
    }

    /// The value that `Set-Cookie` gives to a cookie; the last one counts.
    pub fn set_cookie(&self, name: &str) -> Option<&str> {
        let pairs = self.set_cookies().into_iter().filter_map(|line| line.split(';').next()?.split_once('='));
        pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next_back()
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub const fn bytes(&self) -> &Bytes {
        &self.body
    }

    /// The body as JSON; `None` if it is not JSON.
    pub fn try_json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        self.try_json().unwrap_or_else(|| panic!("{self} is no JSON"))
    }

    /// The `response` of an envelope.
    #[track_caller]
    pub fn response(&self) -> Value {
        self.json()["response"].clone()
    }

    /// The client in the response: in the envelope, as `meta.client`, or as the response itself.
    #[track_caller]
    pub fn client(&self) -> Value {
        let body = self.json();
        let places = [&body["client"], &body["meta"]["client"], &body["response"]];
        places.into_iter().find(|place| place["object"] == "client").cloned().unwrap_or(Value::Null)
    }

    /// The ids of the client's sessions, in order.
    #[track_caller]
    pub fn session_ids(&self) -> Vec<String> {
        let client = self.client();
        let sessions = client["sessions"].as_array().cloned().unwrap_or_default();
        sessions.iter().map(|session| session["id"].as_str().unwrap_or("").to_owned()).collect()
    }

    /// The session that a sign-in or sign-up created, otherwise the active one.
    #[track_caller]
    pub fn session_id(&self) -> String {
        let created = self.json()["response"]["created_session_id"].clone();
        let active = self.client()["last_active_session_id"].clone();
        let id = created.as_str().or(active.as_str()).map(str::to_owned);
        id.unwrap_or_else(|| panic!("{self} names no session"))
    }

    /// The `id` of the response.
    #[track_caller]
    pub fn id(&self) -> String {
        let id = self.response()["id"].as_str().map(str::to_owned);
        id.unwrap_or_else(|| panic!("{self} has no id"))
    }

    /// The code of the first error; empty if the response is not an error.
    pub fn code(&self) -> String {
        let body = self.try_json().unwrap_or_default();
        body["errors"][0]["code"].as_str().unwrap_or("").to_owned()
    }

    /// The session token: the response itself, or the newest of the client's sessions.
    #[track_caller]
    pub fn jwt(&self) -> String {
        let jwt = self.json()["jwt"].as_str().map(str::to_owned);
        jwt.unwrap_or_else(|| panic!("{self} is no token"))
    }

    /// The claims of [`Self::jwt`], not verified.
    #[track_caller]
    pub fn claims(&self) -> Value {
        claims_of(&self.jwt())
    }

    /// Fails the test with the response unless the status is 2xx.
    #[track_caller]
    pub fn assert_ok(&self) -> &Self {
        assert!(self.status.is_success(), "{self}");
        self
    }

    /// Fails the test unless the response has this status and error code, in the standard shape.
    #[track_caller]
    pub fn assert_refused(&self, status: u16, code: &str) -> &Self {
        assert_eq!((self.status(), self.code().as_str()), (status, code), "{self}");
        self.assert_standard_error()
    }

    /// The shape of every error (wire-frontend 4.2).
    #[track_caller]
    pub fn assert_standard_error(&self) -> &Self {
        assert!(self.status.as_u16() >= 400, "{self}");
        let content_type = self.header("content-type").unwrap_or("");
        assert!(content_type.starts_with("application/json"), "{self}: {content_type}");
        let body = self.json();
        let error = &body["errors"][0];
        for text in [&error["code"], &error["message"], &error["long_message"], &body["clerk_trace_id"]] {
            assert!(text.as_str().is_some_and(|text| !text.is_empty()), "{self}");
        }
        assert!(error["meta"].is_object(), "{self}");
        assert_eq!(self.header("cache-control"), Some("no-store"), "{self}");
        self
    }
}

/// The claims of a token, not verified.
pub(crate) fn claims_of(jwt: &str) -> Value {
    let payload = jwt.split('.').nth(1).expect("three parts");
    let bytes = URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    serde_json::from_slice(&bytes).expect("JSON")
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = String::from_utf8_lossy(&self.body);
        let short: String = text.chars().take(600).collect();
        let asked: String = self.asked.chars().take(200).collect();
        write!(f, "{asked} -> {} {short}", self.status)
    }
}
