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
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tower::ServiceExt as _;

use crate::impatient::{Impatient, Progress, Refuse};

/// How long a connection may be silent.
///
/// A tab refreshes its token every 43 s; a shorter keep-alive would cost it a new connection
/// each time.
const SILENCE: Duration = Duration::from_secs(75);

/// How long a request may take from its first byte to the end of its head (INP-02).
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// Largest request head that is parsed, and most headers in it. Both lie far above what is
/// accepted (sojourn-server's layers), so that a request that is a little too large is refused
/// by those who know how.
const HEAD_BYTES: usize = 128 * 1024;
const HEADERS: usize = 256;

/// Answers requests until `stop` turns true, then finishes the accepted ones.
///
/// Returns whether all of them were answered within `drain`.
pub async fn serve(
    listeners: Vec<TcpListener>,
    router: Router,
    refuse: Refuse,
    stop: watch::Receiver<bool>,
    drain: Duration,
) -> bool {
    let graceful = Arc::new(GracefulShutdown::new());
    let accepting = listeners.into_iter().map(|listener| {
        tokio::spawn(accept(listener, router.clone(), refuse, graceful.clone(), stop.clone()))
    });
    for task in accepting.collect::<Vec<_>>() {
        // A panic in the accept loop is reported by the panic hook; the others go on.
        let _ = task.await;
    }
    // The accept loops have returned, and theirs were the other references.
    match Arc::into_inner(graceful) {
        Some(graceful) => tokio::time::timeout(drain, graceful.shutdown()).await.is_ok(),
        None => false,
    }
}

async fn accept(
    listener: TcpListener,
    router: Router,
    refuse: Refuse,
    graceful: Arc<GracefulShutdown>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((stream, peer)) => connection(stream, peer, router.clone(), refuse, &graceful),
            Err(error) => {
                // Out of file descriptors: wait for some to come back instead of spinning.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    refuse: Refuse,
    graceful: &GracefulShutdown,
) {
    let _ = stream.set_nodelay(true);
    let progress = Arc::new(Progress::default());
    let (begins, ends) = (progress.clone(), progress.clone());
    let service = router
        .map_request(move |mut request: hyper::Request<Incoming>| {
            begins.begin();
            request.extensions_mut().insert(ConnectInfo(peer));
            request
        })
        .map_future(move |answer| {
            let ends = ends.clone();
            async move {
                let answer = answer.await;
                let closes = |answer: &axum::response::Response| {
                    answer.headers().get(header::CONNECTION).is_some_and(|value| value == "close")
                };
                if answer.as_ref().is_ok_and(closes) {
                    ends.close();
                }
                ends.finish();
                answer
            }
        });
    let stream = Impatient::new(stream, progress, HEAD_WITHIN, refuse);
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SILENCE)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let watched = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = watched.await {
            tracing::debug!(%peer, %error, "connection ended early");
        }
    });
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::oneshot;

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

    struct Server {
        address: SocketAddr,
        stop: watch::Sender<bool>,
        served: tokio::task::JoinHandle<bool>,
    }

    async fn start(router: Router, drain: Duration) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("address");
        let (stop, stopped) = watch::channel(false);
        let served = tokio::spawn(serve(vec![listener], router, |_| Vec::new(), stopped, drain));
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
}
