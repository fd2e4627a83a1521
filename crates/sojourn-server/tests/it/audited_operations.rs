//! Every operation of the Backend API that changes something writes exactly one entry of the audit log.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use sojourn_core::{
    id::MailId,
    outgoing_mail::{MailContent, MailStatus, OutgoingMail},
};
use sojourn_service::mail::{Encryption, Smtp, SmtpOptions};
use sojourn_store::{Engine as _, Write};
use sojourn_testkit::{PASSWORD, TestApp, minutes};

use crate::receiver::Receiver;

const MUTATING: [&str; 4] = ["post", "put", "patch", "delete"];

/// Operations that write no entry, each with the reason.
const EXCEPTIONS: [(&str, &str); 9] = [
    ("post /v1/clients/verify", "only looks whether a cookie is good"),
    ("post /v1/sessions/{session_id}/verify", "only looks whether a token is good"),
    ("post /v1/users/{user_id}/verify_password", "only looks whether a password is right"),
    ("post /v1/sessions/{session_id}/tokens", "mints a token, as browsers do; stores nothing"),
    ("post /v1/sessions/{session_id}/tokens/{template_name}", "is always refused"),
    ("post /v1/sessions/{session_id}/refresh", "is always refused"),
    ("post /v1/testing_tokens", "stores nothing, and the token opens nothing"),
    ("post /dev/mailbox/links", "stores nothing; the link shows what the key may read anyway"),
    ("delete /dev/mailbox", "test mail of a development instance, which tests clear all the time"),
];

