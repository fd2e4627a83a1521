//! The life of one connection: its permit, what comes before HTTP, and its requests.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::config::ListenerConfig;
use super::connection_limit::{ConnectionLimiter, ConnectionPermit};
use super::header_timeout::{HeaderTimeoutStream, RequestProgress};
use super::proxy_protocol::{self, ProxyHeaderError, ProxyNetworks};
use super::{LINGER, http2, parser_error, tls};

/// Largest request head and most headers that hyper parses. Both lie far above the limits of
/// sojourn-server, so that a request that is a little too large gets that crate's full answer.
const MAX_HEAD_BYTES: usize = 128 * 1024;
const MAX_HEADERS: usize = 256;

/// How many connections over the limit get an answer at the same time. The others are closed
/// without one, because each answer holds a connection as well.
const MAX_REJECTIONS: usize = 64;

/// For what comes before HTTP. Larger reads go past this buffer.
const BUFFER_BYTES: usize = 512;

/// The first byte of every TLS connection: a record of type handshake (RFC 8446, 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

const PLAIN_HTTP_ON_TLS: &str = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n\
     cache-control: no-store\r\nconnection: close\r\ncontent-length: 74\r\n\r\n\
     This port speaks TLS, and the request was plain http. Use https:// for it.";

/// What a client speaks on a listener before HTTP.
#[derive(Debug, Clone, Default)]
pub struct Transport {
    /// The peers whose connections begin with a header of the PROXY protocol.
    pub proxies: ProxyNetworks,
    pub tls: Option<Arc<ServerConfig>>,
}

/// Serves accepted streams with one router, and counts them.
#[derive(Clone)]
pub struct Acceptor {
    router: Router,
    config: ListenerConfig,
    limiter: ConnectionLimiter,
    rejections: Arc<Semaphore>,
    /// Turns true when the connections shall end. Each of them holds a receiver.
    draining: watch::Sender<bool>,
}

/// Why a connection ended before its first request.
#[derive(Debug, thiserror::Error)]
enum NotServed {
    #[error(transparent)]
    ProxyHeader(#[from] ProxyHeaderError),
    #[error("too many connections")]
    OverLimit,
    #[error("no TLS handshake: {0}")]
    Handshake(io::Error),
    #[error("plain http where TLS is spoken")]
    PlainHttp,
    #[error("what comes before HTTP took too long")]
    TimedOut,
}

impl Acceptor {
    pub fn new(router: Router, config: ListenerConfig) -> Self {
        Self {
            router,
            config,
            limiter: ConnectionLimiter::new(config.limits),
            rejections: Arc::new(Semaphore::new(MAX_REJECTIONS)),
            draining: watch::Sender::new(false),
        }
    }

