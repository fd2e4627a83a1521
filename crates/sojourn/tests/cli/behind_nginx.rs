//! The example for nginx, in front of a production instance: a sign-in over https, and what a client cannot
//! claim of itself there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rcgen::generate_simple_self_signed;
use serde_json::Value;

use crate::production::{init, serve};
use crate::support::{eventually, free_port, sojourn, stderr, stdout};

const HOST: &str = "clerk.example.com";
const APP: &str = "https://app.example.com";
const PASSWORD: &str = "correct horse battery staple";

/// An nginx of its own that ends with the test.
struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn program() -> PathBuf {
    let places = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx"];
    let found = places.iter().map(Path::new).find(|path| path.exists());
    found.expect("nginx is installed: scripts/install-nginx").to_owned()
}

/// Starts nginx with the example file, whose paths and ports are replaced.
fn start(folder: &Path, port: u16, upstream: u16, certificate: &str, key: &str) -> Nginx {
    let here = folder.display();
    fs::write(folder.join("cert.pem"), certificate).expect("written");
    fs::write(folder.join("key.pem"), key).expect("written");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/nginx/sojourn.conf");
    let example = fs::read_to_string(example).expect("the example");
    let example = example
        .replace("/etc/sojourn/tls/fullchain.pem", &format!("{here}/cert.pem"))
        .replace("/etc/sojourn/tls/privkey.pem", &format!("{here}/key.pem"))
        .replace("listen 443 ssl", &format!("listen 127.0.0.1:{port} ssl"))
        .replace("127.0.0.1:4000;", &format!("127.0.0.1:{upstream};"));
    let config = format!(
        "daemon off; master_process off; pid {here}/nginx.pid; error_log {here}/error.log;\nevents {{}}\n\
         http {{\naccess_log off; client_body_temp_path {here}/body; proxy_temp_path {here}/proxy;\n\
         fastcgi_temp_path {here}/fastcgi; uwsgi_temp_path {here}/uwsgi; scgi_temp_path {here}/scgi;\n{example}}}\n"
    );
    fs::write(folder.join("nginx.conf"), config).expect("written");
    let child = Command::new(program())
        .args(["-e", &format!("{here}/error.log"), "-c", &format!("{here}/nginx.conf")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("nginx starts");
    eventually("nginx listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    Nginx(child)
}

fn browser(port: u16, certificate: &str) -> reqwest::Client {
    let root = reqwest::Certificate::from_pem(certificate.as_bytes()).expect("a certificate");
    reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([root])
        .resolve(HOST, ([127, 0, 0, 1], port).into())
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client")
}

#[test]
fn a_browser_signs_in_through_nginx_and_claims_no_address() {
    let home = tempfile::tempdir().expect("temporary folder");
    init(home.path());
    let [port, upstream] = [free_port(), free_port()];
    let _server = serve(home.path(), &["--listen", &format!("127.0.0.1:{upstream}")]);
    let made = sojourn(home.path())
        .args(["users", "create", "--email", "ada@example.com", "--password", PASSWORD])
        .output()
        .expect("ran");
    assert!(made.status.success(), "{}", stderr(&made));
    let pair = generate_simple_self_signed([HOST.to_owned()]).expect("a certificate");
    let certificate = pair.cert.pem();
    let _nginx = start(home.path(), port, upstream, &certificate, &pair.signing_key.serialize_pem());
    let url = |path: &str| format!("https://{HOST}:{port}{path}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let session = runtime.block_on(async {
        let browser = browser(port, &certificate);
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
        let foreign = browser.get(url("/v1/client")).header("host", "evil.example").send().await;
        assert_eq!(foreign.expect("an answer").status(), 421);
        answer["response"]["created_session_id"].as_str().expect("a session").to_owned()
    });
    let seen = sojourn(home.path()).args(["sessions", "inspect", &session, "--json"]).output().expect("ran");
    assert!(
        stdout(&seen).contains("127.0.0.1") && !stdout(&seen).contains("203.0.113.9"),
        "{}",
        stdout(&seen)
    );
}
