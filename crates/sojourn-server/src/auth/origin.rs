//! One list of origins: who may call the Frontend API, and where people may be
//! sent. Compared as whole origins, after one WHATWG parser (RED-01, COR-01).

use sojourn_core::settings::Settings;
use url::{Host, Origin, Url};

use crate::app::App;

/// Whether a request from `origin` (the header's value) may use the Frontend API.
pub fn is_allowed(app: &App, settings: &Settings, origin: &str) -> bool {
    // "null", look-alikes with a path and anything unparsable are nobody.
    let Ok(url) = Url::parse(origin) else { return false };
    url.origin().ascii_serialization() == origin && is_allowed_url(app, settings, &url)
}

/// Where to send somebody who asked for `target`: the address, parsed and
/// written anew (RED-02), if its origin is allowed.
pub fn redirect_target(app: &App, settings: &Settings, target: &str) -> Option<Url> {
    // A browser's parser drops these silently; a filter before it must not.
    if target.chars().any(|c| c.is_control() || c == '\\') || target.trim() != target {
        return None;
    }
    let url = Url::parse(target).ok()?;
    let plain = url.username().is_empty() && url.password().is_none();
    (plain && is_allowed_url(app, settings, &url)).then_some(url)
}

fn is_allowed_url(app: &App, settings: &Settings, url: &Url) -> bool {
    let origin = url.origin();
    if !matches!(url.scheme(), "http" | "https") || !matches!(origin, Origin::Tuple(..)) {
        return false;
    }
    if origin == app.base_url().origin() || (app.allows_loopback() && is_loopback(url)) {
        return true;
    }
    // The cookies of production are for https pages, and whoever is on the network writes the others.
    if !app.is_development() && url.scheme() != "https" {
        return false;
    }
    let origin = origin.ascii_serialization();
    let lists = [app.configured_origins(), &settings.instance.allowed_origins];
    lists.into_iter().flatten().any(|allowed| *allowed == origin)
}

/// Whether the address is on this machine: `localhost`, 127.0.0.0/8, `[::1]`.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(domain)) => domain == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
