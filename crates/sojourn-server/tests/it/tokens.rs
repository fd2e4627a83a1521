//! Session tokens (S12), and what an application learns from them.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::{Value, json};
use sojourn_testkit::{TestApp, minutes};

#[tokio::test]
async fn s12_the_default_claims_are_those_of_version_2() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    app.clock.advance(minutes(3));
    let token = alice.token(&alice.session()).await;
    let mut claims = app.verified(&token.jwt());
    let jti = claims["jti"].take();
    assert!(jti.as_str().is_some_and(|jti| jti.len() >= 16), "{jti}");
    let now = app.clock.now().as_secs();
    let user = app.user("alice@example.com").await.id.to_string();
    assert_eq!(
        claims,
        json!({
            "azp": "http://localhost:3000", "exp": now + 60, "fva": [3, -1], "iat": now,
            "iss": "https://clerk.sojourn1.localhost", "jti": null, "nbf": now - 5,
            "sid": alice.session(), "sts": "active", "sub": user, "v": 2,
        })
    );
}

#[tokio::test]
async fn s12_an_independent_library_verifies_our_tokens() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let jwt = alice.token(&alice.session()).await.jwt();
    let jwks = app.request("GET", "/.well-known/jwks.json").send().await;
    assert_eq!(jwks.header("access-control-allow-origin"), Some("*"));
    let jwks = jwks.json();
    let key = &jwks["keys"][0];
    for private in ["d", "p", "q", "dp", "dq", "qi"] {
        assert_eq!(key.get(private), None, "JWT-08: public members only");
    }
    let key = DecodingKey::from_rsa_components(key["n"].as_str().expect("n"), key["e"].as_str().expect("e"))
        .expect("a key");
    let mut validation = Validation::new(Algorithm::RS256);
    validation.validate_exp = false;
    validation.set_issuer(&["https://clerk.sojourn1.localhost"]);
    let decoded = decode::<Value>(&jwt, &key, &validation).expect("verifies");
    assert_eq!(decoded.claims["sid"], alice.session().as_str());
    assert_eq!(decoded.header.kid.as_deref(), jwks["keys"][0]["kid"].as_str());
    assert_eq!(decoded.header.typ.as_deref(), Some("JWT"));
}

#[tokio::test]
async fn s12_custom_claims_render_and_shadow_no_reserved_claim() {
    let claims = json!({"name": "{{user.full_name}}", "mail": "{{user.primary_email_address}}", "role": "{{user.public_metadata.role || 'guest'}}"});
    let app = TestApp::new().token_settings(json!({"claims": claims})).start().await;
    let alice = app.signed_in("alice@example.com").await;
    let claims = app.verified(&alice.token(&alice.session()).await.jwt());
    assert_eq!(claims["name"], "Alice");
    assert_eq!(claims["mail"], "alice@example.com");
    assert_eq!(claims["role"], "guest");
    app.change_user("alice@example.com", |user| {
        user.public_metadata.insert("role".to_owned(), json!("admin"));
    })
    .await;
    let claims = app.verified(&alice.token(&alice.session()).await.jwt());
    assert_eq!(claims["role"], "admin");
}

#[tokio::test]
async fn s12_the_token_has_no_envelope_and_azp_is_the_pages_origin() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let token = alice.token(&alice.session()).await;
    assert_eq!(token.json()["object"], "token");
    assert_eq!(token.json().as_object().expect("an object").len(), 2);
    let portal = alice.on_page("http://localhost:4000");
    assert_eq!(portal.token(&alice.session()).await.claims()["azp"], "http://localhost:4000");
    assert_eq!(token.header("cache-control"), Some("no-store"));
    assert_eq!(token.header("etag"), None);
}

#[tokio::test]
async fn s12_the_lifetime_of_tokens_is_a_setting() {
    let app = TestApp::new().token_settings(json!({"lifetime": 30, "allowed_clock_skew": 0})).start().await;
    let alice = app.signed_in("alice@example.com").await;
    let claims = alice.token(&alice.session()).await.claims();
    assert_eq!(claims["exp"].as_i64().expect("s") - claims["iat"].as_i64().expect("s"), 30);
    assert_eq!(claims["nbf"], claims["iat"]);
}

#[tokio::test]
async fn two_tokens_never_have_one_jti() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let claims = alice.token(&alice.session()).await.claims();
        assert!(seen.insert(claims["jti"].to_string()));
    }
}

#[tokio::test]
async fn a_shortcode_that_is_always_null_is_warned_of() {
    let app = TestApp::new().start().await;
    let claims =
        json!({"claims": {"a": "{{user.frst_name}}", "b": "{{nonsense.path}}", "c": "{{session.id}}"}});
    for query in ["?dry_run=true", ""] {
        let path = format!("/v1/instance/session_token{query}");
        let warnings = app.backend().patch(&path, claims.clone()).await.json()["warnings"].clone();
        assert_eq!(
            warnings,
            json!([
                {
                    "code": "unknown_shortcode",
                    "message": "{{user.frst_name}} in the claims is null in every token; did you mean {{user.first_name}}?",
                },
                {
                    "code": "unknown_shortcode",
                    "message": "{{nonsense.path}} in the claims is null in every token; docs/session-tokens.md lists those that there are",
                },
            ])
        );
    }
}

#[tokio::test]
async fn shortcodes_of_the_session_say_what_its_object_says() {
    let claims = json!({
        "id": "{{session.id}}", "created": "{{session.created_at}}", "expires": "{{session.expire_at}}",
        "abandoned": "{{session.abandon_at}}", "actor": "{{session.actor}}",
    });
    let app = TestApp::new().inactivity(minutes(30)).token_settings(json!({"claims": claims})).start().await;
    let alice = app.signed_in("alice@example.com").await;
    app.clock.advance(minutes(10));
    let token = alice.token(&alice.session()).await.claims();
    let session = app.backend().get(&format!("/v1/sessions/{}", alice.session())).await.json();
    let seconds = |name: &str| session[name].as_i64().expect("milliseconds") / 1000;
    assert_eq!(token["id"], alice.session().as_str());
    assert_eq!(token["created"], seconds("created_at"));
    assert_eq!(token["expires"], seconds("created_at") + 7 * 86_400);
    assert_eq!(token["expires"], seconds("expire_at"));
    assert_eq!(token["abandoned"], seconds("created_at") + 40 * 60);
    assert_eq!(token["abandoned"], seconds("abandon_at"));
    assert_eq!(token["actor"], Value::Null);
}

#[tokio::test]
async fn tokens_without_their_claims_are_counted_with_their_users() {
    let claims = json!({"claims": {"m": "{{user.public_metadata}}"}});
    let app = TestApp::new().token_settings(claims).start().await;
    let cut = async || app.backend().get("/v1/instance/session_token").await.json()["claims_cut"].clone();
    let before = cut().await;
    assert_eq!((&before["tokens"], &before["user_ids"]), (&json!(0), &json!([])));
    let id = app.user("large@example.com").await.id;
    app.change_user("large@example.com", |user| {
        user.public_metadata.insert("long".to_owned(), json!("x".repeat(3000)));
    })
    .await;
    let large = app.signed_in("large@example.com").await;
    let small = app.signed_in("small@example.com").await;
    assert_eq!(small.token(&small.session()).await.claims()["m"], json!({}));
    assert!(large.token(&large.session()).await.claims().get("m").is_none());
    let after = cut().await;
    assert_eq!(after["user_ids"], json!([id]));
    assert!(after["tokens"].as_u64().is_some_and(|tokens| tokens >= 1), "{after}");
    assert_eq!(after["since"], before["since"]);
}
