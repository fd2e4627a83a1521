//! Which `Host` is answered (a page of a foreign name that resolves here, by DNS rebinding, gets
//! nothing: HST-01, D3), and with which hosts cookies are shared.

use axum::http::{HeaderMap, Uri, header};
use sojourn_core::host::{is_within, registrable_domain};

use super::{Connection, secret_key};
use crate::{app::App, wire::ApiResult};

/// Whether the request names a host that is ours. Any port.
///
/// In production that is the instance's host alone, named by the request or by a declared proxy; an
/// application that forwards may name any, with its secret key (HST-02).
///
/// # Errors
/// The store does not answer.
pub async fn is_ours(app: &App, uri: &Uri, headers: &HeaderMap, connection: &Connection) -> ApiResult<bool> {
    let header = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let named = uri.authority().map(axum::http::uri::Authority::as_str).or(header);
    let is_own = |host: Option<&str>| host.is_some_and(|host| is_own_name(app, host));
    if is_own(named) || is_own(connection.host.as_deref()) {
        return Ok(true);
    }
    let key = headers.get("clerk-secret-key").and_then(|value| value.to_str().ok());
    match key.filter(|_| !app.is_development() && headers.contains_key("clerk-proxy-url")) {
        Some(key) => secret_key::is_secret_key(app, key).await,
        None => Ok(false),
    }
}

fn is_own_name(app: &App, host: &str) -> bool {
    let name = without_port(host).to_ascii_lowercase();
    let on_this_machine = || ["localhost", "127.0.0.1", "[::1]"].contains(&name.as_str());
    name == app.key_host()
        || app.base_url().host_str() == Some(name.as_str())
        || (app.is_development() && on_this_machine())
}

/// The domain that a page on `host` shares with this server in production
/// (`example.com` of `clerk.example.com`): `__client_uat` and the nonce of a
/// handshake live there, so that the application sees them. Host-only in
/// development and everywhere else.
pub fn shared_domain<'a>(app: &'a App, host: &str) -> Option<&'a str> {
    if app.is_development() {
        return None;
    }
    registrable_domain(app.key_host()).filter(|domain| is_within(host, domain))
}

/// Whether a browser that this server answers on `own` brings the cookies of the answer to `other`.
pub fn shares_cookies(app: &App, own: &str, other: &str) -> bool {
    own == other || (shared_domain(app, own).is_some() && shared_domain(app, other).is_some())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_does_not_belong_to_the_name() {
        assert_eq!(without_port("localhost:4000"), "localhost");
        assert_eq!(without_port("[::1]:4000"), "[::1]");
        assert_eq!(without_port("[::1]"), "[::1]");
        assert_eq!(without_port("localhost"), "localhost");
    }
}
