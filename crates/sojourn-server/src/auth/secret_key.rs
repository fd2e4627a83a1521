//! The application's server, by its secret key.

use std::{
    collections::BTreeMap,
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Method, header, request::Parts},
};
use sojourn_core::{
    audit::{Actor, AuditContext},
    time::{Timestamp, minutes},
};
use sojourn_service::keys::sha256;
use sojourn_store::{Engine as _, SecretKey, SecretKeyRole, Write};

use crate::{
    app::App,
    auth::Connection,
    request_id::RequestId,
    wire::{ApiError, ApiResult, ErrorCode},
};

/// The server, for a request that carries a secret key of its instance. Ask for it
/// before anything else, so that nothing exists for those without (AUZ-03).
#[derive(Clone, Debug)]
pub struct ApplicationServer {
    app: App,
    context: Arc<AuditContext>,
}

impl ApplicationServer {
    /// Who asks, for the audit log.
    pub fn context(&self) -> &AuditContext {
        &self.context
    }
}

impl Deref for ApplicationServer {
    type Target = App;

    fn deref(&self) -> &App {
        &self.app
    }
}

impl FromRequestParts<App> for ApplicationServer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> ApiResult<Self> {
        let key = bearer(&parts.headers)?;
        // SDKs fetch the key set again for every key id that they do not know, 20 requests at once
        // where 20 tokens arrive. So this path is not limited and reads no row for a known key.
        // Anybody may read the set anyway, at /.well-known/jwks.json.
        // Compat: clerk/javascript packages/backend/src/tokens/keys.ts
        if parts.uri.path() == KEY_SET {
            if !app.key_uses().was_good(key, app.moment().wall) {
                good_key(app, key).await?;
            }
            // It changes nothing, so the name and the role of the key do not matter.
            let unread = SecretKey::new(sha256(key.as_bytes()), None, app.moment().wall);
            return Ok(Self { app: app.clone(), context: Arc::new(audit_context(app, &unread, parts)) });
        }
        let known = good_key(app, key).await?;
        app.rate_limits().backend(key)?;
        if !may(known.role, &parts.method, parts.uri.path()) {
            return Err(ApiError::new(ErrorCode::SecretKeyRoleInsufficient).why(format!(
                "The secret key has the role `{}`. Use one with the role `full`, or create one: sojourn keys create.",
                known.role.as_str(),
            )));
        }
        let context = Arc::new(audit_context(app, &known, parts));
        // For extractors that come after this one.
        parts.extensions.insert(Arc::clone(&context));
        Ok(Self { app: app.clone(), context })
    }
}

/// The maximum length of a user agent in the audit log, in characters.
const MAX_USER_AGENT_CHARS: usize = 256;

/// Who asks with that key.
fn audit_context(app: &App, key: &SecretKey, parts: &Parts) -> AuditContext {
    let label = cli_user(&parts.headers);
    // Nobody but this process and whoever reads its data folder knows the local key.
    let actor = match app.is_local_key(&key.hash) {
        true => Actor::CommandLine { label },
        false => Actor::SecretKey {
            id: key.id(),
            name: key.name.clone(),
            role: key.role.as_str().to_owned(),
            label,
        },
    };
    let client = parts.extensions.get::<Connection>().and_then(|connection| connection.client);
    let agent = parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    AuditContext {
        actor,
        ip_address: client.map(|client| client.to_string()),
        user_agent: agent.map(|agent| agent.chars().take(MAX_USER_AGENT_CHARS).collect()),
        request_id: Some(RequestId::current().to_string()),
    }
}

/// The header in which the command line names who types.
const CLI_USER: &str = "sojourn-cli-user";
const MAX_LABEL_CHARS: usize = 64;

/// Who types, as the command line says. Only a label: the secret key is what allows a request.
pub fn cli_user(headers: &HeaderMap) -> Option<String> {
    let name = headers.get(CLI_USER)?;
    let name = String::from_utf8_lossy(name.as_bytes());
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._@-".contains(c) { c } else { '_' };
    let label: String = name.trim().chars().take(MAX_LABEL_CHARS).map(plain).collect();
    Some(if label.is_empty() { "unknown".to_owned() } else { label })
}

const KEY_SET: &str = "/v1/jwks";

/// Whether a key of that role may send such a request to the Backend API.
fn may(role: SecretKeyRole, method: &Method, path: &str) -> bool {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let is_below =
        |table: &str| path.strip_prefix(table).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    match role {
        SecretKeyRole::Full => true,
        // Both look whether a token is good, and change nothing.
        SecretKeyRole::ReadOnly => {
            reads || path == "/v1/clients/verify" || (is_below("/v1/sessions") && path.ends_with("/verify"))
        }
        SecretKeyRole::Sessions => {
            // The export of a user holds mails and audit entries, which such a key may not read elsewhere.
            let reads_users = reads && is_below("/v1/users") && !path.ends_with("/export");
            is_below("/v1/sessions") || is_below("/v1/clients") || reads_users
        }
    }
}

