//! A production instance from `init` to a sign-in, as an operator and a proxy see it.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::support::{Running, free_port, sojourn, stderr, stdout};

const HOST: &str = "clerk.example.com";
const APP: &str = "https://app.example.com";
const PASSWORD: &str = "correct horse battery staple";

fn run(folder: &Path, arguments: &[&str]) -> Output {
    sojourn(folder).args(arguments).output().expect("ran")
}

pub fn init(folder: &Path) -> Value {
    let made = run(folder, &["init", "production", "--host", HOST, "--app", APP, "--json"]);
    assert!(made.status.success(), "{}", stderr(&made));
    serde_json::from_str(&stdout(&made)).expect("JSON")
}

pub fn serve(folder: &Path, arguments: &[&str]) -> Running {
    let mut command = sojourn(folder);
    command.args(["serve", "--log-format", "json"]).args(arguments);
    Running::start(&mut command)
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime").block_on(work)
}

/// A request as the proxy on this machine sends it for a browser.
async fn forwarded(port: u16, method: &str, path: &str, form: &[(&str, &str)]) -> reqwest::Response {
    let method = method.parse().expect("a method");
    let request = reqwest::Client::builder().no_proxy().build().expect("a client");
    let request = request.request(method, format!("http://127.0.0.1:{port}{path}"));
    let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = request
        .header("host", HOST)
        .header("origin", APP)
        .header("x-forwarded-for", "203.0.113.9")
        .header("x-forwarded-proto", "https")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body);
    request.send().await.expect("an answer")
}

fn add_user(folder: &Path) {
    let made = run(folder, &["users", "create", "--email", "ada@example.com", "--password", PASSWORD]);
    assert!(made.status.success(), "{}", stderr(&made));
}

