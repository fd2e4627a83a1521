//! Hashes that were made elsewhere (AUT-03): good for one more sign-in, which
//! replaces them by one of ours.

use argon2::{Algorithm, Argon2, Params, Version, password_hash::PasswordHasher as _};
use serde_json::{Value, json};
use sojourn_core::{
    email::Email,
    user::{PasswordHash, User},
};
use sojourn_store::Engine as _;
use sojourn_testkit::{PASSWORD, TestApp, WRONG_PASSWORD, minutes};

use crate::races::{at_once, both_engines};

const EMAIL: &str = "ada@example.com";
const OURS: &str = "$argon2id$v=19$m=19456,t=2,p=1$";

/// An account as it was imported, with a hash of little work.
async fn imported(app: &TestApp) -> User {
    let params = Params::new(Params::MIN_M_COST, 1, 1, None).expect("parameters");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let digest = argon2.hash_password(PASSWORD.as_bytes()).expect("hashed").to_string();
    let body = json!({"email_address": [EMAIL], "password_digest": digest, "password_hasher": "argon2id"});
    app.backend().post("/v1/users", body).await.assert_ok();
    ada(app).await
}

async fn ada(app: &TestApp) -> User {
    let email = Email::parse(EMAIL).expect("an address");
    let user = app.store().user_by_email(app.server().instance_id(), &email).await;
    user.expect("a store that answers").expect("an account")
}

fn is_ours(hash: Option<&PasswordHash>) -> bool {
    hash.is_some_and(|hash| hash.0.starts_with(OURS))
}

#[tokio::test]
async fn aut_03_only_the_right_password_replaces_an_imported_hash() {
    for at_once in [true, false] {
        let app = TestApp::new().start().await;
        let before = imported(&app).await;
        let sign_in = async |password| match at_once {
            true => app.browser().sign_in_at_once(EMAIL, password).await,
            false => app.browser().sign_in(EMAIL, password).await,
        };
        app.clock.advance(minutes(1));
        sign_in(WRONG_PASSWORD).await.assert_refused(422, "form_password_incorrect");
        assert_eq!(ada(&app).await.password_hash, before.password_hash);

        sign_in(PASSWORD).await.assert_ok();
        let renewed = ada(&app).await;
        assert!(is_ours(renewed.password_hash.as_ref()));
        assert_eq!(renewed.password_updated_at, before.password_updated_at, "it is the same password");

        sign_in(PASSWORD).await.assert_ok();
        assert_eq!(ada(&app).await.password_hash, renewed.password_hash, "there is nothing left to renew");
        sign_in(WRONG_PASSWORD).await.assert_refused(422, "form_password_incorrect");
    }
}

