//! What a Frontend API request says of itself: origin, proxy, address, device.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use sojourn_core::{cookie, language, policy::Policy, session::Device, settings::Settings};
use sojourn_service::RequestContext;
use sojourn_store::Engine as _;
use url::Url;

use super::{Connection, origin, secret_key};
use crate::{
    app::App,
    wire::{ApiError, ApiResult, ErrorCode},
};

/// The settings as they were when a request came, read once for all who need them.
#[derive(Clone, Debug)]
pub struct InForce {
    /// The newest version.
    pub settings: Settings,
    /// All versions of the session settings.
    pub policy: Policy,
}

impl InForce {
    /// Reads them.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn read(app: &App) -> ApiResult<Self> {
        let (settings, policy) = app.store().settings(app.instance_id()).await?;
        Ok(Self { settings, policy })
    }
}

impl FromRequestParts<App> for RequestContext {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> ApiResult<Self> {
        Ok(read(parts, app).await?.0)
    }
}

/// What a browser's request says of itself, its origin checked, and how the browser
/// reaches us. Not yet who it is.
///
/// # Errors
/// The origin may not call; the store does not answer.
pub(super) async fn read(parts: &mut Parts, app: &App) -> ApiResult<(RequestContext, Url)> {
    let InForce { settings, policy } = match parts.extensions.remove() {
        Some(in_force) => in_force,
        None => InForce::read(app).await?,
    };
    let headers = &parts.headers;
    let proxy = trusted_proxy(app, headers).await?;
    let header_origin = origin_header(headers)?;
    if let Some(origin) = header_origin {
        let is_proxy = proxy.as_ref().is_some_and(|proxy| proxy.url.origin().ascii_serialization() == origin);
        if !is_proxy && !origin::is_allowed(app, &settings, origin) {
            return Err(ApiError::new(ErrorCode::OriginInvalid).why(format!(
                    "Requests from {origin} are not allowed. Add it to allowed_origins, or open the application under an allowed address."
                )));
        }
    } else if text(headers, "sec-fetch-site") == Some("cross-site")
        && !matches!(parts.method.as_str(), "GET" | "HEAD")
    {
        return Err(
            ApiError::new(ErrorCode::OriginMissing).why("A request from another site has to say its origin.")
        );
    }
    let connection = parts.extensions.get::<Connection>();
    let client = connection.and_then(|connection| connection.client).map(|client| client.to_string());
    let forwarded = proxy.as_ref().and_then(|proxy| proxy.browser_address.clone());
    let own = || (text(headers, "sec-fetch-site") == Some("same-origin")).then(|| app.own_origin());
    let origin = header_origin
        .map(str::to_owned)
        .or_else(|| proxy.as_ref().map(|proxy| proxy.url.origin().ascii_serialization()))
        .or_else(own);
    let public_url = proxy.map_or_else(|| app.base_url().clone(), |proxy| proxy.url);
    // Browsers name the page's origin with each fetch across hosts, and with no
    // navigation by GET.
    let page = header_origin.and_then(|origin| Url::parse(origin).ok());
    let across_hosts = page.is_some_and(|page| page.host() != public_url.host())
        && text(headers, "sec-fetch-mode") != Some("navigate");
    let user_agent = text(headers, header::USER_AGENT.as_str()).unwrap_or("");
    let request = RequestContext {
        at: app.moment(),
        cookie_kept_for: cookie::kept_for(user_agent, across_hosts),
        origin,
        languages: text(headers, header::ACCEPT_LANGUAGE.as_str())
            .map(language::accepted)
            .unwrap_or_default(),
        device: Device {
            user_agent: user_agent.chars().take(512).collect(),
            ip_address: forwarded.or(client).unwrap_or_default(),
        },
        settings,
        policy,
        credential: None,
    };
    Ok((request, public_url))
}

/// The `Origin` header: one, and a text. What cannot be judged is refused, not
/// taken for absent.
fn origin_header(headers: &HeaderMap) -> ApiResult<Option<&str>> {
    let mut values = headers.get_all(header::ORIGIN).iter();
    match (values.next().map(|value| value.to_str()), values.next()) {
        (None, _) => Ok(None),
        (Some(Ok(origin)), None) => Ok(Some(origin)),
        _ => Err(ApiError::new(ErrorCode::OriginInvalid).why("The Origin header is not one origin.")),
    }
}

struct Proxy {
    url: Url,
    browser_address: Option<String>,
}

/// The application that forwards to us, if it proves itself: forwarding
/// headers count only together with the secret key (HST-02).
/// Compat: clerk/javascript packages/backend/src/proxy.ts
async fn trusted_proxy(app: &App, headers: &HeaderMap) -> ApiResult<Option<Proxy>> {
    let Some(url) = text(headers, "clerk-proxy-url").and_then(|url| Url::parse(url).ok()) else {
        return Ok(None);
    };
    let Some(key) = text(headers, "clerk-secret-key") else { return Ok(None) };
    if !matches!(url.scheme(), "http" | "https") || !secret_key::is_secret_key(app, key).await? {
        return Ok(None);
    }
    let first = text(headers, "x-forwarded-for").and_then(|list| list.split(',').next());
    let address = first.map(str::trim).filter(|address| address.parse::<std::net::IpAddr>().is_ok());
    Ok(Some(Proxy { url, browser_address: address.map(str::to_owned) }))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