#[test]
fn init_makes_one_instance_and_tells_its_key_once() {
    let home = tempfile::tempdir().expect("temporary folder");
    let made = run(
        home.path(),
        &["init", "production", "--host", "Clerk.Example.com", "--app", "https://app.example.com/"],
    );
    assert!(made.status.success(), "{}", stderr(&made));
    let lines = stdout(&made);
    assert!(
        lines.contains("NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY=pk_live_Y2xlcmsuZXhhbXBsZS5jb20k\n"),
        "{lines}"
    );
    assert!(lines.contains("\nCLERK_API_URL=https://clerk.example.com\n"), "{lines}");
    let key = lines.lines().find_map(|line| line.strip_prefix("CLERK_SECRET_KEY=")).expect("the key");
    assert!(key.starts_with("sk_live_sojourn_"), "{key}");
    assert!(!stderr(&made).contains(key), "prose may land in a log");
    let config = fs::read_to_string(home.path().join("sojourn.toml")).expect("written");
    insta::assert_snapshot!(config);
    for entry in fs::read_dir(home.path().join(".sojourn")).expect("readable") {
        let path = entry.expect("an entry").path();
        let bytes = fs::read(&path).expect("readable");
        assert!(!bytes.windows(key.len()).any(|part| part == key.as_bytes()), "{}", path.display());
    }

    let again = run(home.path(), &["init", "production", "--host", "other.example.com", "--app", APP]);
    assert_eq!((again.status.code(), stdout(&again)), (Some(5), String::new()));
    insta::assert_snapshot!(stderr(&again), @"
    error: ./.sojourn/sojourn.db holds a production instance already: clerk.example.com
      a database holds one instance; nothing was changed
      try: sojourn serve, with its configuration
           sojourn keys create, if its secret key is lost
           or --data or --database for another one
    ");
    assert_eq!(fs::read_to_string(home.path().join("sojourn.toml")).expect("there"), config);
}

#[test]
fn a_host_or_origin_that_cannot_be_is_refused_with_a_reason() {
    let home = tempfile::tempdir().expect("temporary folder");
    let refused = |host: &str, app: &str| {
        let output = run(home.path(), &["init", "production", "--host", host, "--app", app]);
        assert_eq!(output.status.code(), Some(2), "{host} {app}");
        stderr(&output)
    };
    let hosts =
        ["https://clerk.example.com", "clerk.example.com:8443", "192.0.2.1", "localhost", "clerk", "co.uk"];
    let apps = [
        "http://app.example.com",
        "https://app.example.com/shop",
        "https://localhost:3000",
        "app.example.com",
        "*",
    ];
    let mut said: Vec<String> = hosts.iter().map(|host| refused(host, APP)).collect();
    said.extend(apps.iter().map(|app| refused(HOST, app)));
    insta::assert_snapshot!(said.join("\n"));
    assert_eq!(fs::read_dir(home.path()).expect("readable").count(), 0, "nothing was made");
}

#[test]
fn production_serves_a_sign_in_and_nothing_of_development() {
    let home = tempfile::tempdir().expect("temporary folder");
    let key = init(home.path())["secret_key"].as_str().expect("a key").to_owned();
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let server = serve(home.path(), &["--listen", &listen]);
    assert!(
        server.ready["secret_key"].is_null() && server.ready["urls"]["mailbox"].is_null(),
        "{}",
        server.ready
    );
    assert_eq!(server.text("base_url"), "https://clerk.example.com");
    add_user(home.path());
    let session = wait(async {
        let form = [("identifier", "ada@example.com"), ("password", PASSWORD)];
        let answer = forwarded(port, "POST", "/v1/client/sign_ins", &form).await;
        assert_eq!(answer.status(), 200);
        let cookies: Vec<&str> =
            answer.headers().get_all("set-cookie").iter().filter_map(|line| line.to_str().ok()).collect();
        let client = cookies.iter().find(|line| line.starts_with("__client=")).expect("the client's cookie");
        assert!(
            client.ends_with("; HttpOnly; Secure; SameSite=Lax") && !client.contains("Domain"),
            "{client}"
        );
        let uat = cookies.iter().find(|line| line.starts_with("__client_uat=")).expect("for the application");
        assert!(uat.contains("; Domain=example.com;"), "{uat}");
        let answer: Value = serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON");
        for path in ["/dev/clock", "/dev/mailbox", "/mailbox"] {
            let answer = forwarded(port, "GET", path, &[]).await;
            assert_eq!(answer.status(), 404, "{path}");
            assert!(answer.text().await.expect("a body").contains("\"errors\""), "{path}");
        }
        let short =
            forwarded(port, "POST", "/v1/client/sign_ins", &[("identifier", "ada+clerk_test@example.com")]);
        assert_eq!(short.await.status(), 422, "test addresses are ordinary ones");
        answer["response"]["created_session_id"].as_str().expect("a session").to_owned()
    });
    // The command line of the machine reaches its own server past the proxy, with a key of its own.
    let seen = run(home.path(), &["sessions", "inspect", &session, "--json"]);
    let seen: Value = serde_json::from_str(&stdout(&seen)).expect("JSON");
    assert!(seen.to_string().contains("203.0.113.9"), "{seen}");
    let short = run(home.path(), &["settings", "set", "session_settings.inactivity_timeout=60s"]);
    assert_eq!(short.status.code(), Some(5), "{}", stdout(&short));
    assert!(stderr(&short).contains("300"), "{}", stderr(&short));
    // What `env` prints for the application holds no key that this process made for itself.
    let lines = stdout(&run(home.path(), &["env"]));
    assert!(lines.contains("pk_live_") && !lines.contains("sk_live"), "{lines}");
    let authorised = |key: &str| {
        run(home.path(), &["keys", "list", "--url", &format!("http://{listen}"), "--secret-key", key])
    };
    assert_eq!(authorised(&key).status.code(), Some(1), "421: an address that is not the instance's host");
}

#[test]
fn the_configuration_alone_makes_an_instance_too() {
    let home = tempfile::tempdir().expect("temporary folder");
    let port = free_port();
    let config = format!(
        "environment = \"production\"\npublic_url = \"https://{HOST}\"\nlisten = [\"127.0.0.1:{port}\"]\n\
         trusted_proxies = [\"127.0.0.1\"]\nallowed_origins.list = [\"{APP}\"]\n"
    );
    fs::write(home.path().join("sojourn.toml"), config).expect("written");
    let server = serve(home.path(), &[]);
    let first = run(home.path(), &["keys", "create", "--name", "shop"]);
    assert!(stdout(&first).starts_with("sk_live_sojourn_"), "{}", stderr(&first));
    server.signal("-TERM");
    let (code, rest, prose) = server.wait();
    assert_eq!((code, rest.as_str()), (Some(0), ""));
    assert!(!prose.contains("sk_live"), "no key in a log: {prose}");
    // Without a server the database takes the key.
    let second = run(home.path(), &["keys", "create", "--json"]);
    let second: Value = serde_json::from_str(&stdout(&second)).expect("JSON");
    let server = serve(home.path(), &[]);
    let listed = stdout(&run(home.path(), &["keys", "list"]));
    assert!(listed.contains("shop") && listed.contains(second["id"].as_str().expect("an id")), "{listed}");
    drop(server);
    let stray = tempfile::tempdir().expect("temporary folder");
    let nowhere = run(stray.path(), &["keys", "create"]);
    assert_eq!(nowhere.status.code(), Some(6), "{}", stderr(&nowhere));
}

#[test]
fn the_wrong_configuration_does_not_serve_the_instance() {
    let home = tempfile::tempdir().expect("temporary folder");
    init(home.path());
    fs::rename(home.path().join("sojourn.toml"), home.path().join("kept.toml")).expect("renamed");
    let said = |arguments: &[&str]| {
        let output = run(home.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        stderr(&output)
    };
    let development = said(&["serve", "--port", "0"]);
    let toml = fs::read_to_string(home.path().join("kept.toml")).expect("there");
    fs::write(home.path().join("other.toml"), toml.replace(HOST, "auth.example.com")).expect("written");
    let other_host = said(&["serve", "--config", "other.toml", "--listen", "127.0.0.1:0"]);
    fs::write(home.path().join("bare.toml"), toml.replace("trusted_proxies", "# trusted_proxies"))
        .expect("written");
    let plain = said(&["serve", "--config", "bare.toml", "--listen", "0.0.0.0:0"]);
    insta::assert_snapshot!([development, other_host, plain].join("\n"));
    let dev = tempfile::tempdir().expect("temporary folder");
    drop(serve(dev.path(), &["--port", "0"]));
    let beside = run(dev.path(), &["init", "production", "--host", HOST, "--app", APP]);
    assert!(stderr(&beside).contains("holds a development instance"), "{}", stderr(&beside));
}

#[test]
fn the_backend_api_and_health_have_addresses_of_their_own() {
    let home = tempfile::tempdir().expect("temporary folder");
    let key = init(home.path())["secret_key"].as_str().expect("a key").to_owned();
    let [public, backend, admin] = [free_port(), free_port(), free_port()];
    let [listen, bapi, health] = [public, backend, admin].map(|port| format!("127.0.0.1:{port}"));
    let _server =
        serve(home.path(), &["--listen", &listen, "--bapi-listen", &bapi, "--admin-listen", &health]);
    add_user(home.path());
    let url = format!("http://{bapi}");
    let listed = run(home.path(), &["keys", "list", "--url", &url, "--secret-key", &key]);
    assert!(listed.status.success(), "{}", stderr(&listed));
    wait(async {
        assert_eq!(forwarded(public, "GET", "/v1/users", &[]).await.status(), 404);
        assert_eq!(forwarded(public, "GET", "/v1/client", &[]).await.status(), 200);
        assert_eq!(forwarded(admin, "GET", "/health/ready", &[]).await.status(), 200);
        assert_eq!(forwarded(admin, "GET", "/v1/client", &[]).await.status(), 404);
    });
    let lines = stdout(&run(home.path(), &["env"]));
    assert!(lines.contains(&format!("CLERK_API_URL=http://{bapi}")), "{lines}");
}