/// What the document says an application's server can change.
fn operations() -> BTreeSet<String> {
    let document = sojourn_server::openapi();
    let paths = document["paths"].as_object().expect("paths");
    let of_path = |(path, methods): (&String, &Value)| {
        let of_servers = |method: &&str| methods[*method]["security"][0].get("secret_key").is_some();
        let found = MUTATING.into_iter().filter(of_servers).map(|method| format!("{method} {path}"));
        found.collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

/// Performs operations, and holds what the log says against them.
struct Tour {
    app: TestApp,
    performed: BTreeSet<String>,
}

impl Tour {
    async fn log(&self) -> (u64, Value) {
        let page = self.app.backend().get("/v1/audit_log?limit=1").await.assert_ok().json();
        (page["total_count"].as_u64().expect("a number"), page["data"][0].clone())
    }

    /// One successful request, which has to write an entry with that action. `ids` replace the
    /// parameters of the path.
    async fn act(&mut self, action: &str, operation: &str, ids: &[&str], body: Value) -> Value {
        let (method, template) = operation.split_once(' ').expect("method and path");
        let mut path = template.to_owned();
        for id in ids {
            let (start, end) = (path.find('{').expect("a parameter"), path.find('}').expect("a parameter"));
            path.replace_range(start..=end, id);
        }
        let (before, _) = self.log().await;
        let request = self.app.backend().request(&method.to_uppercase(), &path);
        let answer = request.json(&body).send().await;
        let answer = answer.assert_ok().try_json().unwrap_or_default();
        let (after, entry) = self.log().await;
        assert_eq!(after, before + 1, "{operation} wrote {} entries", after - before);
        assert_eq!(entry["action"], action, "{operation}: {entry}");
        assert!(entry["object_id"].as_str().is_some_and(|id| !id.is_empty()), "{entry}");
        for given in ["secret", "token"].map(|field| answer[field].as_str()).into_iter().flatten() {
            assert!(!entry.to_string().contains(given), "{operation}: {entry}");
        }
        assert!(!entry.to_string().contains(PASSWORD), "{operation}: {entry}");
        self.performed.insert(operation.to_owned());
        answer
    }
}

fn id_of(object: &Value) -> String {
    object["id"].as_str().expect("an id").to_owned()
}

async fn users_and_sessions(tour: &mut Tour) {
    let ada = json!({"email_address": ["ada@example.com"], "password": PASSWORD});
    let bob = json!({"users": [{"user": {"email_address": ["bob@example.com"]}}]});
    tour.act("users.imported", "post /v1/users/import", &[], bob).await;
    let ada = id_of(&tour.act("user.created", "post /v1/users", &[], ada).await);
    let ada = ada.as_str();
    let name = json!({"first_name": "Ada"});
    tour.act("user.updated", "patch /v1/users/{user_id}", &[ada], name).await;
    let metadata = json!({"public_metadata": {"plan": "gold"}});
    tour.act("user.updated", "patch /v1/users/{user_id}/metadata", &[ada], metadata.clone()).await;
    tour.act("user.updated", "put /v1/users/{user_id}/metadata", &[ada], metadata).await;
    for (action, verb) in [
        ("user.banned", "ban"),
        ("user.unbanned", "unban"),
        ("user.locked", "lock"),
        ("user.unlocked", "unlock"),
    ] {
        tour.act(action, &format!("post /v1/users/{{user_id}}/{verb}"), &[ada], json!({})).await;
    }
    tour.act("user.updated", "post /v1/users/{user_id}/remove_password", &[ada], json!({})).await;
    let session = tour.act("session.created", "post /v1/sessions", &[], json!({"user_id": ada})).await;
    let revoke = "post /v1/sessions/{session_id}/revoke";
    tour.act("session.revoked", revoke, &[&id_of(&session)], json!({})).await;
    tour.act("sessions.revoked", "post /v1/sessions/revoke", &[], json!({"user_id": ada})).await;
    tour.act("sessions.revoked_all", "post /v1/sessions/revoke", &[], json!({"all": true})).await;
    let token =
        tour.act("sign_in_token.created", "post /v1/sign_in_tokens", &[], json!({"user_id": ada})).await;
    let revoke = "post /v1/sign_in_tokens/{sign_in_token_id}/revoke";
    tour.act("sign_in_token.revoked", revoke, &[&id_of(&token)], json!({})).await;
    let actor = json!({"user_id": ada, "actor": {"sub": "user_staff"}});
    let token = tour.act("actor_token.created", "post /v1/actor_tokens", &[], actor).await;
    let revoke = "post /v1/actor_tokens/{actor_token_id}/revoke";
    tour.act("actor_token.revoked", revoke, &[&id_of(&token)], json!({})).await;
    tour.act("user.deleted", "delete /v1/users/{user_id}", &[ada], json!({})).await;
}

async fn settings(tour: &mut Tour) {
    let config = "/v1/platform/applications/{application_id}/instances/{instance}/config";
    let instance = tour.app.server().instance_id().to_string();
    let ids = [instance.as_str(), instance.as_str()];
    let changed = "settings.changed";
    tour.act(changed, "patch /v1/instance", &[], json!({"support_email": "help@example.com"})).await;
    let session = json!({"multi_session_enabled": true});
    tour.act(changed, "patch /v1/instance/session_settings", &[], session).await;
    tour.act(changed, "patch /v1/instance/session_token", &[], json!({"lifetime": 61})).await;
    tour.act(changed, "patch /v1/instance/settings", &[], json!({"application_name": "Acme"})).await;
    let lifetime = json!({"session": {"lifetime": 62}});
    tour.act(changed, &format!("patch {config}"), &ids, lifetime.clone()).await;
    let (settings, _) = tour.app.store().settings(tour.app.server().instance_id()).await.expect("settings");
    let mut whole = settings.config();
    whole["session"]["lifetime"] = 63.into();
    tour.act(changed, &format!("put {config}"), &ids, whole.into()).await;
    let rollback = "post /v1/instance/settings_history/{version}/rollback";
    tour.act("settings.rolled_back", rollback, &["1"], json!({})).await;
}

async fn keys(tour: &mut Tour) {
    let name = json!({"name": "worker"});
    let key = tour.act("secret_key.created", "post /v1/instance/secret_keys", &[], name).await;
    let revoke = "post /v1/instance/secret_keys/{secret_key_id}/revoke";
    tour.act("secret_key.revoked", revoke, &[&id_of(&key)], json!({})).await;
    tour.act("signing_key.rotated", "post /v1/instance/signing_keys/rotate", &[], json!({})).await;
}

async fn mails(tour: &mut Tour) {
    let address = json!({"email_address": "ada@example.com"});
    tour.act("mail.test_sent", "post /v1/instance/mails/test", &[], address).await;
    let wall = tour.app.server().moment().wall;
    let id = MailId::generate(wall, &mut tour.app.server().random());
    let content = MailContent { subject: "x".to_owned(), text: "x".to_owned(), html: "x".to_owned() };
    let mail = OutgoingMail::new(id, "test", "ada@example.com", content, wall, minutes(60));
    let failed = OutgoingMail { status: MailStatus::Failed, finished_at: Some(wall), ..mail };
    tour.app.write(Write::OutgoingMail(failed)).await;
    tour.act("mail.retried", "post /v1/instance/mails/{mail_id}/retry", &[&id.to_string()], json!({})).await;
    tour.act("mails.retried", "post /v1/instance/mails/retry_failed", &[], json!({})).await;
}

async fn webhooks(tour: &mut Tour) {
    let receiver = Receiver::start().await;
    let url = json!({"url": receiver.url()});
    let endpoint = tour.act("webhook_endpoint.created", "post /v1/webhooks/endpoints", &[], url).await;
    let id = id_of(&endpoint);
    let ids = [id.as_str()];
    let one = "/v1/webhooks/endpoints/{endpoint_id}";
    let text = json!({"description": "mine"});
    tour.act("webhook_endpoint.updated", &format!("patch {one}"), &ids, text).await;
    let rotate = format!("post {one}/rotate_secret");
    tour.act("webhook_endpoint.secret_rotated", &rotate, &ids, json!({})).await;
    let delivery = tour.act("webhook_endpoint.tested", &format!("post {one}/test"), &ids, json!({})).await;
    let retry = "post /v1/webhooks/deliveries/{delivery_id}/retry";
    tour.act("webhook_delivery.retried", retry, &[&id_of(&delivery)], json!({})).await;
    let replay = format!("post {one}/replay");
    tour.act("webhook_endpoint.replayed", &replay, &ids, json!({"since": 0})).await;
    tour.act("webhook_endpoint.deleted", &format!("delete {one}"), &ids, json!({})).await;
}

async fn test_clock(tour: &mut Tour) {
    for (action, verb, body) in [
        ("test_clock.frozen", "freeze", json!({})),
        ("test_clock.advanced", "advance", json!({"seconds": 60})),
        ("test_clock.resumed", "resume", json!({})),
        ("test_clock.reset", "reset", json!({})),
    ] {
        tour.act(action, &format!("post /dev/clock/{verb}"), &[], body).await;
    }
    let later = tour.app.server().moment().now + minutes(5);
    let later = json!({"now": later.as_millis()});
    tour.act("test_clock.set", "post /dev/clock/set", &[], later).await;
}

#[tokio::test]
async fn adm_02_every_operation_that_changes_something_is_audited() {
    // Nobody listens there; mails are queued only.
    let smtp = SmtpOptions {
        host: "localhost".to_owned(),
        port: 9,
        encryption: Encryption::None,
        credentials: None,
        from: "no-reply@acme.example".to_owned(),
        reply_to: None,
        ca_pem: None,
        hello_name: "acme.example".to_owned(),
        timeout: Duration::from_secs(1),
    };
    let app = TestApp::new().smtp(Smtp::new(smtp).expect("options")).start().await;
    let mut tour = Tour { app, performed: BTreeSet::new() };
    users_and_sessions(&mut tour).await;
    settings(&mut tour).await;
    keys(&mut tour).await;
    mails(&mut tour).await;
    webhooks(&mut tour).await;
    test_clock(&mut tour).await;
    let exceptions = EXCEPTIONS.map(|(operation, _)| operation.to_owned());
    for exception in &exceptions {
        assert!(!tour.performed.contains(exception), "{exception} is no exception");
    }
    let known: BTreeSet<String> = tour.performed.into_iter().chain(exceptions).collect();
    let operations = operations();
    let missing: Vec<_> = operations.difference(&known).collect();
    assert!(missing.is_empty(), "operations that nothing shows to be in the audit log: {missing:?}");
    let gone: Vec<_> = known.difference(&operations).collect();
    assert!(gone.is_empty(), "no such operations: {gone:?}");
}
