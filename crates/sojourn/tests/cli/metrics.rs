//! `/metrics` as Prometheus reads it.

use std::collections::BTreeMap;
use std::path::Path;

use reqwest::{Client, header};
use serde_json::{Value, json};

use crate::support::{Running, free_port, sojourn};

const PASSWORD: &str = "correct horse battery staple";
const EMAIL: &str = "ada@example.com";

fn start(folder: &Path) -> Running {
    let mut command = sojourn(folder);
    command.args(["test-server", "--port", "0", "--json", "--data"]).arg(folder.join("data"));
    Running::start(&mut command)
}

/// The samples by their text up to the value. Strict: a line that the format does not allow fails.
fn parsed(text: &str) -> BTreeMap<String, f64> {
    let (mut samples, mut types) = (BTreeMap::new(), BTreeMap::new());
    assert!(text.ends_with('\n'), "the last line has to end");
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (what, name) = (words.next().expect("a word"), words.next().expect("a name"));
            let rest = words.next().expect("a text");
            match what {
                "HELP" => assert!(!rest.is_empty(), "{line}"),
                "TYPE" => {
                    assert!(["counter", "gauge", "histogram"].contains(&rest), "{line}");
                    assert!(types.insert(name.to_owned(), rest.to_owned()).is_none(), "twice: {line}");
                }
                _ => panic!("{line}"),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let name = series.split('{').next().expect("a name");
        let word =
            |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        assert!(word(name) && !name.is_empty(), "{line}");
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
        let is_histogram =
            family.is_some_and(|family| types.get(family).is_some_and(|kind| kind == "histogram"));
        assert!(is_histogram || types.contains_key(name), "without a type: {line}");
        for (label, value) in labels(series) {
            assert!(word(&label), "{line}");
            assert!(!value.contains(['"', '\\', '\n']), "{line}");
        }
        let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(samples.insert(series.to_owned(), value).is_none(), "twice: {line}");
    }
    samples
}

fn labels(series: &str) -> Vec<(String, String)> {
    let Some((_, labels)) = series.split_once('{') else { return Vec::new() };
    let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("{series}"));
    labels
        .split("\",")
        .map(|pair| {
            let (label, value) = pair.split_once("=\"").unwrap_or_else(|| panic!("{series}"));
            (label.to_owned(), value.trim_end_matches('"').to_owned())
        })
        .collect()
}

async fn scrape(base: &str) -> String {
    let answer = Client::new().get(format!("{base}/metrics")).send().await.expect("answered");
    let kind =
        answer.headers().get(header::CONTENT_TYPE).map(|kind| kind.to_str().expect("plain").to_owned());
    assert_eq!(kind.as_deref(), Some("text/plain; version=0.0.4; charset=utf-8"));
    answer.text().await.expect("text")
}

/// Posts a form as a page of the application would, with the cookie that came last.
async fn post(cookie: &mut String, url: &str, form: &[(&str, &str)]) -> Value {
    let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = Client::new()
        .post(url)
        .header(header::ORIGIN, "http://localhost:3000")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::COOKIE, cookie.as_str())
        .body(body);
    let answer = request.send().await.expect("answered");
    for line in answer.headers().get_all(header::SET_COOKIE) {
        let line = line.to_str().expect("a plain cookie");
        if line.starts_with("__client_") && !line.starts_with("__client_uat") {
            *cookie = line.split(';').next().unwrap_or_default().to_owned();
        }
    }
    answer.json().await.expect("JSON")
}

