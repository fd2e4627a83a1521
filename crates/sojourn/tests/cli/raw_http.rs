//! What arrives as bytes and is no request, or a poor one: each is told why, as
//! JSON, before the connection ends. Over plain http and over TLS.

use serde_json::Value;

use crate::support::{Running, Stream, sojourn};
use crate::tls::Authority;

struct Told {
    status: u16,
    head: String,
    body: String,
}

/// A server that is reached both ways.
struct Server {
    running: Running,
    authority: Authority,
    _home: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let home = tempfile::tempdir().expect("temporary folder");
        let authority = Authority::new(home.path());
        let mut command = sojourn(home.path());
        command.args(["test-server", "--json"]).envs(authority.variables());
        Self { running: Running::start(&mut command), authority, _home: home }
    }

    /// Sends the bytes and reads until the server ends the connection: over plain http and TLS.
    fn tell(&self, bytes: &[u8]) -> [Told; 2] {
        let address = self.running.text("base_url").replace("http://", "");
        let ways: [Box<dyn Stream>; 2] =
            [Box::new(crate::support::connect(&address)), Box::new(self.authority.connect())];
        ways.map(|stream| tell(stream, bytes))
    }
}

fn tell(mut stream: Box<dyn Stream>, bytes: &[u8]) -> Told {
    stream.write_all(bytes).expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer, and the end");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Told { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

#[track_caller]
fn assert_refused(what: &str, told: &Told, status: u16, code: &str) {
    assert_eq!(told.status, status, "{what}: {} {}", told.head, told.body);
    for line in ["content-type: application/json", "cache-control: no-store", "connection: close"] {
        assert!(told.head.contains(line), "{what}: no {line} in {}", told.head);
    }
    let body: Value = serde_json::from_str(&told.body).unwrap_or_else(|_| panic!("{what}: {}", told.body));
    assert_eq!(body["errors"][0]["code"], code, "{what}: {body}");
    for text in [&body["errors"][0]["message"], &body["errors"][0]["long_message"], &body["clerk_trace_id"]] {
        assert!(text.as_str().is_some_and(|text| !text.is_empty()), "{what}: {body}");
    }
    assert!(body["errors"][0]["meta"].is_object(), "{what}: {body}");
}

/// A request with as many headers of its own, `line` among them.
fn request(line: &str, headers: usize) -> Vec<u8> {
    let own: String = (0..headers).map(|n| format!("x-{n}: {n}\r\n")).collect();
    format!("GET /v1/environment HTTP/1.1\r\nhost: localhost\r\n{own}{line}\r\n").into_bytes()
}

#[test]
fn inp_01_and_hst_03_protocol_errors_are_json_too() {
    let server = Server::start();
    let address = |length| format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "a".repeat(length));
    let large = format!("x-large: {}\r\n", "a".repeat(200 * 1024));
    let rows: &[(&str, Vec<u8>, u16, &str)] = &[
        ("101 headers", request("", 100), 431, "request_headers_too_large"),
        ("as many headers as no parser takes", request("", 1000), 431, "request_headers_too_large"),
        ("33 KiB", request(&format!("x: {}\r\n", "a".repeat(33 << 10)), 0), 431, "request_headers_too_large"),
        ("200 KiB", request(&large, 0), 431, "request_headers_too_large"),
        ("a long address", address(17 << 10).into(), 414, "request_uri_too_long"),
        ("a very long address", address(70 << 10).into(), 414, "request_uri_too_long"),
        ("a greeting of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n".to_vec(), 400, MALFORMED),
        ("no protocol", b"hello there, who is this?\r\n\r\n".to_vec(), 400, MALFORMED),
        ("another version", b"GET / HTTP/3.7\r\nhost: localhost\r\n\r\n".to_vec(), 400, MALFORMED),
        ("a header without a colon", request("nothing\r\n", 0), 400, MALFORMED),
        ("a name with a space", request("content length: 1\r\n", 0), 400, MALFORMED),
        ("two lengths", request("content-length: 1\r\ncontent-length: 2\r\n", 0), 400, MALFORMED),
        ("a length that is none", request("content-length: -1\r\n", 0), 400, MALFORMED),
        ("an encoding that is none", request("transfer-encoding: cow\r\n", 0), 400, MALFORMED),
        ("a control character", request("x-null: a\0b\r\n", 0), 400, MALFORMED),
    ];
    for (what, bytes, status, code) in rows {
        server.tell(bytes).iter().for_each(|told| assert_refused(what, told, *status, code));
    }
}

const MALFORMED: &str = "request_malformed";

#[test]
fn hst_03_nothing_is_served_behind_a_request_with_both_lengths() {
    let server = Server::start();
    for lengths in
        ["content-length: 5\r\ntransfer-encoding: chunked", "transfer-encoding: chunked\r\ncontent-length: 5"]
    {
        let smuggled = "GET /v1/health HTTP/1.1\r\nhost: localhost\r\n\r\n";
        let bytes =
            format!("GET /v1/health HTTP/1.1\r\nhost: localhost\r\n{lengths}\r\n\r\n0\r\n\r\n{smuggled}");
        for told in server.tell(bytes.as_bytes()) {
            assert!(!told.body.contains("HTTP/1.1"), "{}", told.body);
        }
    }
}

#[test]
fn a_bad_second_request_leaves_the_first_answer_intact() {
    let server = Server::start();
    for version in ["HTTP/1.1", "HTTP/1.0"] {
        let good = format!("GET /v1/health {version}\r\nhost: localhost\r\nconnection: keep-alive\r\n\r\n");
        for told in server.tell(format!("{good}and now for something else\r\n\r\n").as_bytes()) {
            assert_eq!(told.status, 200, "{}", told.head);
            let rest = told.body;
            assert!(rest.contains("HTTP/1.1 400 Bad Request") && rest.contains(MALFORMED), "{rest}");
        }
    }
}

/// A sign-in whose body is sent as it is given.
fn sign_in(framing: &str, body: &str) -> Vec<u8> {
    format!(
        "POST /v1/client/sign_ins HTTP/1.1\r\nhost: localhost\r\norigin: http://localhost:3000\r\n\
         content-type: application/x-www-form-urlencoded\r\n{framing}\r\n\r\n{body}"
    )
    .into_bytes()
}

#[test]
fn hst_03_a_bad_chunk_is_400_and_not_too_large() {
    let server = Server::start();
    for chunks in ["xyz\r\n", "5\r\nabcdefghi\r\n0\r\n\r\n", "-1\r\n", "fffffffffffffffff\r\n"] {
        let bytes = sign_in("transfer-encoding: chunked", chunks);
        server.tell(&bytes).iter().for_each(|told| assert_refused(chunks, told, 400, "request_body_invalid"));
    }
}

#[test]
fn inp_01_a_large_body_is_refused_while_it_arrives() {
    let server = Server::start();
    let large = "a".repeat(3 << 20);
    for told in server.tell(&sign_in(&format!("content-length: {}", large.len()), &large)) {
        assert_refused("3 MiB", &told, 413, "request_body_too_large");
        assert!(told.head.contains("access-control-allow-origin: http://localhost:3000"), "{}", told.head);
    }
}
