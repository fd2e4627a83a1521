//! Where people may be sent (RED): one list of origins, one parser, and
//! nothing of what was asked for in the answer otherwise.

use sojourn_testkit::TestApp;

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

const REFUSED: [&str; 44] = [
    "http://evil.com/",
    "https://evil.com",
    "//evil.com",
    "///evil.com",
    "/\\evil.com",
    "\\\\evil.com",
    "http:\\\\evil.com",
    "http:/\\evil.com",
    "http:evil.com",
    "http:///evil.com",
    "/relative",
    "relative",
    "",
    " ",
    "http://localhost:3000@evil.com/",
    "http://user@localhost:3000/",
    "http://user:secret@localhost:3000/",
    "http://localhost:3000\\@evil.com/",
    "http://evil.com\\@localhost:3000/",
    "http://evil.com#@localhost:3000/",
    "http://evil.com?@localhost:3000/",
    "http://localhost.evil.com:3000/",
    "http://evil.com/http://localhost:3000/",
    "http://sub.localhost:3000/",
    "http://localhost.:3000/",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)//localhost",
    "javascript://localhost:3000/%0aalert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "file://localhost/etc/passwd",
    "ftp://localhost:3000/",
    "ws://localhost:3000/",
    "blob:http://localhost:3000/x",
    "myapp://callback",
    "http://localhost:3000/\r\nSet-Cookie: a=b",
    "http://localhost:3000/\nX: y",
    "http://localhost:3000/\t",
    "\thttp://localhost:3000/",
    "http://local\thost:3000/",
    "http://localhost:3000/\u{0}",
    " http://localhost:3000/",
    "http://localhost:99999/",
    "http://l\u{43e}calhost:3000/",
];

#[tokio::test]
async fn red_01_a_forbidden_target_gets_no_location_or_cookie() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    for path in ["/v1/client/handshake", "/v1/client/touch"] {
        for target in REFUSED {
            let query = format!("{path}?redirect_url={}", escaped(target));
            let json = alice.request("GET", &query).send().await;
            json.assert_standard_error();
            assert_eq!(json.status(), 422, "{target:?}: {json}");
            let page = alice.navigate(&query).await;
            assert_eq!(page.status(), 422, "{target:?}: {page}");
            for answer in [&json, &page] {
                assert_eq!(answer.location(), None, "{target:?}");
                assert!(
                    answer.set_cookies().iter().all(|line| !line.starts_with("__clerk_handshake")),
                    "{target:?}"
                );
            }
            let type_ = page.header("content-type").expect("a type");
            assert!(type_.starts_with("text/html") || type_.starts_with("application/json"), "{type_}");
            assert!(!page.text().contains("<script>alert"), "{page}");
        }
        for query in [
            path.to_owned(),
            format!("{path}?redirect_url"),
            format!("{path}?redirect_url=%ff"),
            format!("{path}?redirect_url=%zz"),
        ] {
            let refused = alice.request("GET", &query).send().await;
            assert!(matches!(refused.status(), 400 | 422), "{refused}");
            refused.assert_standard_error();
            assert_eq!(refused.location(), None);
        }
    }
}

#[tokio::test]
async fn red_01_a_target_split_at_commas_is_joined_and_checked() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let (first, rest) = (escaped("http://localhost:3000/a?x=1"), escaped("2"));
    let path = format!("/v1/client/touch?redirect_url={first}&redirect_url={rest}");
    assert_eq!(alice.navigate(&path).await.location(), Some("http://localhost:3000/a?x=1,2"));
    let evil = escaped("http://evil.com/");
    for path in [
        format!("/v1/client/touch?redirect_url={evil}&redirect_url={first}"),
        format!("/v1/client/touch?redirect_url={}&redirect_url={evil}", escaped("http:")),
    ] {
        let refused = alice.request("GET", &path).send().await;
        assert_eq!((refused.status(), refused.location()), (422, None), "{path}");
    }
}

#[tokio::test]
async fn red_02_an_allowed_target_is_written_anew() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    for (target, location) in [
        ("http://localhost:3000", "http://localhost:3000/"),
        ("HTTP://LOCALHOST:3000/a b?c=d e#f", "http://localhost:3000/a%20b?c=d%20e#f"),
        ("http://localhost:80/", "http://localhost/"),
        ("http://localhost:3000/a/../b", "http://localhost:3000/b"),
        ("http://localhost:3000/?next=http://evil.com", "http://localhost:3000/?next=http://evil.com"),
        ("http://localhost:3000/\u{fc}", "http://localhost:3000/%C3%BC"),
        ("http:localhost:3000/x", "http://localhost:3000/x"),
        ("http://localhost:4000/user", "http://localhost:4000/user"),
    ] {
        let answer = alice.navigate(&format!("/v1/client/touch?redirect_url={}", escaped(target))).await;
        assert_eq!((answer.status(), answer.location()), (307, Some(location)), "{target}");
    }
}

#[tokio::test]
async fn red_01_production_sends_people_to_its_list_and_nowhere_else() {
    let app = TestApp::new().production().start().await;
    let alice = app.signed_in("alice@example.com").await;
    for target in [
        "http://app.example.com/",
        "https://example.com/",
        "https://app.example.com:8443/",
        "https://app.example.com.evil.com/",
        "http://localhost:3000/",
        "https://evil.app.example.com/",
    ] {
        let refused = alice.handshake(target).await;
        assert_eq!((refused.status(), refused.location()), (422, None), "{target}");
    }
    assert_eq!(
        alice.handshake("https://app.example.com/x").await.location(),
        Some("https://app.example.com/x")
    );
}

#[tokio::test]
async fn d2_a_handshake_without_shared_cookies_says_so() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let refused = alice.handshake("http://127.0.0.1:3000/").await;
    assert_eq!((refused.status(), refused.location()), (422, None));
    assert!(refused.text().contains("127.0.0.1"), "{refused}");
}

#[tokio::test]
async fn cok_08_a_handshake_puts_no_token_into_the_address() {
    let app = TestApp::new().start().await;
    let alice = app.signed_in("alice@example.com").await;
    let jwt = alice.token(&alice.session()).await.jwt();
    let query =
        format!("/v1/client/handshake?redirect_url={}&__session={jwt}", escaped("http://localhost:3000/"));
    let back = alice.navigate(&query).await;
    assert_eq!(back.location(), Some("http://localhost:3000/"));
    assert!(
        back.set_cookies().iter().all(|line| !line.contains("eyJ")),
        "the nonce stands for who, not for a token"
    );
}

#[tokio::test]
async fn ses_22_a_navigation_creates_no_session_and_no_client() {
    let app = TestApp::new().start().await;
    let ticket = app.ticket("alice@example.com", sojourn_testkit::minutes(5)).await;
    let browser = app.browser();
    browser.handshake("http://localhost:3000/").await;
    for path in ["/v1/client?", "/v1/client/sign_ins?_method=POST&"] {
        let path = format!("{path}strategy=ticket&ticket={ticket}");
        browser.send(browser.navigation(&path).beyond_the_document()).await;
    }
    browser.navigate(&format!("/sign-in?__clerk_ticket={ticket}")).await;
    assert_eq!(browser.client_cookie(), None);
    browser.sign_in_with_ticket(&ticket).await.assert_ok();
}