    /// Serves the stream in a task of its own, or rejects it where a limit is reached.
    pub fn accept<S>(&self, stream: S, peer: SocketAddr, transport: &Transport)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let is_proxy = transport.proxies.contains(peer);
        let permit = match is_proxy {
            true => self.limiter.try_acquire_for_proxy(),
            false => self.limiter.try_acquire(peer.ip()),
        };
        let stream = BufReader::with_capacity(BUFFER_BYTES, stream);
        match (permit, &transport.tls) {
            (Some(permit), tls) => {
                let connection = PendingConnection { acceptor: self.clone(), stream, peer, permit, is_proxy };
                tokio::spawn(connection.serve(tls.clone(), self.draining.subscribe()));
            }
            (None, None) => self.reject_over_limit(stream, peer),
            // An answer would need the handshake, the most expensive part of a connection.
            (None, Some(_)) => tracing::debug!(%peer, "too many connections"),
        }
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
                answer_and_close(&mut stream, &render(503, is_navigation)).await
            };
            let _ = tokio::time::timeout(LINGER, rejection).await;
        });
    }

    /// Waits for the accepted requests. Called when nothing is accepted any more.
    pub async fn drain(self) -> bool {
        self.draining.send_replace(true);
        tokio::time::timeout(self.config.drain_timeout, self.draining.closed()).await.is_ok()
    }

    async fn serve_http1<S>(&self, stream: S, client: SocketAddr, mut draining: watch::Receiver<bool>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let progress = Arc::new(RequestProgress::default());
        let (begins, ends) = (progress.clone(), progress.clone());
        let stops = draining.clone();
        let service = self
            .router
            .clone()
            .map_request(move |mut request: hyper::Request<Incoming>| {
                begins.begin();
                request.extensions_mut().insert(ConnectInfo(client));
                request
            })
            .map_future(move |answer| {
                let (ends, stops) = (ends.clone(), stops.clone());
                async move {
                    let mut answer = answer.await;
                    if let Ok(answer) = &mut answer {
                        if *stops.borrow() {
                            // The client sends its next request over another connection.
                            answer
                                .headers_mut()
                                .insert(header::CONNECTION, HeaderValue::from_static("close"));
                        } else if closes_connection(answer) {
                            ends.close();
                        }
                    }
                    ends.finish();
                    answer
                }
            });
        let stream = HeaderTimeoutStream::new(
            stream,
            progress.clone(),
            self.config.header_timeout,
            self.config.render_rejection,
        );
        let mut connection = pin!(
            hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(self.config.idle_timeout)
                .max_buf_size(MAX_HEAD_BYTES)
                .max_headers(MAX_HEADERS)
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        );
        let served = async {
            tokio::select! {
                ended = connection.as_mut() => return ended,
                _ = draining.wait_for(|draining| *draining) => {}
            }
            // A request may be on its way: whoever sends one soon gets its answer and the word that
            // the connection ends with it. Closing at once would fail that request.
            tokio::select! {
                ended = connection.as_mut() => return ended,
                () = progress.idle_for(self.config.drain_quiet) => {}
            }
            connection.as_mut().graceful_shutdown();
            connection.await
        };
        log_end(client, served.await);
    }

    async fn serve_http2<S>(&self, stream: S, client: SocketAddr, mut draining: watch::Receiver<bool>)
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
                http2::as_http1(&mut request);
                request.extensions_mut().insert(ConnectInfo(client));
                request
            })
            .map_future(move |answer| {
                let ends = ends.clone();
                async move {
                    let mut answer = answer.await;
                    if let Ok(answer) = &mut answer {
                        // About the connection, of which HTTP/2 speaks in frames (RFC 9113, 8.2.2).
                        answer.headers_mut().remove(header::CONNECTION);
                    }
                    ends.finish();
                    answer
                }
            });
        let stream = http2::HeadTimeoutStream::new(stream, self.config.header_timeout);
        let mut connection =
            pin!(http2::builder().serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)));
        let served = async {
            tokio::select! {
                ended = connection.as_mut() => return ended,
                _ = draining.wait_for(|draining| *draining) => {}
                () = progress.idle_for(self.config.idle_timeout) => {}
            }
            // GOAWAY: requests that are already on their way are still answered.
            connection.as_mut().graceful_shutdown();
            // Answers that the client never reads must not keep the connection.
            tokio::time::timeout(http2::CLOSE_TIMEOUT, connection).await.unwrap_or(Ok(()))
        };
        log_end(client, served.await);
    }
}

/// A connection that has sent nothing yet.
struct PendingConnection<S> {
    acceptor: Acceptor,
    stream: BufReader<S>,
    peer: SocketAddr,
    permit: ConnectionPermit,
    is_proxy: bool,
}

