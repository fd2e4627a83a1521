//! Connections from the outside: plain and TLS, HTTP/1.1 and HTTP/2, and how they end.

mod drain;
mod over_tls;
mod proxy;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use rcgen::{CertifiedIssuer, KeyPair};
use reqwest::tls::Version;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio_rustls::TlsConnector;

use super::connection::Acceptor;
use super::proxy_protocol::ProxyNetworks;
use super::tls::tests::{issue, issuer};
use super::tls::{Certificate, CertificateResolver, MinimumVersion, server_config};
use super::*;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
const LAST_REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
const LIMITS: ConnectionLimits =
    ConnectionLimits { total: 100, per_address: 10, on_loopback: false, proxies: &[] };

struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    served: tokio::task::JoinHandle<bool>,
}

fn render(status: u16, is_navigation: bool) -> Vec<u8> {
    let kind = if is_navigation { "page" } else { "json" };
    format!("HTTP/1.1 {status} Rejected\r\n\r\n{kind}").into_bytes()
}

fn config(drain_timeout: Duration) -> ListenerConfig {
    ListenerConfig::new(LIMITS, render, drain_timeout)
}

async fn start(router: Router, config: ListenerConfig) -> Server {
    start_with(Transport::default(), router, config).await
}

async fn start_with(transport: Transport, router: Router, config: ListenerConfig) -> Server {
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = socket.local_addr().expect("address");
    let (stop, stopped) = watch::channel(false);
    let served = tokio::spawn(serve(vec![Listener { socket, transport }], router, config, stopped));
    Server { address, stop, served }
}

/// A server's certificate, and clients that trust it.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    resolver: Arc<CertificateResolver>,
}

impl Authority {
    fn new() -> Self {
        let authority = Self { issuer: issuer(), resolver: Arc::default() };
        authority.issue();
        authority
    }

    /// Puts a new certificate into use, and returns it.
    fn issue(&self) -> Vec<u8> {
        let (chain, key) = issue(&self.issuer);
        let certificate = Certificate::from_pem(chain.as_bytes(), key.as_bytes()).expect("usable");
        let shown = certificate.key.cert[0].to_vec();
        self.resolver.replace(Arc::new(certificate));
        shown
    }

    fn transport(&self) -> Transport {
        self.transport_from(MinimumVersion::Tls12)
    }

    fn transport_from(&self, minimum: MinimumVersion) -> Transport {
        let config = server_config(self.resolver.clone(), minimum).expect("supported");
        Transport { tls: Some(config), ..Transport::default() }
    }

    /// A client that keeps its connections.
    fn client(&self) -> reqwest::ClientBuilder {
        let root = reqwest::Certificate::from_der(self.issuer.der()).expect("a certificate");
        reqwest::Client::builder().tls_certs_only([root])
    }

    async fn connect(&self, address: SocketAddr) -> tokio_rustls::client::TlsStream<TcpStream> {
        self.handshake(TcpStream::connect(address).await.expect("connected")).await
    }

    async fn handshake(&self, stream: TcpStream) -> tokio_rustls::client::TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a name");
        TlsConnector::from(Arc::new(client)).connect(name, stream).await.expect("a handshake")
    }
}

fn url(server: &Server) -> String {
    format!("https://localhost:{}/", server.address.port())
}

fn peer_address() -> Router {
    let handler = get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() });
    Router::new().route("/", handler)
}

/// A router whose only request is in progress from the first message until the second.
fn slow() -> (Router, oneshot::Receiver<()>, oneshot::Sender<()>) {
    let (begun, beginning) = oneshot::channel();
    let (finish, finished) = oneshot::channel::<()>();
    let once = Arc::new(std::sync::Mutex::new(Some((begun, finished))));
    let router = Router::new().route(
        "/",
        get(move || async move {
            let taken = once.lock().expect("lock").take();
            let (begun, finished) = taken.expect("one request");
            begun.send(()).expect("the test waits");
            let _ = finished.await;
            "answered"
        }),
    );
    (router, beginning, finish)
}

async fn exchange(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), bytes: &[u8]) -> String {
    stream.write_all(bytes).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("the end");
    answer
}

