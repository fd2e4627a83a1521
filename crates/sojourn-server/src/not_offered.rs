//! Operations of the vendor's public documents that this server does not have. The caller must
//! learn that the operation is missing, and not mistake it for a missing record or a network
//! failure.

use std::sync::LazyLock;

use axum::http::{HeaderMap, Method, Uri, header};

use crate::{
    fapi,
    wire::{ApiError, ErrorCode, Params},
};

const OPERATIONS: &str = include_str!("../../../openapi/public-operations.txt");

struct Operation {
    is_frontend: bool,
    method: &'static str,
    path: Vec<&'static str>,
}

static KNOWN: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    let lines = OPERATIONS.lines().filter(|line| !line.starts_with('#'));
    let operation = |line: &'static str| {
        let mut words = line.split(' ');
        let (api, method, path) = (words.next()?, words.next()?, words.next()?);
        Some(Operation { is_frontend: api == "frontend", method, path: path.split('/').collect() })
    };
    lines.filter_map(operation).collect()
});

/// The feature for a part of a path; the first match counts.
const FEATURES: &[(&str, &str)] = &[
    ("billing", "billing"),
    ("organization", "organizations"),
    ("role_sets", "organizations"),
    ("scim", "directory synchronisation"),
    ("directories", "directory synchronisation"),
    ("enterprise", "signing in by an enterprise"),
    ("saml", "signing in by an enterprise"),
    ("admin_portal", "signing in by an enterprise"),
    ("external_account", "signing in at other providers"),
    ("oauth", "OAuth, to or from other providers"),
    ("phone_number", "phone numbers"),
    ("web3", "Web3 wallets"),
    ("passkey", "passkeys"),
    ("totp", "second factors"),
    ("backup_code", "second factors"),
    ("second_factor", "second factors"),
    ("mfa", "second factors"),
    ("trusted_device", "trusted devices"),
    ("waitlist", "waiting lists"),
    ("invitation", "invitations"),
    ("allowlist", "allowlists and blocklists"),
    ("blocklist", "allowlists and blocklists"),
    ("restrictions", "allowlists and blocklists"),
    ("api_keys", "API keys of users"),
    ("m2m", "machine tokens"),
    ("machines", "machine tokens"),
    ("agents", "agent tasks"),
    ("jwt_templates", "JWT templates"),
    ("webhooks", "webhooks"),
    ("domain", "domains of an instance"),
    ("profile_image", "profile pictures"),
    ("templates", "templates of messages"),
    ("dev_browser", "development browsers"),
    ("verif", "this way to verify"),
];

/// Whether the request is for the Frontend API: by its path, or by its parameters if this server
/// has no such path. The Backend API has paths with the same names.
pub fn is_for_frontend(uri: &Uri, headers: &HeaderMap) -> bool {
    let path = uri.path();
    if fapi::owns(path) || !path.starts_with("/v1/") || serves_backend(path) {
        return fapi::owns(path);
    }
    let has_secret_key = headers.contains_key(header::AUTHORIZATION);
    !has_secret_key && (headers.contains_key(header::ORIGIN) || names_browser_sdk(uri))
}

/// Compat: clerk/javascript packages/clerk-js/src/core/fapiClient.ts
fn names_browser_sdk(uri: &Uri) -> bool {
    let params = Params::from_form(uri.query().unwrap_or(""));
    params.is_ok_and(|params| params.has("_clerk_js_version"))
}

/// Whether the path belongs to a section of the Backend API that this server has.
fn serves_backend(path: &str) -> bool {
    const SECTIONS: [&str; 8] = [
        "users",
        "sessions",
        "clients",
        "jwks",
        "instance",
        "sign_in_tokens",
        "actor_tokens",
        "testing_tokens",
    ];
    path.split('/').nth(2).is_some_and(|section| SECTIONS.contains(&section))
}

/// The response to an operation without a route; `None` if no public document has it either.
pub fn refuse(method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<ApiError> {
    let is_frontend = is_for_frontend(uri, headers);
    let parts: Vec<&str> = uri.path().split('/').collect();
    let is_known = KNOWN.iter().any(|known| {
        known.is_frontend == is_frontend && known.method == method.as_str() && matches(&known.path, &parts)
    });
    let feature = FEATURES.iter().find(|(part, _)| uri.path().contains(part)).map(|(_, feature)| *feature);
    // The browser SDKs may be newer than our list.
    let is_newer = is_frontend && !fapi::owns(uri.path());
    (is_known || is_newer).then(|| {
        ApiError::new(ErrorCode::NotOffered).why(format!(
            "This server does not offer {}. No id in the request is wrong; leave out what calls {}.",
            feature.unwrap_or("this operation"),
            uri.path(),
        ))
    })
}

fn matches(template: &[&str], parts: &[&str]) -> bool {
    template.len() == parts.len()
        && template.iter().zip(parts).all(|(wanted, part)| wanted.starts_with('{') || wanted == part)
}
