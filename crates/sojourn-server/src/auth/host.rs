//! Which `Host` a development instance answers to: a page of a foreign name
//! that resolves here (DNS rebinding) gets nothing (HST-01, D3).

use axum::http::{HeaderMap, Uri, header};

use crate::app::App;

/// Whether the request names a host that is ours. Any port.
pub fn is_ours(app: &App, uri: &Uri, headers: &HeaderMap) -> bool {
    if !app.is_development() {
        // Production links and `iss` come from the configuration, never from
        // the header, and a proxy in front may use any internal name.
        return true;
    }
    let header = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let Some(host) = uri.authority().map(axum::http::uri::Authority::as_str).or(header) else { return false };
    let name = without_port(host).to_ascii_lowercase();
    ["localhost", "127.0.0.1", "[::1]", app.key_host()].contains(&name.as_str())
        || app.base_url().host_str() == Some(name.as_str())
}

/// The domain that a page on `host` shares with this server in production
/// (`example.com` of `clerk.example.com`): `__client_uat` and the nonce of a
/// handshake live there, so that the application sees them. Host-only in
/// development and everywhere else.
pub fn shared_domain<'a>(app: &'a App, host: &str) -> Option<&'a str> {
    if app.is_development() {
        return None;
    }
    let parent = app.key_host().strip_prefix("clerk.").filter(|parent| parent.contains('.'))?;
    let below = host == parent || host.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'));
    below.then_some(parent)
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
