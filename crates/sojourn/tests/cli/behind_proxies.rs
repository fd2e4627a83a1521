//! The examples for nginx, HAProxy and Caddy, each in front of a production instance: a sign-in over https, and
//! what a client cannot claim of itself there. And HAProxy that passes TLS through, with the PROXY protocol.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use serde_json::Value;

use crate::production::{init, serve};
use crate::proxy::{HOST, Proxy, Site, caddy, haproxy, haproxy_passing_tls_through, nginx};
use crate::support::{free_port, sojourn, stderr, stdout};

const APP: &str = "https://app.example.com";
const PASSWORD: &str = "correct horse battery staple";
/// Where the browser connects from. The proxies connect from 127.0.0.1, which is declared.
const BROWSER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

fn browser(port: u16, certificate: &str) -> reqwest::ClientBuilder {
    let root = reqwest::Certificate::from_pem(certificate.as_bytes()).expect("a certificate");
    reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([root])
        .local_address(BROWSER)
        .resolve(HOST, ([127, 0, 0, 1], port).into())
        .redirect(reqwest::redirect::Policy::none())
}

/// Signs in over https, and returns the session.
async fn sign_in(port: u16, certificate: &str) -> String {
    let url = |path: &str| format!("https://{HOST}:{port}{path}");
    let browser = browser(port, certificate).build().expect("a client");
    let form = format!("identifier=ada%40example.com&password={}", PASSWORD.replace(' ', "+"));
    let answer = browser
        .post(url("/v1/client/sign_ins"))
        .header("origin", APP)
        // A client that names an address, a host and a scheme of its own.
        .header("x-forwarded-for", "203.0.113.9")
        .header("x-forwarded-host", "evil.example")
        .header("x-forwarded-proto", "http")
        .header("forwarded", "for=203.0.113.9")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form)
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["access-control-allow-origin"], APP);
    assert!(answer.headers().contains_key("strict-transport-security"));
    let cookies: Vec<String> = answer
        .headers()
        .get_all("set-cookie")
        .iter()
        .map(|line| line.to_str().expect("text").to_owned())
        .collect();
    let client = cookies.iter().find(|line| line.starts_with("__client=")).expect("the client's cookie");
    assert!(client.ends_with("; HttpOnly; Secure; SameSite=Lax"), "{client}");
    let cookie = client.split(';').next().expect("a pair").to_owned();
    let answer: Value = serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON");

    // A handshake carries a token in its address, up to 16 KiB.
    let long = format!("/v1/client/handshake?redirect_url={APP}%2F&__session={}", "x".repeat(16_000));
    let handshake = browser.get(url(&long)).header("cookie", &cookie).send().await.expect("an answer");
    assert_eq!(handshake.status(), 307);
    assert_eq!(handshake.headers()["location"], "https://app.example.com/");
    let nonce = handshake.headers().get_all("set-cookie").iter().any(|line| {
        line.to_str().is_ok_and(|line| {
            line.starts_with("__clerk_handshake_nonce=") && line.contains("; Domain=example.com;")
        })
    });
    assert!(nonce, "{:?}", handshake.headers());
    answer["response"]["created_session_id"].as_str().expect("a session").to_owned()
}

/// The answer to a request that names another host: not a page of this instance, whoever refuses it.
async fn foreign_host(port: u16, certificate: &str) -> u16 {
    let url = format!("https://{HOST}:{port}/v1/client");
    // HTTP/2 names the host beside the headers.
    let browser = browser(port, certificate).http1_only().build().expect("a client");
    let answer = browser.get(url).header("host", "evil.example").send().await;
    let answer = answer.expect("an answer");
    let status = answer.status().as_u16();
    assert!(!answer.text().await.expect("a body").contains("\"client\""));
    status
}

fn add_user(home: &Path) {
    let made = sojourn(home)
        .args(["users", "create", "--email", "ada@example.com", "--password", PASSWORD])
        .output()
        .expect("ran");
    assert!(made.status.success(), "{}", stderr(&made));
}

fn assert_seen_from_the_browser(home: &Path, session: &str) {
    let seen = sojourn(home).args(["sessions", "inspect", session, "--json"]).output().expect("ran");
    let seen = stdout(&seen);
    assert!(seen.contains(&BROWSER.to_string()) && !seen.contains("203.0.113.9"), "{seen}");
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime").block_on(work)
}

/// A sign-in through a proxy, and the status of a request for another host.
fn a_browser_signs_in(start: fn(&Site, u16, u16) -> Proxy) -> u16 {
    let home = tempfile::tempdir().expect("temporary folder");
    init(home.path());
    let [port, upstream] = [free_port(), free_port()];
    let _server = serve(home.path(), &["--listen", &format!("127.0.0.1:{upstream}")]);
    add_user(home.path());
    let site = Site::new(home.path());
    let _proxy = start(&site, port, upstream);
    let session = wait(sign_in(port, &site.certificate));
    assert_seen_from_the_browser(home.path(), &session);
    wait(foreign_host(port, &site.certificate))
}

#[test]
fn a_browser_signs_in_through_nginx_and_claims_no_address() {
    assert_eq!(a_browser_signs_in(nginx), 421);
}

#[test]
fn a_browser_signs_in_through_haproxy_and_claims_no_address() {
    assert_eq!(a_browser_signs_in(haproxy), 421);
}

#[test]
fn a_browser_signs_in_through_caddy_and_claims_no_address() {
    // Caddy has no site of that name, and answers nothing.
    assert_eq!(a_browser_signs_in(caddy), 200);
}

#[test]
fn the_proxy_protocol_names_the_browser_behind_tls() {
    let home = tempfile::tempdir().expect("temporary folder");
    init(home.path());
    let site = Site::new(home.path());
    let [port, plain, upstream] = [free_port(), free_port(), free_port()];
    let config = fs::read_to_string(home.path().join("sojourn.toml")).expect("there");
    let config = format!(
        "proxy_protocol = true\n{config}\n[tls]\nproxy_protocol = true\nlisten = \"127.0.0.1:{upstream}\"\n\
         certificate_file = \"{}\"\nkey_file = \"{}\"\n",
        site.path("cert.pem"),
        site.path("key.pem")
    );
    fs::write(home.path().join("sojourn.toml"), config).expect("written");
    let _server = serve(home.path(), &["--listen", &format!("127.0.0.1:{plain}")]);
    // The command line, which writes no header, has an address of its own.
    add_user(home.path());
    let _proxy = haproxy_passing_tls_through(&site, port, upstream);
    let session = wait(sign_in(port, &site.certificate));
    assert_seen_from_the_browser(home.path(), &session);
    wait(async {
        // Whoever is no declared proxy speaks TLS at once, and is seen as itself.
        let session = sign_in(upstream, &site.certificate).await;
        assert_seen_from_the_browser(home.path(), &session);
        // A declared proxy that writes no header is not answered.
        let direct = reqwest::Client::builder().no_proxy().build().expect("a client");
        direct.get(format!("http://127.0.0.1:{plain}/v1/client")).send().await.expect_err("closed");
    });
}
