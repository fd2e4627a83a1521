//! Accepts connections, and lets go of them without losing an answer.

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
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt as _;

use crate::census::{Caps, Census, Place};
use crate::impatient::{Impatient, LINGER, Progress, Refuse};

/// Largest request head that is parsed, and most headers in it. Both lie far above what is
/// accepted (sojourn-server's layers), so that a request that is a little too large is refused
/// by those who know how.
const HEAD_BYTES: usize = 128 * 1024;
const HEADERS: usize = 256;

/// How many of those for whom there is no place are told so at the same time; the rest is closed
/// without a word, because telling takes a connection as well.
const TOLD_AT_ONCE: usize = 64;

/// What holds for every connection.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// How many there may be.
    pub caps: Caps,
    /// How long one may be silent. A tab refreshes its token every 43 s; a shorter keep-alive
    /// would cost it a new connection each time.
    pub silence: Duration,
    /// How long a request may take from its first byte to the end of its head (INP-02).
    pub head_within: Duration,
    /// The answers to what is no request.
    pub refuse: Refuse,
    /// How long accepted requests may take at the end.
    pub drain: Duration,
}

impl Terms {
    pub const fn new(caps: Caps, refuse: Refuse, drain: Duration) -> Self {
        let (silence, head_within) = (Duration::from_secs(75), Duration::from_secs(10));
        Self { caps, silence, head_within, refuse, drain }
    }
}

/// Answers requests until `stop` turns true, then finishes the accepted ones.
///
/// Returns whether all of them were answered in time.
pub async fn serve(
    listeners: Vec<TcpListener>,
    router: Router,
    terms: Terms,
    stop: watch::Receiver<bool>,
) -> bool {
    let door = Door {
        router,
        terms,
        census: Census::new(terms.caps),
        told: Arc::new(Semaphore::new(TOLD_AT_ONCE)),
        graceful: Arc::new(GracefulShutdown::new()),
    };
    let accepting =
        listeners.into_iter().map(|listener| tokio::spawn(accept(listener, door.clone(), stop.clone())));
    for task in accepting.collect::<Vec<_>>() {
        // A panic in the accept loop is reported by the panic hook; the others go on.
        let _ = task.await;
    }
    // The accept loops have returned, and theirs were the other references.
    match Arc::into_inner(door.graceful) {
        Some(graceful) => tokio::time::timeout(terms.drain, graceful.shutdown()).await.is_ok(),
        None => false,
    }
}

/// Where connections come in.
#[derive(Clone)]
struct Door {
    router: Router,
    terms: Terms,
    census: Census,
    told: Arc<Semaphore>,
    graceful: Arc<GracefulShutdown>,
}

async fn accept(listener: TcpListener, door: Door, mut stop: watch::Receiver<bool>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((stream, peer)) => match door.census.admit(peer.ip()) {
                Some(place) => door.welcome(stream, peer, place),
                None => door.turn_away(stream, peer),
            },
            Err(error) => {
                // Out of file descriptors: wait for some to come back instead of spinning.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

impl Door {
    fn welcome(&self, stream: TcpStream, peer: SocketAddr, place: Place) {
        let _ = stream.set_nodelay(true);
        let progress = Arc::new(Progress::default());
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
                    if answer.as_ref().is_ok_and(is_the_last) {
                        ends.close();
                    }
                    ends.finish();
                    answer
                }
            });
        let stream = Impatient::new(stream, progress, self.terms.head_within, self.terms.refuse);
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.terms.silence)
            .max_buf_size(HEAD_BYTES)
            .max_headers(HEADERS)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let watched = self.graceful.watch(connection);
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = watched.await {
                tracing::debug!(%peer, %error, "connection ended early");
            }
        });
    }

    /// Tells somebody that there is no place, if that is not what keeps us busy.
    fn turn_away(&self, mut stream: TcpStream, peer: SocketAddr) {
        tracing::debug!(%peer, "too many connections");
        let Ok(permit) = self.told.clone().try_acquire_owned() else { return };
        let refusal = (self.terms.refuse)(503);
        tokio::spawn(async move {
            let _permit = permit;
            let mut waste = [0; 4096];
            let telling = async {
                // An answer before the question is taken for a fault.
                let _ = stream.read(&mut waste).await?;
                stream.write_all(&refusal).await?;
                stream.shutdown().await?;
                while stream.read(&mut waste).await? > 0 {}
                std::io::Result::Ok(())
            };
            let _ = tokio::time::timeout(LINGER, telling).await;
        });
    }
}

