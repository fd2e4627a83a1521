//! `sojourn webhooks`, and what a receiver gets from a server that is killed.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Running, sojourn, stderr, stdout};

/// One request, and the connection that waits for an answer.
struct Request {
    id: String,
    body: String,
    connection: TcpStream,
}

impl Request {
    fn read(connection: TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(connection.try_clone().ok()?);
        let (mut id, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let line = line.trim().to_ascii_lowercase();
            match line.split_once(": ") {
                Some(("webhook-id", value)) => value.clone_into(&mut id),
                Some(("content-length", value)) => length = value.parse().ok()?,
                Some(_) => {}
                None if line.is_empty() => break,
                None => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        Some(Self { id, body: String::from_utf8(body).ok()?, connection })
    }

    fn answer(mut self, status: &str) {
        let text = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
        self.connection.write_all(text.as_bytes()).expect("the server reads");
    }
}

/// Receives until the test ends.
fn receiver() -> (String, Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    let (sender, requests) = mpsc::channel();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let sender = sender.clone();
            std::thread::spawn(move || Request::read(connection).map(|request| sender.send(request)));
        }
    });
    (url, requests)
}

fn next(requests: &Receiver<Request>) -> Request {
    match requests.recv_timeout(Duration::from_secs(20)) {
        Ok(request) => request,
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => panic!("no webhook within 20 s"),
    }
}

fn start(folder: &Path) -> Running {
    let mut command = sojourn(folder);
    command.args(["test-server", "--port", "0", "--json", "--data"]).arg(folder.join("data"));
    Running::start(&mut command)
}

fn run(folder: &Path, arguments: &[&str]) -> std::process::Output {
    let mut command = sojourn(folder);
    command.args(arguments).arg("--data").arg(folder.join("data")).output().expect("the binary runs")
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    let output = run(folder, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    serde_json::from_str(&stdout(&output)).expect("JSON")
}

#[test]
fn a_webhook_under_way_at_kill_9_is_sent_again_with_its_id() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let (url, requests) = receiver();
    let mut server = start(folder);
    json(folder, &["webhooks", "add", &url]);
    json(folder, &["users", "create", "--email", "ada@example.com"]);
    let first = next(&requests);
    // It was sent, and nobody knows the answer.
    server.child.kill().expect("SIGKILL");
    server.child.wait().expect("gone");
    let _server = start(folder);
    let again = next(&requests);
    assert_eq!((&again.id, &again.body), (&first.id, &first.body));
    assert!(again.id.starts_with("msg_"), "{}", again.id);
    again.answer("200 OK");
    json(folder, &["users", "create", "--email", "bob@example.com"]);
    let other = next(&requests);
    assert_ne!(other.id, first.id);
}

#[test]
fn an_endpoint_is_added_tested_and_removed_by_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let (url, requests) = receiver();
    let _server = start(folder);
    let added = run(folder, &["webhooks", "add", &url, "--events", "session.expired,user.created"]);
    assert!(stdout(&added).starts_with("whsec_"), "{}", stderr(&added));
    let listed = json(folder, &["webhooks", "list"]);
    let id = listed["data"][0]["id"].as_str().expect("an id").to_owned();
    let answering = std::thread::spawn(move || {
        next(&requests).answer("204 No Content");
        next(&requests).answer("404 Not Found");
        requests
    });
    let tested = run(folder, &["webhooks", "test", &id]);
    assert!(tested.status.success() && stdout(&tested).contains("204"), "{}", stderr(&tested));
    let failed = run(folder, &["webhooks", "test", &id]);
    assert!(!failed.status.success() && stderr(&failed).contains("404"), "{}", stderr(&failed));
    drop(answering.join().expect("two requests"));
    let table = stdout(&run(folder, &["webhooks", "deliveries", &id]));
    assert!(
        table.contains("sojourn.test") && table.contains("delivered") && table.contains("queued"),
        "{table}"
    );
    let refused = run(folder, &["webhooks", "add", "ftp://example.com"]);
    assert_eq!(refused.status.code(), Some(5), "{}", stderr(&refused));
    assert!(run(folder, &["webhooks", "remove", &id]).status.success());
    let gone = run(folder, &["webhooks", "deliveries", &id]);
    assert_eq!(gone.status.code(), Some(3), "{}", stderr(&gone));
}
