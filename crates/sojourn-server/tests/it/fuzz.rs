//! Two thousand requests bent at random, each time the same two thousand:
//! never 5xx, always JSON where no page is asked for.

use sojourn_core::testing::SeededRng;
use sojourn_testkit::{Answer, FakeBrowser, PASSWORD, TestApp};

const METHODS: [&str; 10] =
    ["GET", "GET", "POST", "POST", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"];
const PIECES: [&str; 34] = [
    "%00",
    "%ff",
    "%2f",
    "%",
    "..",
    "//",
    "/",
    "?",
    "&",
    "=",
    ";",
    "+",
    "%20",
    "\u{fc}",
    "null",
    "undefined",
    "-1",
    "99999999999999999999",
    "NaN",
    "true",
    "[]",
    "{}",
    "{\"a\":",
    "\"",
    "'",
    "<script>",
    "${x}",
    "{{user}}",
    "sess_",
    "client_",
    "a@b.c",
    "\\",
    "%0d%0a",
    "%ed%a0%80",
];
const FIELDS: [&str; 22] = [
    "identifier",
    "password",
    "strategy",
    "ticket",
    "code",
    "email_address",
    "email_address_id",
    "first_name",
    "last_name",
    "unsafe_metadata",
    "legal_accepted",
    "locale",
    "transfer",
    "redirect_url",
    "_method",
    "_clerk_session_id",
    "__clerk_api_version",
    "new_password",
    "current_password",
    "sign_out_of_other_sessions",
    "intent",
    "active_organization_id",
];
const VALUES: [&str; 14] = [
    "alice%40example.com",
    "password",
    "email_code",
    "reset_password_email_code",
    "ticket",
    "DELETE",
    "PATCH",
    "http%3A%2F%2Flocalhost%3A3000%2F",
    "http%3A%2F%2Fevil.com",
    "424242",
    "correct+horse+battery+staple",
    "true",
    "",
    "%7B%7D",
];
const TYPES: [&str; 6] = [
    "application/x-www-form-urlencoded",
    "application/x-www-form-urlencoded",
    "application/json",
    "text/plain",
    "multipart/form-data",
    "\u{7f}",
];

fn pick<'a>(rng: &mut SeededRng, from: &[&'a str]) -> &'a str {
    from[usize::try_from(rng.below(from.len() as u64)).expect("small")]
}

fn bend(rng: &mut SeededRng, text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..rng.below(3) {
        let at = usize::try_from(rng.below(text.len() as u64 + 1)).expect("small");
        if text.is_char_boundary(at) {
            match rng.below(3) {
                0 => text.insert_str(at, pick(rng, &PIECES)),
                1 => text.truncate(at.max(1)),
                _ => {
                    let tail = text.split_off(at);
                    text = format!("{text}{}{tail}", pick(rng, &PIECES));
                }
            }
        }
    }
    text
}

fn fields(rng: &mut SeededRng) -> String {
    let mut text = String::new();
    for _ in 0..rng.below(6) {
        let value = if rng.below(3) == 0 { pick(rng, &PIECES) } else { pick(rng, &VALUES) };
        text += &format!("{}={value}&", pick(rng, &FIELDS));
    }
    text
}

fn paths(session: &str, sign_in: &str, sign_up: &str, user: &str) -> Vec<String> {
    let mut paths: Vec<String> = [
        "/v1/client",
        "/v1/environment",
        "/v1/client/sessions",
        "/v1/client/touch",
        "/v1/client/handshake",
        "/v1/client/sign_ins",
        "/v1/client/sign_ups",
        "/v1/me",
        "/v1/me/change_password",
        "/v1/me/remove_password",
        "/v1/me/metadata",
        "/v1/me/email_addresses",
        "/v1/me/profile_image",
        "/v1/me/enterprise_connections",
        "/v1/me/sessions",
        "/v1/me/sessions/active",
        "/v1/health",
        "/.well-known/jwks.json",
        "/.well-known/openid-configuration",
        "/sign-in",
        "/sign-in/choose",
        "/sign-up",
        "/user",
        "/",
        "/mailbox",
        "/mailbox/clear",
        "/dev/mailbox",
        "/dev/mailbox/links",
        "/npm/@clerk/clerk-js@6/dist/clerk.browser.js",
        "/portal/portal.js",
        "/v1/users",
        "/v1/users/count",
        "/v1/sessions",
        "/v1/instance/session_settings",
        "/v1/instance/session_token",
        "/v1/sign_in_tokens",
        "/v1/actor_tokens",
        "/v1/clients",
        "/v1/clients/verify",
        "/v1/clients/handshake_payload",
        "/v1/jwks",
        "/v1/testing_tokens",
        "/dev/clock",
        "/v1/nothing",
    ]
    .map(str::to_owned)
    .into();
    for end in ["", "/touch", "/end", "/remove", "/tokens", "/tokens/x", "/verify"] {
        paths.push(format!("/v1/client/sessions/{session}{end}"));
        paths.push(format!("/v1/sessions/{session}{end}"));
    }
    for end in ["", "/prepare_first_factor", "/attempt_first_factor", "/reset_password"] {
        paths.push(format!("/v1/client/sign_ins/{sign_in}{end}"));
    }
    for end in ["", "/prepare_verification", "/attempt_verification"] {
        paths.push(format!("/v1/client/sign_ups/{sign_up}{end}"));
    }
    for end in ["", "/metadata", "/ban", "/unban", "/verify_password"] {
        paths.push(format!("/v1/users/{user}{end}"));
    }
    paths
}