fn is_the_last(answer: &axum::response::Response) -> bool {
    answer.headers().get(header::CONNECTION).is_some_and(|value| value == "close")
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::sync::oneshot;

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

    struct Server {
        address: SocketAddr,
        stop: watch::Sender<bool>,
        served: tokio::task::JoinHandle<bool>,
    }

    const CAPS: Caps = Caps { total: 100, per_address: 10, on_loopback: false };

    fn refuse(status: u16) -> Vec<u8> {
        format!("HTTP/1.1 {status} Refused\r\n\r\n").into_bytes()
    }

    async fn start(router: Router, drain: Duration) -> Server {
        start_on(router, Terms::new(CAPS, refuse, drain)).await
    }

    async fn start_on(router: Router, terms: Terms) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("address");
        let (stop, stopped) = watch::channel(false);
        let served = tokio::spawn(serve(vec![listener], router, terms, stopped));
        Server { address, stop, served }
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

    #[tokio::test]
    async fn a_request_accepted_before_the_stop_is_answered() {
        let (router, beginning, finish) = slow();
        let server = start(router, Duration::from_secs(20)).await;
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
    async fn a_request_that_never_ends_does_not_hold_up_the_stop() {
        let (router, beginning, _finish) = slow();
        let server = start(router, Duration::from_millis(50)).await;
        let mut busy = TcpStream::connect(server.address).await.expect("connected");
        busy.write_all(REQUEST).await.expect("sent");
        beginning.await.expect("in progress");
        server.stop.send(true).expect("serving");
        assert!(!server.served.await.expect("no panic"));
    }

    #[tokio::test]
    async fn a_handler_learns_who_called() {
        let who = get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() });
        let server = start(Router::new().route("/", who), Duration::from_secs(1)).await;
        let mut stream = TcpStream::connect(server.address).await.expect("connected");
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        assert!(answer.ends_with("127.0.0.1"), "{answer}");
    }
    async fn told(stream: &mut TcpStream, bytes: &[u8]) -> String {
        stream.write_all(bytes).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("the end");
        answer
    }

    #[tokio::test]
    async fn inp_02_a_connection_too_many_is_told_so_and_the_others_go_on() {
        let caps = Caps { total: 100, per_address: 2, on_loopback: true };
        let terms = Terms::new(caps, refuse, Duration::from_secs(1));
        let server = start_on(Router::new().route("/", get(|| async { "answered" })), terms).await;
        let connect = async || TcpStream::connect(server.address).await.expect("connected");
        let (mut first, _second) = (connect().await, connect().await);
        assert!(told(&mut connect().await, REQUEST).await.starts_with("HTTP/1.1 503"));
        let last = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        assert!(told(&mut first, last).await.starts_with("HTTP/1.1 200"));
        drop(first);
        let place_again =
            async { while !told(&mut connect().await, last).await.starts_with("HTTP/1.1 200") {} };
        tokio::time::timeout(Duration::from_secs(10), place_again).await.expect("a place again");
    }

    #[tokio::test]
    async fn inp_02_a_silent_connection_or_slow_head_is_closed() {
        let short = Duration::from_millis(50);
        let terms = Terms { silence: short, ..Terms::new(CAPS, refuse, short) };
        let server = start_on(Router::new(), terms).await;
        let mut silent = TcpStream::connect(server.address).await.expect("connected");
        assert_eq!(told(&mut silent, b"").await, "");

        let terms = Terms { head_within: short, ..Terms::new(CAPS, refuse, short) };
        let server = start_on(Router::new(), terms).await;
        let mut slow = TcpStream::connect(server.address).await.expect("connected");
        assert!(told(&mut slow, b"GET / HTTP").await.starts_with("HTTP/1.1 408"));
    }
}