#[tokio::test]
async fn aut_03_a_refused_sign_in_does_not_rehash() {
    let app = TestApp::new().start().await;
    let before = imported(&app).await;
    app.user("bob@example.com").await;
    let browser = app.browser();
    let attempt = browser.post("/v1/client/sign_ins", &[("identifier", EMAIL)]).await.id();
    browser.sign_in_at_once("bob@example.com", PASSWORD).await.assert_ok();
    let path = format!("/v1/client/sign_ins/{attempt}/attempt_first_factor");
    let second = browser.post(&path, &[("strategy", "password"), ("password", PASSWORD)]).await;
    second.assert_refused(400, "session_exists");
    assert_eq!(ada(&app).await.password_hash, before.password_hash);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn aut_03_parallel_sign_ins_with_an_imported_hash_all_succeed() {
    let story = async |app: TestApp| {
        imported(&app).await;
        let answers = at_once(4, |_| {
            let browser = app.browser();
            async move { browser.sign_in_at_once(EMAIL, PASSWORD).await }
        })
        .await;
        for answer in &answers {
            answer.assert_ok();
        }
        assert!(is_ours(ada(&app).await.password_hash.as_ref()));
        app.browser().sign_in(EMAIL, PASSWORD).await.assert_ok();
    };
    both_engines(story, TestApp::new).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn aut_03_a_renewal_never_puts_an_old_password_back() {
    let story = async |app: TestApp| {
        let user = imported(&app).await;
        let new = "another horse battery";
        at_once(4, |n| {
            let (browser, backend, id) = (app.browser(), app.backend(), user.id);
            async move {
                match n {
                    0 => backend.patch(&format!("/v1/users/{id}"), json!({"password": new})).await,
                    _ => browser.sign_in_at_once(EMAIL, PASSWORD).await,
                }
            }
        })
        .await;
        app.browser().sign_in_at_once(EMAIL, PASSWORD).await.assert_refused(422, "form_password_incorrect");
        app.browser().sign_in_at_once(EMAIL, new).await.assert_ok();
    };
    both_engines(story, TestApp::new).await;
}

/// One digest of each of these hashers, made by the library that applications use.
fn digests_of(hashers: &[&str]) -> Vec<Value> {
    let vectors = include_str!("../../../sojourn-service/tests/password_vectors/vectors.json");
    let vectors: Vec<Value> = serde_json::from_str(vectors).expect("vectors");
    let first = |hasher: &&str| vectors.iter().find(|vector| vector["hasher"] == *hasher).cloned();
    hashers.iter().map(|hasher| first(hasher).unwrap_or_else(|| panic!("no {hasher}"))).collect()
}

#[tokio::test]
async fn aut_03_hashes_of_other_software_last_for_one_sign_in() {
    let hashers = [
        "bcrypt",
        "bcrypt_peppered",
        "pbkdf2_sha256_django",
        "phpass",
        "scrypt_firebase",
        "sha256_salted",
        "wordpress",
        "aspnet_identity_v3",
        "better_auth",
    ];
    let app = TestApp::new().start().await;
    for vector in digests_of(&hashers) {
        let text = |name: &str| vector[name].as_str().expect("a text");
        let (hasher, password) = (text("hasher"), text("password"));
        let body = json!({
            "email_address": [EMAIL], "password_digest": text("digest"), "password_hasher": hasher,
        });
        let made = app.backend().post("/v1/users", body).await;
        made.assert_ok();
        let before = ada(&app).await.password_hash;
        assert!(!is_ours(before.as_ref()), "{hasher}");
        app.browser()
            .sign_in_at_once(EMAIL, WRONG_PASSWORD)
            .await
            .assert_refused(422, "form_password_incorrect");
        assert_eq!(ada(&app).await.password_hash, before, "{hasher}");
        app.browser().sign_in_at_once(EMAIL, password).await.assert_ok();
        assert!(is_ours(ada(&app).await.password_hash.as_ref()), "{hasher}");
        app.browser().sign_in_at_once(EMAIL, password).await.assert_ok();
        let id = made.json()["id"].as_str().expect("an id").to_owned();
        app.backend().delete(&format!("/v1/users/{id}")).await.assert_ok();
    }
}

#[tokio::test]
async fn a_refused_hash_says_what_would_be_accepted() {
    let app = TestApp::new().start().await;
    let bcrypt = digests_of(&["bcrypt"])[0]["digest"].as_str().expect("a digest").to_owned();
    let expensive = format!("{}15{}", &bcrypt[..4], &bcrypt[6..]);
    let rows = [
        ("rot13", "x", "password_hasher", "Known here: argon2i, argon2id, bcrypt"),
        ("awscognito", "awscognito#a#b#c", "password_hasher", "sent to AWS"),
        ("bcrypt", "x", "password_digest", "53 characters of salt and hash"),
        ("bcrypt", &expensive, "password_digest", "cost of bcrypt is 15, the limit is 14"),
    ];
    for (hasher, digest, name, text) in rows {
        let body = json!({"email_address": [EMAIL], "password_digest": digest, "password_hasher": hasher});
        let refused = app.backend().post("/v1/users", body).await;
        assert_eq!(refused.status(), 422, "{hasher}");
        let error = &refused.json()["errors"][0];
        assert_eq!(error["meta"]["param_name"], name, "{error}");
        assert!(error["long_message"].as_str().is_some_and(|message| message.contains(text)), "{error}");
    }
}