#[tokio::test]
async fn the_metrics_count_what_a_user_does_and_name_nobody() {
    let home = tempfile::tempdir().expect("temporary folder");
    let server = start(home.path());
    let (base, key) = (server.text("base_url"), server.text("secret_key"));
    let user = json!({"email_address": [EMAIL], "password": PASSWORD});
    let made = Client::new().post(format!("{base}/v1/users")).bearer_auth(&key).json(&user);
    let user: Value = made.send().await.expect("answered").json().await.expect("JSON");
    let user_id = user["id"].as_str().expect("an id");

    let (mut cookie, sign_ins) = (String::new(), format!("{base}/v1/client/sign_ins"));
    post(&mut cookie, &sign_ins, &[("identifier", EMAIL), ("password", "another")]).await;
    let fields = [("identifier", EMAIL), ("password", PASSWORD), ("strategy", "password")];
    let done = post(&mut cookie, &sign_ins, &fields).await;
    let session = done["response"]["created_session_id"].as_str().expect("signed in").to_owned();
    let tokens = format!("{base}/v1/client/sessions/{session}/tokens");
    for _ in 0..3 {
        assert!(post(&mut cookie, &tokens, &[]).await["jwt"].is_string());
    }
    post(&mut cookie, &format!("{base}/v1/client/sessions/{session}/remove"), &[]).await;
    Client::new().get(format!("{base}/nothing/{session}")).send().await.expect("answered");

    let text = scrape(&base).await;
    let samples = parsed(&text);
    let expect = |series: &str, value: f64| {
        let found = samples.get(series).unwrap_or_else(|| panic!("{series} in {text}"));
        assert!((found - value).abs() < f64::EPSILON, "{series}: {found} instead of {value}");
    };
    expect(r#"sojourn_sign_ins_total{factor="password",outcome="verified"}"#, 1.0);
    expect(r#"sojourn_sign_ins_total{factor="password",outcome="failed"}"#, 1.0);
    expect(r#"sojourn_sessions_started_total{impersonation="false"}"#, 1.0);
    expect(r#"sojourn_sessions_ended_total{reason="signed_out"}"#, 1.0);
    let requests = |route: &str, status: &str| {
        let (api, method) = if route == "none" { ("none", "GET") } else { ("frontend", "POST") };
        format!(
            "sojourn_http_requests_total{{api=\"{api}\",route=\"{route}\",method=\"{method}\",status=\"{status}\"}}"
        )
    };
    expect(&requests("/v1/client/sign_ins", "2xx"), 1.0);
    expect(&requests("/v1/client/sign_ins", "4xx"), 1.0);
    expect(&requests("/v1/client/sessions/{session_id}/tokens", "2xx"), 3.0);
    expect(&requests("none", "4xx"), 1.0);
    let latency = r#"sojourn_http_request_seconds_count{api="frontend",route="/v1/client/sessions/{session_id}/tokens",method="POST"}"#;
    expect(latency, 3.0);
    let signed = samples["sojourn_session_tokens_signed_total"];
    assert!(signed >= 3.0, "{signed}");
    expect("sojourn_signature_seconds_count", signed);
    expect(r#"sojourn_webhook_deliveries{state="queued"}"#, 0.0);
    expect(&format!("sojourn_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")), 1.0);
    for positive in [
        r#"sojourn_store_call_seconds_count{call="commit"}"#,
        r#"sojourn_row_cache_lookups_total{result="hit"}"#,
        "sojourn_sqlite_commit_seconds_count",
        "sojourn_password_hash_seconds_count",
        "sojourn_open_connections",
        "process_start_time_seconds",
        "process_resident_memory_bytes",
    ] {
        assert!(samples.get(positive).is_some_and(|value| *value > 0.0), "{positive} in {text}");
    }

    for label in samples.keys().flat_map(|series| labels(series)).map(|(_, value)| value) {
        let names_somebody = [session.as_str(), user_id, EMAIL, "nothing", "sess_", "user_2", "@"];
        let names_somebody = names_somebody.iter().any(|part| label.contains(part));
        // Routes may have an @: the scripts of the SDKs.
        assert!(!names_somebody || label.starts_with("/npm/"), "{label}");
    }
}

#[tokio::test]
async fn ops_03_metrics_are_for_this_machine_or_the_admin_address() {
    let home = tempfile::tempdir().expect("temporary folder");
    let port = free_port();
    let admin = format!("127.0.0.1:{port}");
    let mut command = sojourn(home.path());
    command.args(["serve", "--log-format", "json", "--port", "0", "--admin-listen", &admin]);
    let server = Running::start(&mut command);
    let base = server.text("base_url");
    assert!(parsed(&scrape(&format!("http://{admin}")).await).contains_key("sojourn_open_connections"));
    // A proxy may pass on what comes from elsewhere.
    for header in ["x-forwarded-for", "forwarded", "via", "x-real-ip", "x-forwarded-host"] {
        let passed_on = Client::new().get(format!("{base}/metrics")).header(header, "203.0.113.9");
        assert_eq!(passed_on.send().await.expect("answered").status(), 404, "{header}");
    }
}
