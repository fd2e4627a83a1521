//! The accept loop and the life of one connection, for any stream of bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::header;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt as _;

use super::connection_limit::{ConnectionLimiter, ConnectionLimits, ConnectionPermit};
use super::header_timeout::{HeaderTimeoutStream, RequestProgress};
use super::{LINGER, RenderRejection, parser_error};

/// Largest request head and most headers that hyper parses. Both lie far above the limits of
/// sojourn-server, so that a request that is a little too large gets that crate's full answer.
const MAX_HEAD_BYTES: usize = 128 * 1024;
const MAX_HEADERS: usize = 256;

/// How many connections over the limit get an answer at the same time. The others are closed
/// without one, because each answer holds a connection as well.
const MAX_REJECTIONS: usize = 64;

/// What holds for every connection of a listener.
#[derive(Debug, Clone, Copy)]
pub struct ListenerConfig {
    pub limits: ConnectionLimits,
    /// Longest silence between requests. A tab refreshes its token every 43 s: a shorter
    /// keep-alive would cost it a new connection each time.
    pub idle_timeout: Duration,
    /// From the first byte of a request to the end of its head (INP-02).
    pub header_timeout: Duration,
    /// How long accepted requests may take after the stop signal.
    pub drain_timeout: Duration,
    pub render_rejection: RenderRejection,
}

impl ListenerConfig {
    pub const fn new(
        limits: ConnectionLimits,
        render_rejection: RenderRejection,
        drain_timeout: Duration,
    ) -> Self {
        Self {
            limits,
            idle_timeout: Duration::from_secs(75),
            header_timeout: Duration::from_secs(10),
            drain_timeout,
            render_rejection,
        }
    }
}

/// Answers requests until `stop` turns true, then finishes the accepted ones.
///
/// Returns whether all of them were answered in time.
pub async fn serve(
    listeners: Vec<TcpListener>,
    router: Router,
    config: ListenerConfig,
    stop: watch::Receiver<bool>,
) -> bool {
    let acceptor = Acceptor::new(router, config);
    let accepting = listeners
        .into_iter()
        .map(|listener| tokio::spawn(accept_until_stopped(listener, acceptor.clone(), stop.clone())));
    for task in accepting.collect::<Vec<_>>() {
        // The panic hook reports a panic of one accept loop; the other loops go on.
        let _ = task.await;
    }
    acceptor.drain().await
}

async fn accept_until_stopped(listener: TcpListener, acceptor: Acceptor, mut stop: watch::Receiver<bool>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let _ = stream.set_nodelay(true);
                acceptor.accept(stream, peer);
            }
            Err(error) => {
                // Out of file descriptors: wait until some are free instead of spinning.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Serves accepted streams with one router, and counts them.
#[derive(Clone)]
struct Acceptor {
    router: Router,
    config: ListenerConfig,
    limiter: ConnectionLimiter,
    rejections: Arc<Semaphore>,
    graceful: Arc<GracefulShutdown>,
}

impl Acceptor {
    fn new(router: Router, config: ListenerConfig) -> Self {
        Self {
            router,
            config,
            limiter: ConnectionLimiter::new(config.limits),
            rejections: Arc::new(Semaphore::new(MAX_REJECTIONS)),
            graceful: Arc::new(GracefulShutdown::new()),
        }
    }

    /// Serves the stream in a task of its own, or rejects it where a limit is reached.
    fn accept<S>(&self, stream: S, peer: SocketAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        match self.limiter.try_acquire(peer.ip()) {
            Some(permit) => self.serve_connection(stream, peer, permit),
            None => self.reject_over_limit(stream, peer),
        }
    }

    fn serve_connection<S>(&self, stream: S, peer: SocketAddr, permit: ConnectionPermit)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let progress = Arc::new(RequestProgress::default());
        let (begins, ends) = (progress.clone(), progress.clone());
        let service = self
            .router
            .clone()
            .map_request(move |mut request: hyper::Request<Incoming>| {
                begins.begin();
                request.extensions_mut().insert(ConnectInfo(peer));
                request
            })
            .map_future(move |answer| {
                let ends = ends.clone();
                async move {
                    let answer = answer.await;
                    if answer.as_ref().is_ok_and(closes_connection) {
                        ends.close();
                    }
                    ends.finish();
                    answer
                }
            });
        let stream = HeaderTimeoutStream::new(
            stream,
            progress,
            self.config.header_timeout,
            self.config.render_rejection,
        );
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.config.idle_timeout)
            .max_buf_size(MAX_HEAD_BYTES)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let watched = self.graceful.watch(connection);
        tokio::spawn(async move {
            let _permit = permit;
            if let Err(error) = watched.await {
                tracing::debug!(%peer, %error, "connection ended early");
            }
        });
    }

    /// Answers 503, unless too many such answers are under way.
    fn reject_over_limit<S>(&self, mut stream: S, peer: SocketAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        tracing::debug!(%peer, "too many connections");
        let Ok(permit) = self.rejections.clone().try_acquire_owned() else { return };
        let render = self.config.render_rejection;
        tokio::spawn(async move {
            let _permit = permit;
            let mut buffer = vec![0; 4096];
            let rejection = async {
                // Clients take an answer that comes before their request for a protocol error.
                let length = stream.read(&mut buffer).await?;
                let is_navigation = parser_error::is_navigation(&buffer[..length]);
                stream.write_all(&render(503, is_navigation)).await?;
                stream.shutdown().await?;
                while stream.read(&mut buffer).await? > 0 {}
                std::io::Result::Ok(())
            };
            let _ = tokio::time::timeout(LINGER, rejection).await;
        });
    }

    /// Waits for the accepted requests. Called when nothing is accepted any more.
    async fn drain(self) -> bool {
        // The accept loops have returned, and with them the other references.
        match Arc::into_inner(self.graceful) {
            Some(graceful) => {
                tokio::time::timeout(self.config.drain_timeout, graceful.shutdown()).await.is_ok()
            }
            None => false,
        }
    }
}

fn closes_connection(answer: &axum::response::Response) -> bool {
    answer.headers().get(header::CONNECTION).is_some_and(|value| value == "close")
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
    const LAST_REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    const LIMITS: ConnectionLimits = ConnectionLimits { total: 100, per_address: 10, on_loopback: false };

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
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("address");
        let (stop, stopped) = watch::channel(false);
        let served = tokio::spawn(serve(vec![listener], router, config, stopped));
        Server { address, stop, served }
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
        acceptor.accept(server, ([192, 0, 2, 7], 40_000).into());
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
        idle.read_to_end(&mut rest).await.expect("an idle connection is closed at once");
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
        let limits = ConnectionLimits { total: 100, per_address: 2, on_loopback: true };
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
        let accepted_again = async {
            while !exchange(&mut connect().await, LAST_REQUEST).await.starts_with("HTTP/1.1 200") {}
        };
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
}