#[tokio::test]
async fn any_stream_is_served_not_only_tcp() {
    let acceptor = Acceptor::new(peer_address(), config(Duration::from_secs(1)));
    let (mut client, server) = tokio::io::duplex(1024);
    acceptor.accept(server, ([192, 0, 2, 7], 40_000).into(), &Transport::default());
    let answer = exchange(&mut client, LAST_REQUEST).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("192.0.2.7"), "{answer}");
    assert!(acceptor.drain().await);
}

#[tokio::test]
async fn a_request_accepted_before_the_stop_is_answered() {
    let (router, beginning, finish) = slow();
    let server = start(router, config(Duration::from_secs(20))).await;
    let mut idle = TcpStream::connect(server.address).await.expect("connected");
    let mut busy = TcpStream::connect(server.address).await.expect("connected");
    busy.write_all(REQUEST).await.expect("sent");
    beginning.await.expect("in progress");

    server.stop.send(true).expect("serving");
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.expect("an idle connection is closed after a moment");
    assert!(!server.served.is_finished());
    finish.send(()).expect("in progress");

    let mut answer = String::new();
    busy.read_to_string(&mut answer).await.expect("answered, then closed");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("answered"), "{answer}");
    assert!(server.served.await.expect("no panic"));
    TcpStream::connect(server.address).await.expect_err("no longer listening");
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_delay_the_stop() {
    let (router, beginning, _finish) = slow();
    let server = start(router, config(Duration::from_millis(50))).await;
    let mut busy = TcpStream::connect(server.address).await.expect("connected");
    busy.write_all(REQUEST).await.expect("sent");
    beginning.await.expect("in progress");
    server.stop.send(true).expect("serving");
    assert!(!server.served.await.expect("no panic"));
}

#[tokio::test]
async fn a_connection_over_the_limit_gets_503() {
    let limits = ConnectionLimits { total: 100, per_address: 2, on_loopback: true, proxies: &[] };
    let config = ListenerConfig { limits, ..config(Duration::from_secs(1)) };
    let server = start(peer_address(), config).await;
    let connect = async || TcpStream::connect(server.address).await.expect("connected");
    let (mut first, _second) = (connect().await, connect().await);
    let rejected = exchange(&mut connect().await, REQUEST).await;
    assert!(rejected.starts_with("HTTP/1.1 503") && rejected.ends_with("json"), "{rejected}");
    let navigation = b"GET / HTTP/1.1\r\nHost: x\r\nSec-Fetch-Mode: navigate\r\n\r\n";
    assert!(exchange(&mut connect().await, navigation).await.ends_with("page"));

    assert!(exchange(&mut first, LAST_REQUEST).await.starts_with("HTTP/1.1 200"));
    drop(first);
    let accepted_again =
        async { while !exchange(&mut connect().await, LAST_REQUEST).await.starts_with("HTTP/1.1 200") {} };
    tokio::time::timeout(Duration::from_secs(10), accepted_again).await.expect("accepted again");
}

#[tokio::test]
async fn an_idle_connection_and_a_slow_head_are_closed() {
    let short = Duration::from_millis(50);
    let server = start(Router::new(), ListenerConfig { idle_timeout: short, ..config(short) }).await;
    let mut idle = TcpStream::connect(server.address).await.expect("connected");
    assert_eq!(exchange(&mut idle, b"").await, "");

    let server = start(Router::new(), ListenerConfig { header_timeout: short, ..config(short) }).await;
    let mut slow = TcpStream::connect(server.address).await.expect("connected");
    assert!(exchange(&mut slow, b"GET / HTTP").await.starts_with("HTTP/1.1 408"));
}

#[tokio::test]
async fn what_the_parser_refuses_is_a_page_for_a_navigation() {
    let server = start(Router::new(), config(Duration::from_secs(1))).await;
    let long = "x".repeat(70_000);
    for (mode, kind) in [("navigate", "page"), ("cors", "json")] {
        let mut stream = TcpStream::connect(server.address).await.expect("connected");
        let request = format!("GET /{long} HTTP/1.1\r\nHost: x\r\nSec-Fetch-Mode: {mode}\r\n\r\n");
        let answer = exchange(&mut stream, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 414") && answer.ends_with(kind), "{answer}");
    }
}