impl<S> PendingConnection<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    async fn serve(self, tls: Option<Arc<ServerConfig>>, mut draining: watch::Receiver<bool>) {
        let (peer, is_proxy) = (self.peer, self.is_proxy);
        let stopped = draining.clone();
        let prepared = tokio::select! {
            prepared = self.prepare(tls) => prepared,
            // No request is accepted yet.
            _ = draining.wait_for(|draining| *draining) => return,
        };
        match prepared {
            Ok(connection) => connection.serve(stopped).await,
            Err(NotServed::ProxyHeader(error)) if is_proxy => {
                tracing::warn!(%peer, %error, "connection from a proxy without its header");
            }
            Err(error) => tracing::debug!(%peer, %error, "connection not served"),
        }
    }

    /// Reads the header of a proxy and shakes hands, each within its time.
    async fn prepare(mut self, tls: Option<Arc<ServerConfig>>) -> Result<ReadyConnection<S>, NotServed> {
        let Self { acceptor, mut stream, peer, .. } = self;
        let limit = acceptor.config.handshake_timeout;
        let in_time = |_| NotServed::TimedOut;
        let mut client = peer;
        if self.is_proxy {
            let header = proxy_protocol::read_client_address(&mut stream);
            let named = tokio::time::timeout(limit, header).await.map_err(in_time)??;
            client = named.unwrap_or(peer);
            if !self.permit.assign(client.ip()) {
                if tls.is_none() {
                    acceptor.reject_over_limit(stream, client);
                }
                return Err(NotServed::OverLimit);
            }
        }
        let stream = match tls {
            None => Stream::Plain(stream),
            Some(tls) => tokio::time::timeout(limit, handshake(stream, tls)).await.map_err(in_time)??,
        };
        Ok(ReadyConnection { acceptor, stream, client, _permit: self.permit })
    }
}

enum Stream<S> {
    Plain(BufReader<S>),
    Tls(Box<tokio_rustls::server::TlsStream<BufReader<S>>>),
}

struct ReadyConnection<S> {
    acceptor: Acceptor,
    stream: Stream<S>,
    client: SocketAddr,
    _permit: ConnectionPermit,
}

impl<S> ReadyConnection<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    async fn serve(self, draining: watch::Receiver<bool>) {
        let Self { acceptor, stream, client, _permit } = self;
        match stream {
            Stream::Plain(stream) => acceptor.serve_http1(stream, client, draining).await,
            Stream::Tls(stream) if stream.get_ref().1.alpn_protocol() == Some(tls::HTTP_2) => {
                acceptor.serve_http2(stream, client, draining).await;
            }
            // Who looks for the proof of an ACME order has seen it in the handshake.
            Stream::Tls(stream) if stream.get_ref().1.alpn_protocol() == Some(tls::ACME_PROOF) => {}
            Stream::Tls(stream) => acceptor.serve_http1(stream, client, draining).await,
        }
    }
}

async fn handshake<S>(mut stream: BufReader<S>, tls: Arc<ServerConfig>) -> Result<Stream<S>, NotServed>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let first = stream.fill_buf().await.map_err(NotServed::Handshake)?;
    if first.first().is_some_and(|byte| *byte != TLS_HANDSHAKE) {
        let answer = answer_and_close(&mut stream, PLAIN_HTTP_ON_TLS.as_bytes());
        let _ = tokio::time::timeout(LINGER, answer).await;
        return Err(NotServed::PlainHttp);
    }
    let stream = TlsAcceptor::from(tls).accept(stream).await.map_err(NotServed::Handshake)?;
    Ok(Stream::Tls(Box::new(stream)))
}

/// Reads on for a while after the answer: the kernel would answer the client's next bytes with a
/// reset, and the client would lose the answer.
async fn answer_and_close<S>(stream: &mut S, answer: &[u8]) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut discarded = vec![0; 4096];
    stream.write_all(answer).await?;
    stream.shutdown().await?;
    while stream.read(&mut discarded).await? > 0 {}
    Ok(())
}

fn closes_connection(answer: &Response) -> bool {
    answer.headers().get(header::CONNECTION).is_some_and(|value| value == "close")
}

fn log_end(client: SocketAddr, ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%client, %error, "connection ended early");
    }
}
