//! A stand-in for a running server, which remembers what it was asked.

use std::process::Output;
use std::sync::{Arc, Mutex};

use crate::support::{sojourn, stderr, stdout};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::IntoResponse;
use serde_json::{Value, json};

type Asked = Arc<Mutex<Vec<(String, Value)>>>;

/// The stand-in, and the folder in which it claims to run.
pub struct Server {
    asked: Asked,
    pub home: tempfile::TempDir,
    pub base_url: String,
    _runtime: tokio::runtime::Runtime,
}

pub const KEY: &str = "sk_test_right";

impl Server {
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let asked = Asked::default();
        let router = Router::new().fallback(answer).with_state(asked.clone());
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let base_url = format!("http://{}", listener.local_addr().expect("address"));
        runtime.spawn(async { axum::serve(listener, router).await });
        let home = tempfile::tempdir().expect("temporary folder");
        let server = Self { asked, home, base_url, _runtime: runtime };
        server.claim(std::process::id());
        server
    }

    pub fn claim(&self, pid: u32) {
        let folder = self.home.path().join(".sojourn");
        std::fs::create_dir_all(&folder).expect("create");
        let file = json!({
            "base_url": self.base_url, "publishable_key": "pk_live_x", "secret_key": KEY, "pid": pid,
        });
        std::fs::write(folder.join("server.json"), file.to_string()).expect("write");
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        sojourn(self.home.path()).args(arguments).output().expect("ran")
    }

    pub fn asked(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut *self.asked.lock().expect("lock"))
    }
}

const CONFIG: &str = "/v1/platform/applications/ins_1/instances/ins_1/config";

/// All settings.
pub fn config() -> Value {
    json!({
        "session_settings": {
            "inactivity_timeout": { "enabled": false, "duration_seconds": 1800 },
            "maximum_lifetime": { "enabled": true, "duration_seconds": 604_800 },
            "multi_session_enabled": false,
            "activity": "token",
            "ended_sessions_kept_seconds": 7_776_000,
        },
        "session": { "claims": { "fullName": "{{user.full_name}}" }, "lifetime": 60, "allowed_clock_skew": 5 },
        "application_name": "My application",
        "support_email": null,
        "allowed_origins": [],
        "test_mode": true,
        "auth_email": { "verify_at_sign_up": true },
        "auth_attack_protection": { "enumeration_protection": "off" },
        "mail": { "default_locale": "en", "notify_new_device": "in_production" },
        "signing_keys": { "rotation_days": 0 },
        "audit": { "retention_days": 400 },
        "paths": { "home_url": null },
    })
}

