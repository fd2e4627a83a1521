//! The official browser bundles, served from the binary below `/npm/…`.
//!
//! Compat: clerk/javascript packages/shared/src/loadClerkJsScript.ts asks for
//! `/npm/@clerk/clerk-js@6/dist/clerk.browser.js`; the script then fetches its
//! chunks beside it with the exact version in place of the major one.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG,
    HeaderName, IF_NONE_MATCH, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};
use serde::Deserialize;

use super::negotiation::{accepts_gzip, matches_etag};

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// Short, so that browsers get the scripts of an upgraded server within minutes.
const FOR_MINUTES: &str = "public, max-age=300";
const SCRIPT: &str = "text/javascript; charset=utf-8";

pub const CLERK_JS: &str = "@clerk/clerk-js";
pub const CLERK_UI: &str = "@clerk/ui";

#[derive(RustEmbed)]
#[folder = "../../web/bundles"]
struct Bundles;

static LOCK: LazyLock<Lock> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../../web/bundles.lock.json"))
        .expect("web/bundles.lock.json is checked in")
});

#[derive(Deserialize)]
struct Lock {
    packages: Vec<LockedPackage>,
}

#[derive(Deserialize)]
struct LockedPackage {
    name: String,
    version: String,
    entries: Vec<String>,
}

/// The locked version of a package, which our own pages load.
pub fn locked_version(package: &str) -> &'static str {
    LOCK.packages.iter().find(|locked| locked.name == package).map_or("unknown", |locked| &locked.version)
}

/// The scripts of the lock file that this binary does not contain.
///
/// If it is not empty, the portal and applications that load the scripts from here do not work
/// until `cargo xtask bundles` was run and the server was built again.
pub fn missing() -> Vec<String> {
    LOCK.packages
        .iter()
        .flat_map(|package| {
            package.entries.iter().map(|entry| format!("{}/{}/{entry}", package.name, package.version))
        })
        .filter(|path| Bundles::get(path).is_none())
        .collect()
}

/// A file of an embedded package, for a major, minor, exact or `latest` version.
#[utoipa::path(
    get,
    path = "/npm/{path}",
    tag = "Scripts",
    params(("path" = String, Path, description = "`<package>@<version>/<file>`, as public npm mirrors name it")),
    responses(
        (status = 200, description = "The file, gzip-compressed if the request accepts that", content_type = "text/javascript"),
        (status = 304, description = "The caller's copy is still good"),
        (status = 404, description = "A version or a file this server does not hold"),
    ),
)]
pub async fn serve_bundle(Path(path): Path<String>, uri: Uri, headers: HeaderMap) -> Response {
    // With an encoded slash a path could bypass the rules of a proxy.
    let encoded = uri.path().to_ascii_lowercase();
    if encoded.contains("%2f") || encoded.contains("%5c") {
        return not_found(&path);
    }
    let Some(asset) = Asset::find(&path) else {
        return not_found(&path);
    };
    asset.answer(&headers)
}

struct Asset {
    path: String,
    file: EmbeddedFile,
    cache: &'static str,
}

impl Asset {
    /// Looks up an embedded path. Nothing is read from disk, so a path with `..` is simply unknown.
    fn find(path: &str) -> Option<Self> {
        let (name, wanted, file) = split(path)?;
        let held = versions(name);
        let version = resolve(wanted, &held)?;
        // The compressed copies are encodings, not separate files.
        if !file.ends_with(".js") && file != "LICENSE" {
            return None;
        }
        let path = format!("{name}/{version}/{file}");
        let cache = if wanted == version { FOR_EVER } else { FOR_MINUTES };
        Some(Self { file: Bundles::get(&path)?, path, cache })
    }

    fn answer(self, request: &HeaderMap) -> Response {
        let compressed = accepts_gzip(request.get_all(ACCEPT_ENCODING))
            .then(|| Bundles::get(&format!("{}.gz", self.path)))
            .flatten();
        let content_type = if self.path.ends_with(".js") { SCRIPT } else { "text/plain; charset=utf-8" };
        let etag = etag(&self.file, compressed.is_some());

        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(self.cache));
        headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        // Applications load the scripts with crossorigin="anonymous".
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(ETAG, HeaderValue::from_str(&etag).expect("hexadecimal in quotes"));
        if matches_etag(request.get_all(IF_NONE_MATCH), &etag) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        if compressed.is_some() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let bytes = compressed.unwrap_or(self.file).data;
        (headers, body(bytes)).into_response()
    }
}

/// `@clerk/ui@1/dist/ui.browser.js` → (`@clerk/ui`, `1`, `dist/ui.browser.js`).
fn split(path: &str) -> Option<(&str, &str, &str)> {
    let at = path.get(1..)?.find('@')? + 1;
    let (name, rest) = (&path[..at], &path[at + 1..]);
    let (version, file) = rest.split_once('/')?;
    (!version.is_empty() && !file.is_empty()).then_some((name, version, file))
}

/// The embedded version for a request: `latest`, or the version whose numbers start with the
/// requested ones.
fn resolve<'a>(wanted: &str, held: &'a BTreeSet<Cow<'static, str>>) -> Option<&'a str> {
    let mut fitting: Vec<&str> = held
        .iter()
        .map(AsRef::as_ref)
        .filter(|version| {
            wanted == "latest" || *version == wanted || version.starts_with(&format!("{wanted}."))
        })
        .collect();
    fitting.sort_by_key(|version| numbers(version));
    fitting.pop()
}

/// The scripts of a package, for tests that compare our pages with them.
#[cfg(test)]
pub(super) fn embedded_texts(package: &str) -> impl Iterator<Item = String> {
    let folder = format!("{package}/");
    Bundles::iter()
        .filter(move |path| path.starts_with(&folder) && path.ends_with(".js"))
        .filter_map(|path| Some(String::from_utf8_lossy(&Bundles::get(&path)?.data).into_owned()))
}

fn numbers(version: &str) -> Vec<u64> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

fn versions(package: &str) -> BTreeSet<Cow<'static, str>> {
    let folder = format!("{package}/");
    Bundles::iter()
        .filter_map(|path| {
            path.strip_prefix(&folder)?.split_once('/').map(|(version, _)| Cow::Owned(version.to_owned()))
        })
        .collect()
}

/// The compressed and the plain copy have different bytes, so they need different ETags.
fn etag(file: &EmbeddedFile, compressed: bool) -> String {
    let hash = hex::encode(&file.metadata.sha256_hash()[..16]);
    format!("\"{hash}{}\"", if compressed { "-gz" } else { "" })
}

fn body(bytes: Cow<'static, [u8]>) -> axum::body::Body {
    match bytes {
        Cow::Borrowed(bytes) => bytes.into(),
        Cow::Owned(bytes) => bytes.into(),
    }
}

fn not_found(path: &str) -> Response {
    let held: Vec<String> = LOCK
        .packages
        .iter()
        .filter(|package| versions(&package.name).contains(package.version.as_str()))
        .map(|package| format!("{}@{}", package.name, package.version))
        .collect();
    let remedy = if held.is_empty() {
        "It was built without browser bundles: run `cargo xtask bundles` and build the server again."
            .to_owned()
    } else {
        format!(
            "It holds {}. Ask for one of these, or for its major version, and for a file that exists in that package.",
            held.join(" and ")
        )
    };
    super::refusal::not_found(
        "This script is not on this server",
        &format!("This server has no /npm/{path}. {remedy}"),
    )
}

#[cfg(test)]
#[path = "bundles_tests.rs"]
mod tests;
