//! TLS and HTTP/2.

use super::*;

#[tokio::test]
async fn tls_1_2_and_1_3_carry_http_1_and_http_2() {
    let authority = Authority::new();
    let server = start_with(authority.transport(), peer_address(), config(Duration::from_secs(1))).await;
    for (version, only_http1, spoken) in [
        (Version::TLS_1_2, true, reqwest::Version::HTTP_11),
        (Version::TLS_1_2, false, reqwest::Version::HTTP_2),
        (Version::TLS_1_3, true, reqwest::Version::HTTP_11),
        (Version::TLS_1_3, false, reqwest::Version::HTTP_2),
    ] {
        let client = authority.client().tls_version_min(version).tls_version_max(version);
        let client = if only_http1 { client.http1_only() } else { client };
        let client = client.build().expect("a client");
        let answer = client.get(url(&server)).send().await.expect("answered");
        assert_eq!((answer.status(), answer.version()), (StatusCode::OK, spoken), "{version:?}");
        assert_eq!(answer.text().await.expect("text"), "127.0.0.1");
    }
}

#[tokio::test]
async fn tls_1_2_can_be_excluded() {
    let authority = Authority::new();
    let transport = authority.transport_from(MinimumVersion::Tls13);
    let server = start_with(transport, peer_address(), config(Duration::from_secs(1))).await;
    let old = authority.client().tls_version_max(Version::TLS_1_2).build().expect("a client");
    old.get(url(&server)).send().await.expect_err("too old");
    let new = authority.client().build().expect("a client");
    assert_eq!(new.get(url(&server)).send().await.expect("answered").status(), StatusCode::OK);
}

#[tokio::test]
async fn a_new_certificate_is_shown_while_kept_connections_live() {
    let authority = Authority::new();
    let first = authority.resolver.current().expect("a certificate").key.cert[0].to_vec();
    let server = start_with(authority.transport(), peer_address(), config(Duration::from_secs(1))).await;
    let mut kept = authority.connect(server.address).await;
    let second = authority.issue();
    let shown = |stream: &tokio_rustls::client::TlsStream<TcpStream>| {
        stream.get_ref().1.peer_certificates().expect("certificates")[0].to_vec()
    };
    assert_eq!(shown(&kept), first);
    assert!(exchange(&mut kept, LAST_REQUEST).await.starts_with("HTTP/1.1 200"));
    assert_eq!(shown(&authority.connect(server.address).await), second);
}

#[tokio::test]
async fn plain_http_on_a_tls_port_is_told_so() {
    let authority = Authority::new();
    let server = start_with(authority.transport(), peer_address(), config(Duration::from_secs(1))).await;
    let mut plain = TcpStream::connect(server.address).await.expect("connected");
    let answer = exchange(&mut plain, REQUEST).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.ends_with("Use https:// for it."), "{answer}");
}

#[tokio::test]
async fn a_handshake_counts_as_a_connection_and_times_out() {
    let authority = Authority::new();
    let limits = ConnectionLimits { total: 100, per_address: 1, on_loopback: true, proxies: &[] };
    let config = ListenerConfig {
        limits,
        handshake_timeout: Duration::from_secs(1),
        ..config(Duration::from_secs(1))
    };
    let server = start_with(authority.transport(), peer_address(), config).await;
    // The beginning of a ClientHello.
    let mut slow = TcpStream::connect(server.address).await.expect("connected");
    slow.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).await.expect("sent");
    let mut silent = TcpStream::connect(server.address).await.expect("connected");
    let mut rest = Vec::new();
    // Over the limit of one: closed at once, while the first still has time.
    assert_eq!(silent.read_to_end(&mut rest).await.ok().unwrap_or_default(), 0);
    let waiting = tokio::time::timeout(Duration::from_millis(50), slow.read_to_end(&mut rest)).await;
    assert!(waiting.is_err(), "the first ended before the second");
    assert_eq!(slow.read_to_end(&mut rest).await.ok().unwrap_or_default(), 0);
    let mut next = authority.connect(server.address).await;
    assert!(exchange(&mut next, LAST_REQUEST).await.starts_with("HTTP/1.1 200"), "its permit came back");
}

#[tokio::test]
async fn what_the_parser_refuses_is_answered_over_tls_too() {
    let authority = Authority::new();
    let server = start_with(authority.transport(), peer_address(), config(Duration::from_secs(1))).await;
    let mut stream = authority.connect(server.address).await;
    let answer = exchange(&mut stream, b"no http\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.ends_with("json"), "{answer}");
}

#[tokio::test]
async fn http_2_requests_look_like_http_1_to_handlers() {
    let handler = get(|headers: HeaderMap| async move {
        let all = |name: &str| {
            headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>().join("|")
        };
        format!("{} {}", all("host"), all("cookie"))
    });
    let authority = Authority::new();
    let router = Router::new().route("/", handler);
    let server = start_with(authority.transport(), router, config(Duration::from_secs(1))).await;
    let client = authority.client().build().expect("a client");
    let request = client.get(url(&server)).header("cookie", "a=1").header("cookie", "b=2");
    let answer = request.send().await.expect("answered");
    assert_eq!(answer.version(), reqwest::Version::HTTP_2);
    let expected = format!("localhost:{} a=1; b=2", server.address.port());
    assert_eq!(answer.text().await.expect("text"), expected);
}

#[tokio::test]
async fn http_2_headers_over_the_limit_are_431() {
    let authority = Authority::new();
    let server = start_with(authority.transport(), peer_address(), config(Duration::from_secs(1))).await;
    let client = authority.client().build().expect("a client");
    let with_header = async |bytes: usize| {
        let request = client.get(url(&server)).header("x-large", "x".repeat(bytes));
        request.send().await.map(|answer| answer.status())
    };
    assert_eq!(with_header(40_000).await.expect("below it"), StatusCode::OK);
    assert_eq!(with_header(70_000).await.expect("above it"), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
}

#[tokio::test]
async fn an_idle_http_2_connection_is_closed() {
    let authority = Authority::new();
    let limits = ConnectionLimits { total: 1, ..LIMITS };
    let config =
        ListenerConfig { limits, idle_timeout: Duration::from_millis(50), ..config(Duration::from_secs(1)) };
    let server = start_with(authority.transport(), peer_address(), config).await;
    let first = authority.client().build().expect("a client");
    assert_eq!(first.get(url(&server)).send().await.expect("answered").status(), StatusCode::OK);
    tokio::time::sleep(Duration::from_millis(300)).await;
    // There is one permit, and the first client would still hold it.
    let second = authority.client().build().expect("a client");
    assert_eq!(second.get(url(&server)).send().await.expect("answered").status(), StatusCode::OK);
}

#[tokio::test]
async fn an_http_2_request_in_progress_is_answered_before_the_end() {
    let (router, beginning, finish) = slow();
    let authority = Authority::new();
    let server = start_with(authority.transport(), router, config(Duration::from_secs(20))).await;
    let client = authority.client().build().expect("a client");
    let request = tokio::spawn(client.get(url(&server)).send());
    beginning.await.expect("in progress");
    server.stop.send(true).expect("serving");
    assert!(!server.served.is_finished());
    finish.send(()).expect("in progress");
    let answer = request.await.expect("no panic").expect("answered");
    assert_eq!(answer.version(), reqwest::Version::HTTP_2);
    assert_eq!(answer.text().await.expect("text"), "answered");
    drop(client);
    assert!(server.served.await.expect("no panic"));
}