async fn answer(
    State(asked): State<Asked>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    asked.lock().expect("lock").push((format!("{method} {uri}"), body.clone()));
    if headers.get("authorization").is_none_or(|given| given != &format!("Bearer {KEY}")) {
        return refusal(StatusCode::UNAUTHORIZED, "authentication_invalid", "Invalid secret key");
    }
    let document = match (method.as_str(), uri.path()) {
        ("GET", "/v1/instance") => json!({ "object": "instance", "id": "ins_1" }),
        ("PUT", CONFIG) if body["session_settings"]["maximum_lifetime"]["enabled"] == false => {
            return refusal(
                StatusCode::UNPROCESSABLE_ENTITY,
                "session_lifetime_required",
                "At least one of the two must be on.",
            );
        }
        ("GET", CONFIG) => {
            let mut config = config();
            config["config_version"] = "3".into();
            config
        }
        ("PUT", CONFIG) => json!({
            "config_version": "4",
            "before": config(),
            "after": body,
            "would_end": match uri.query().unwrap_or_default().contains("dry_run=true") {
                true => json!({ "now": 12, "within_one_hour": 40 }),
                false => Value::Null,
            },
            "warnings": [{ "code": "beyond_browser_limit", "message": "browsers keep cookies 400 days" }],
        }),
        ("POST", "/v1/users") => json!({ "id": "user_1", "object": "user" }),
        ("GET", "/v1/users") if uri.query() == Some("email_address=ada%40example.com") => {
            json!([{ "id": "user_1", "object": "user" }])
        }
        ("GET", "/v1/users") if uri.query().is_some_and(|query| query.contains("query=ada")) => json!([
            {
                "id": "user_2", "first_name": "Ada", "last_name": null, "banned": false, "locked": true,
                "primary_email_address_id": "idn_2", "created_at": 1_764_000_000_000_i64, "last_active_at": null,
                "email_addresses": [
                    {"id": "idn_1", "email_address": "old@example.com"},
                    {"id": "idn_2", "email_address": "ada@example.com"},
                ],
            },
            { "id": "user_1", "email_addresses": [], "created_at": 1_763_000_000_000_i64 },
        ]),
        ("GET", "/v1/users") => json!([]),
        ("POST", "/v1/actor_tokens") => json!({
            "id": "act_1", "object": "actor_token", "url": "http://localhost:4000/sign-in?__clerk_ticket=t",
        }),
        ("GET", "/v1/users/user_1") => json!({
            "id": "user_1", "primary_email_address_id": "idn_2",
            "email_addresses": [
                { "id": "idn_1", "email_address": "old@example.com" },
                { "id": "idn_2", "email_address": "ada@example.com" },
            ],
        }),
        ("GET", "/v1/sessions") => {
            let mut ended = ended_session();
            ended["end"] = end();
            json!({ "data": [open_session(), ended], "total_count": 7 })
        }
        ("GET", "/v1/sessions/sess_1") => open_session(),
        ("GET", "/v1/sessions/sess_5") => {
            let mut session = open_session();
            session["abandon_at"] = 1_790_001_800_000_i64.into();
            session
        }
        ("GET", "/v1/sessions/sess_9") => ended_session(),
        ("GET", "/v1/sessions/sess_9/end") => end(),
        ("GET", "/v1/instance/secret_keys") => json!({ "data": [
            {
                "id": "key_2", "name": "worker", "role": "sessions", "expires_at": null, "created_at": 1_790_000_000_000_i64, "last_used_at": null,
                "revoked_at": 1_790_000_060_000_i64, "is_printed_at_start": false,
            },
            {
                "id": "key_1", "name": null, "role": "full", "expires_at": null, "created_at": 1_790_000_000_000_i64,
                "last_used_at": 1_790_000_060_000_i64, "revoked_at": null, "is_printed_at_start": true,
            },
        ], "total_count": 2 }),
        ("POST", "/v1/instance/secret_keys") => json!({ "id": "key_3", "secret": "sk_test_new" }),
        ("GET", "/v1/instance/signing_keys") | ("POST", "/v1/instance/signing_keys/rotate") => {
            let key = |id: &str, status: &str, until: Option<i64>| {
                json!({
                    "object": "signing_key", "id": id, "status": status, "created_at": 1_790_000_000_000_i64,
                    "signs_from": 1_790_000_000_000_i64, "published_until": until, "public_key": "PEM",
                })
            };
            let keys = [key("ins_1_ab", "current", None), key("ins_1", "previous", Some(1_790_000_060_000))];
            json!({ "data": keys, "total_count": 2 })
        }
        ("POST", "/v1/instance/secret_keys/key_3/revoke") => json!({ "id": "key_3" }),
        ("POST", "/v1/sessions/revoke") if uri.query() == Some("dry_run=true") => {
            json!({ "dry_run": true, "would_end": 7 })
        }
        ("POST", "/v1/sessions/revoke") => match body["user_id"].as_str() {
            Some(_) => json!({ "revoked": 2, "revoked_at": 1_790_000_000_000_i64 }),
            None => json!({ "version": 3, "revoked_at": 1_790_000_000_000_i64 }),
        },
        ("POST", "/v1/sessions/sess_1/revoke") => json!({ "id": "sess_1", "status": "revoked" }),
        _ => return refusal(StatusCode::NOT_FOUND, "resource_not_found", "No such session"),
    };
    (StatusCode::OK, axum::Json(document)).into_response()
}

pub fn open_session() -> Value {
    json!({
        "id": "sess_1", "status": "active", "user_id": "user_1", "client_id": "client_1", "actor": null,
        "latest_activity": {
            "device_type": "Linux", "browser_name": "Chrome", "browser_version": "150.0.0.0",
            "ip_address": "203.0.113.7",
        },
        "created_at": 1_790_000_000_000_i64, "last_active_at": 1_790_000_000_000_i64,
        "expire_at": 1_790_604_800_000_i64, "abandon_at": 2_105_000_000_000_i64,
    })
}

pub fn ended_session() -> Value {
    json!({
        "id": "sess_9", "status": "removed", "user_id": "user_2", "client_id": "client_2",
        "actor": { "sub": "user_support" },
        "latest_activity": {
            "device_type": null, "browser_name": null, "browser_version": null, "ip_address": "",
        },
        "created_at": 1_780_000_000_000_i64, "last_active_at": 1_780_000_060_000_i64,
        "expire_at": 1_780_604_800_000_i64, "abandon_at": 1_780_001_860_000_i64,
    })
}

pub fn end() -> Value {
    json!({
        "object": "session_end", "session_id": "sess_9", "status": "removed", "reason": "signed_out",
        "ended_at": 1_780_000_120_000_i64, "deadline_at": 1_780_001_860_000_i64,
        "actor": { "type": "user", "id": "user_support" }, "settings_version": 3,
    })
}

fn refusal(status: StatusCode, code: &str, message: &str) -> axum::response::Response {
    let body =
        json!({ "errors": [{ "code": code, "message": message, "long_message": message, "meta": {} }] });
    (status, axum::Json(body)).into_response()
}

/// Exit code, stdout and stderr in one text for a snapshot.
pub fn shown(output: &Output) -> String {
    format!("exit {:?}\n{}--\n{}", output.status.code(), stdout(output), stderr(output))
}
