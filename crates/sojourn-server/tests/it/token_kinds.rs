//! Each kind of token is good where it belongs and nowhere else (JWT-04…06).

use serde_json::{Value, json};
use sojourn_core::claims::SESSION_CATEGORY;
use sojourn_testkit::{Answer, FakeBrowser, TestApp, minutes};

/// Of tokens from templates. Compat: clerk/javascript packages/backend/src/tokens/jwtCategories.ts
const TEMPLATE_CATEGORY: &str = "cl_B7d4PD222AAA";

struct Story {
    app: TestApp,
    alice: FakeBrowser,
    session: String,
}

impl Story {
    async fn begin() -> Self {
        let app = TestApp::new().start().await;
        let alice = app.signed_in("alice@example.com").await;
        let session = alice.session();
        Self { app, alice, session }
    }

    async fn session_token(&self) -> String {
        self.alice.token(&self.session).await.jwt()
    }

    async fn claims(&self) -> Value {
        self.app.verified(&self.session_token().await)
    }

    fn signed(&self, category: &str, claims: &Value) -> String {
        self.app.server().signer().sign(category, None, claims)
    }

    async fn as_session_token(&self, token: &str) -> Answer {
        let path = format!("/v1/sessions/{}/verify", self.session);
        self.app.backend().post(&path, json!({"token": token})).await
    }

    async fn as_ticket(&self, token: &str) -> Answer {
        self.app.browser().sign_in_with_ticket(token).await
    }

    async fn as_client_token(&self, token: &str) -> Answer {
        self.app.backend().post("/v1/clients/verify", json!({"token": token})).await
    }

    async fn as_client_cookie(&self, token: &str) -> Answer {
        let line = format!("{}={token}", self.alice.client_cookie_name());
        let path = format!("/v1/client/sessions/{}/tokens", self.session);
        self.app.browser().request("POST", &path).header("cookie", &line).send().await
    }

    async fn as_secret_key(&self, token: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        self.app.request("GET", "/v1/users").header("authorization", &bearer).send().await
    }

    async fn as_nonce(&self, token: &str) -> Answer {
        self.app.backend().get(&format!("/v1/clients/handshake_payload?nonce={token}")).await
    }
}

#[tokio::test]
async fn jwt_04_a_token_of_another_kind_is_refused() {
    let story = Story::begin().await;
    let (app, alice) = (&story.app, &story.alice);
    let claims = story.claims().await;
    let ticket = app.ticket("alice@example.com", minutes(5)).await;
    let cookie = alice.client_cookie().expect("a cookie");
    let returned = alice.handshake("http://localhost:3000/").await;
    let nonce = returned.set_cookie("__clerk_handshake_nonce").expect("a nonce").to_owned();
    let kinds = [
        ("session token", story.session_token().await),
        ("template token", story.signed(TEMPLATE_CATEGORY, &claims)),
        ("token of no kind", story.signed("", &claims)),
        ("ticket", ticket),
        ("client token", cookie),
        ("nonce", nonce),
        ("secret key", app.secret_key().to_owned()),
    ];
    for (kind, token) in &kinds {
        let places = [
            ("session token", story.as_session_token(token).await, 400),
            ("ticket", story.as_ticket(token).await, 400),
            ("client token", story.as_client_token(token).await, 400),
            ("client token", story.as_client_cookie(token).await, 401),
            ("secret key", story.as_secret_key(token).await, 401),
            ("nonce", story.as_nonce(token).await, 404),
        ];
        for (place, answer, status) in places {
            let expected = if *kind == place { 200 } else { status };
            assert_eq!(answer.status(), expected, "a {kind} as a {place}: {answer}");
        }
    }
}

#[tokio::test]
async fn jwt_05_a_session_token_without_one_of_its_claims_is_none() {
    let story = Story::begin().await;
    let claims = story.claims().await;
    story.as_session_token(&story.signed(SESSION_CATEGORY, &claims)).await.assert_ok();
    let now = claims["iat"].as_i64().expect("a time");
    let other = story.app.user("bob@example.com").await.id.to_string();
    for (name, wrong) in [
        ("iss", json!("https://clerk.example.com")),
        ("sub", json!(other)),
        ("sid", json!("sess_0ujtsYcgvSTl8PAuAdqWYSMnLOv")),
        ("exp", json!(now)),
        ("exp", json!((now + 60).to_string())),
        ("nbf", json!(now + 60)),
        ("iat", json!(now + 60)),
    ] {
        let mut changed = claims.clone();
        changed[name] = wrong;
        let answer = story.as_session_token(&story.signed(SESSION_CATEGORY, &changed)).await;
        answer.assert_refused(400, "invalid_session_token");
        changed.as_object_mut().expect("claims").remove(name);
        let answer = story.as_session_token(&story.signed(SESSION_CATEGORY, &changed)).await;
        answer.assert_refused(400, "invalid_session_token");
    }
}

#[tokio::test]
async fn jwt_06_a_mangled_token_is_refused_and_breaks_nothing() {
    let story = Story::begin().await;
    let token = story.session_token().await;
    let parts: Vec<&str> = token.split('.').collect();
    let json_form = json!({"protected": parts[0], "payload": parts[1], "signature": parts[2]}).to_string();
    let mut mangled = vec![
        json_form,
        format!("{}.{}", parts[0], parts[1]),
        format!("{}..{}", parts[0], parts[2]),
        format!("{token}.{}", parts[2]),
        format!(" {token}"),
        token.replace('.', "%2E"),
        ".".to_owned(),
        "...".to_owned(),
        "e30.e30.e30".to_owned(),
        "bnVsbA.bnVsbA.bnVsbA".to_owned(),
        format!("{}.{}.{}", parts[0], "A".repeat(20_000), parts[2]),
        "\u{fffd}.\u{0}.é".to_owned(),
    ];
    for at in (0..token.len()).step_by(37) {
        mangled.push(token[..at].to_owned());
        let flipped = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
        mangled.push(format!("{}{flipped}{}", &token[..at], &token[at + 1..]));
    }
    for token in &mangled {
        let answer = story.as_session_token(token).await;
        assert!(matches!(answer.status(), 400 | 422), "{token}: {answer}");
        answer.assert_standard_error();
        let query: String = url::form_urlencoded::byte_serialize(token.as_bytes()).collect();
        let path =
            format!("/v1/client/handshake?redirect_url=http%3A%2F%2Flocalhost%3A3000%2F&__session={query}");
        if let Some(answer) = story.app.request("GET", &path).try_send().await {
            assert!(matches!(answer.status(), 307 | 414 | 422 | 431), "{token}: {answer}");
        }
    }
}
