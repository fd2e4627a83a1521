//! The client of a Frontend API request: its client cookie, and the cookies of the response.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, Method, header, request::Parts},
};
use sojourn_core::{
    client::Identity,
    cookie::{CLIENT_UAT, Cookie},
};
use sojourn_service::{RequestContext, Shown, browser::Credential};
use url::Url;

use super::{host::shared_domain, request};
use crate::{
    app::App,
    wire::{ApiError, ApiResult, ErrorCode},
};

/// The parts of a request that identify the client.
#[derive(Clone, Debug)]
pub struct BrowserCredentials {
    /// The input of the use cases.
    pub request: RequestContext,
    /// The URL at which the browser reaches us: the proxy's URL if the application forwards
    /// requests, otherwise our own.
    pub public_url: Url,
    /// Whether the request has a client cookie, valid or not.
    presented: bool,
    /// The browser's values of `__client_uat`, plain and with the suffix.
    uat: [Option<String>; 2],
}

impl FromRequestParts<App> for BrowserCredentials {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> ApiResult<Self> {
        let (mut request, public_url) = request::read(parts, app).await?;
        let values = cookie_values(&parts.headers, &app.cookie_names().client);
        let is_safe = matches!(parts.method, Method::GET | Method::HEAD);
        // All requests here are simple form posts, so CORS does not stop pages of other sites from
        // sending them: the Origin header is required (D13).
        if !is_safe && !values.is_empty() && !parts.headers.contains_key(header::ORIGIN) {
            return Err(ApiError::new(ErrorCode::OriginMissing)
                .why("A request that changes something has to carry an Origin header. Browsers send it by themselves."));
        }
        // Two cookies with the same name and different values: another page may have set one of
        // them (COK-02).
        let same = values.windows(2).all(|pair| pair[0] == pair[1]);
        request.credential = values.first().filter(|_| same).and_then(|value| Credential::parse(value));
        let one = |name: String| match cookie_values(&parts.headers, &name).as_slice() {
            [value] => Some((*value).to_owned()),
            _ => None,
        };
        let uat = app.cookie_names().both(CLIENT_UAT).map(one);
        Ok(Self { request, public_url, presented: !values.is_empty(), uat })
    }
}

/// The values of a cookie, in the order of the header. Pairs are parsed one by one: on one machine
/// all applications share the cookies of `localhost`, and a malformed cookie of another application
/// must not hide ours.
pub fn cookie_values<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    let lines = headers.get_all(header::COOKIE).into_iter().map(HeaderValue::as_bytes);
    lines
        .flat_map(|line| line.split(|byte| *byte == b';'))
        .filter_map(|pair| std::str::from_utf8(pair).ok()?.trim().split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value)
        .collect()
}

impl BrowserCredentials {
    /// The `Set-Cookie` values of the response: a new client secret, or the same one renewed once a
    /// day (S7), and `__client_uat` if the browser's value is wrong. A correct cookie is not sent
    /// again, because a late response would overwrite a newer one.
    pub fn cookies(&self, app: &App, shown: &Shown) -> Vec<HeaderValue> {
        // If and only if the page uses https.
        let secure = self.public_url.scheme() == "https";
        let names = app.cookie_names();
        let domain = shared_domain(app, self.public_url.host_str().unwrap_or(""));
        let mut cookies = Vec::new();
        let uat = |uat: i64| {
            names
                .both(CLIENT_UAT)
                .map(|name| Cookie::lasting(name, uat.to_string(), secure).on_domain(domain))
        };
        let holds = |uat: i64| self.uat.iter().all(|held| *held == Some(uat.to_string()));
        let caller = &shown.caller;
        match (caller.identity, &shown.browser) {
            (Identity::Current { .. }, Some(browser)) => {
                let issued = caller.newly_issued();
                if issued.is_some() || !holds(browser.client_uat()) {
                    cookies.extend(uat(browser.client_uat()));
                }
                // Last, because the Express proxy forwards only the last one.
                // Compat: clerk/javascript packages/express/src/authenticateRequest.ts
                cookies
                    .extend(issued.map(|credential| {
                        Cookie::lasting(&names.client, credential.text(), secure).hidden()
                    }));
            }
            (Identity::Stranger, _) if self.presented || caller.forgotten => {
                cookies.extend(uat(0));
                cookies.push(Cookie::removal(&names.client, secure).hidden());
            }
            _ => {}
        }
        crate::wire::client::set_cookies(&cookies)
    }
}

/// The error for every client that is not signed in.
pub fn signed_out() -> ApiError {
    ApiError::new(ErrorCode::AuthenticationInvalid)
        .why("The session is over, or it does not belong to this browser. Sign in again.")
}