fn assert_clean(case: u64, answer: &Answer) {
    assert!(answer.status() < 500, "case {case}: {answer}");
    assert_ne!(answer.status(), 402, "S6, case {case}: {answer}");
    let empty = matches!(answer.status(), 204 | 304 | 307) || answer.bytes().is_empty();
    let type_ = answer.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or("");
    if answer.status() >= 400 && !type_.starts_with("text/html") && !empty {
        answer.assert_standard_error();
    }
    assert!(
        empty
            || answer.status() < 400
            || type_.starts_with("text/html")
            || type_.starts_with("application/json"),
        "case {case}: {type_} {answer}"
    );
}

async fn run(app: &TestApp, cases: std::ops::Range<u64>) {
    let alice: FakeBrowser = app.signed_in("alice@example.com").await;
    let stranger = app.browser();
    let sign_in = stranger.post("/v1/client/sign_ins", &[("identifier", "alice@example.com")]).await.id();
    let sign_up = stranger.sign_up("new@example.com", PASSWORD).await.id();
    let user = app.user("alice@example.com").await.id.to_string();
    let paths = paths(&alice.session(), &sign_in, &sign_up, &user);
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    for case in cases {
        let mut rng = SeededRng::new(case);
        let plain = pick(&mut rng, &paths);
        let mut path = if rng.below(3) == 0 { bend(&mut rng, plain) } else { plain.to_owned() };
        if rng.below(2) == 0 {
            path = format!("{path}?{}", fields(&mut rng));
        }
        let method = pick(&mut rng, &METHODS);
        let mut request = match rng.below(4) {
            0 => alice.request("POST", &path),
            1 => stranger.request("GET", &path),
            2 => app.backend().request(method, &path),
            _ => app.request(method, &path).origin(Some("http://localhost:3000")),
        };
        if rng.below(2) == 0 {
            let type_ = pick(&mut rng, &TYPES);
            let mut body = if type_ == "application/json" {
                format!(
                    "{{\"{}\":{}}}",
                    pick(&mut rng, &FIELDS),
                    pick(&mut rng, &["1", "null", "\"x\"", "[[]]", "{\"a\":{}}", "1e400", "\"\\u0000\""])
                )
            } else {
                fields(&mut rng)
            };
            if rng.below(3) == 0 {
                body = bend(&mut rng, &body);
            }
            request = request
                .without("content-type")
                .another_header("content-type", type_.trim_matches('\u{7f}').as_bytes());
            let kept = type_.trim_matches('\u{7f}').to_owned();
            request = request.body(&kept, body);
        }
        for _ in 0..rng.below(3) {
            let name = pick(
                &mut rng,
                &[
                    "cookie",
                    "origin",
                    "authorization",
                    "x-forwarded-for",
                    "clerk-proxy-url",
                    "clerk-secret-key",
                    "sec-fetch-site",
                    "user-agent",
                    "accept",
                    "if-match",
                    "if-none-match",
                    "range",
                    "content-length",
                    "accept-encoding",
                ],
            );
            let value: Vec<u8> = (0..rng.below(40))
                .map(|_| u8::try_from(32 + rng.below(223)).expect("a byte"))
                .filter(|byte| *byte != 127)
                .collect();
            request = request.another_header(name, &value);
        }
        if let Some(answer) = request.beyond_the_document().try_send().await {
            assert_clean(case, &answer);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inp_two_thousand_bent_requests_are_all_answered_cleanly() {
    let halves = [0..1000, 1000..2000].map(|cases| {
        tokio::spawn(async move {
            let app = TestApp::new().start().await;
            run(&app, cases).await;
        })
    });
    for half in halves {
        half.await.expect("each half is clean");
    }
}