/// Whether the headers carry a secret key of this instance.
///
/// # Errors
/// What is wrong with the key, or that there is none.
pub async fn authenticate(app: &App, headers: &HeaderMap) -> ApiResult<()> {
    let key = bearer(headers)?;
    good_key(app, key).await?;
    Ok(app.rate_limits().backend(key)?)
}

/// The secret key of a request that does not come from a browser.
fn bearer(headers: &HeaderMap) -> ApiResult<&str> {
    let header = headers.get(header::AUTHORIZATION).ok_or_else(|| {
        ApiError::new(ErrorCode::AuthenticationInvalid)
            .why("This address needs a secret key. Send it as `Authorization: Bearer sk_…`.")
    })?;
    let key = header.to_str().ok().and_then(|value| value.strip_prefix("Bearer ")).map(str::trim);
    let key = key.ok_or_else(|| {
        ApiError::new(ErrorCode::AuthorizationHeaderFormatInvalid)
            .why("The header has to read `Authorization: Bearer sk_…`.")
    })?;
    if headers.contains_key(header::ORIGIN) {
        return Err(ApiError::new(ErrorCode::SecretKeyFromBrowser)
            .why("A secret key was sent together with an Origin header, that is, from a browser. Keep it on your server, and rotate it."));
    }
    Ok(key)
}

/// The key of this instance with that text; its use is recorded.
async fn good_key(app: &App, key: &str) -> ApiResult<SecretKey> {
    let hash = sha256(key.as_bytes());
    if app.is_local_key(&hash) {
        return Ok(SecretKey::new(hash, None, app.moment().wall));
    }
    let refused = |why| Err(ApiError::new(ErrorCode::ClerkKeyInvalid).why(why));
    let Some(known) = find(app, key).await? else {
        return refused(
            "The secret key is not one of this instance. Compare it with the one that was printed when it was made; another one: sojourn keys create.",
        );
    };
    if known.revoked_at.is_some() {
        return refused("The secret key was revoked. Give the application another one: sojourn keys create.");
    }
    if known.is_expired(app.moment().wall) {
        return refused("The secret key has expired. Give the application another one: sojourn keys create.");
    }
    note_use(app, &known);
    Ok(known)
}

/// Whether `key` is a good secret key of this instance.
///
/// # Errors
/// The store does not answer.
pub async fn is_secret_key(app: &App, key: &str) -> ApiResult<bool> {
    let wall = app.moment().wall;
    let Some(known) = find(app, key).await?.filter(|key| key.is_good(wall)) else { return Ok(false) };
    note_use(app, &known);
    Ok(true)
}

/// A look-up by hash, so that neither the database nor the time it takes tells a
/// part of a key.
async fn find(app: &App, key: &str) -> ApiResult<Option<SecretKey>> {
    Ok(app.store().secret_key(app.instance_id(), sha256(key.as_bytes())).await?)
}

/// How exactly the last use of a key is known.
const USE_NOTED_EVERY: Duration = minutes(5);

/// How long a key that was good may read the key set without another look at its row.
const GOOD_FOR_KEY_SET: Duration = minutes(1);

/// What this node remembers of the secret keys that it met, by their hashes.
#[derive(Debug, Default)]
pub struct KeyUses {
    /// When their use was last recorded.
    recorded: Mutex<BTreeMap<[u8; 32], Timestamp>>,
    /// When their rows were last read, and they were good.
    good: Mutex<BTreeMap<[u8; 32], Timestamp>>,
}

impl KeyUses {
    /// Whether the key with that text was good a moment before `wall`.
    fn was_good(&self, key: &str, wall: Timestamp) -> bool {
        let good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        good.get(&sha256(key.as_bytes())).is_some_and(|at| wall < *at + GOOD_FOR_KEY_SET)
    }

    fn note_good(&self, key: &SecretKey, wall: Timestamp) {
        self.good.lock().unwrap_or_else(PoisonError::into_inner).insert(key.hash, wall);
    }

    /// Whether the use of `key` at `wall` is worth a row: not if one was noted a
    /// moment ago, here or by another node.
    fn is_news(&self, key: &SecretKey, wall: Timestamp) -> bool {
        let mut noted = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        let last = key.last_used_at.max(noted.get(&key.hash).copied());
        let is_news = last.is_none_or(|last| wall >= last + USE_NOTED_EVERY);
        if is_news {
            noted.insert(key.hash, wall);
        }
        is_news
    }
}

/// Notes that a key is in use. No request waits for it.
fn note_use(app: &App, key: &SecretKey) {
    let at = app.moment();
    app.key_uses().note_good(key, at.wall);
    if !app.key_uses().is_news(key, at.wall) {
        return;
    }
    let (app, used) = (app.clone(), app.changes(at).write(Write::SecretKeyUsed(key.hash)));
    tokio::spawn(async move {
        if let Err(error) = app.commit(used).await {
            tracing::warn!(%error, "that a secret key is in use could not be noted");
        }
    });
}
