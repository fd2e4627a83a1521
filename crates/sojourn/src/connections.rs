//! Accepts connections, and lets go of them without losing an answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tower::ServiceExt as _;

/// How long a connection may be silent, or take to send its request head.
///
/// A tab refreshes its token every 43 s; a shorter keep-alive would cost it a new connection
/// each time.
const SILENCE: Duration = Duration::from_secs(75);

/// Largest request head. The address alone may take 16 KiB, since handshakes carry a token.
const HEAD_BYTES: usize = 64 * 1024;

/// Answers requests until `stop` turns true, then finishes the accepted ones.
///
/// Returns whether all of them were answered within `drain`.
pub async fn serve(
    listeners: Vec<TcpListener>,
    router: Router,
    stop: watch::Receiver<bool>,
    drain: Duration,
) -> bool {
    let graceful = Arc::new(GracefulShutdown::new());
    let accepting = listeners
        .into_iter()
        .map(|listener| tokio::spawn(accept(listener, router.clone(), graceful.clone(), stop.clone())));
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
    graceful: Arc<GracefulShutdown>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((stream, peer)) => connection(stream, peer, router.clone(), &graceful),
            Err(error) => {
                // Out of file descriptors: wait for some to come back instead of spinning.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn connection(stream: TcpStream, peer: SocketAddr, router: Router, graceful: &GracefulShutdown) {
    let _ = stream.set_nodelay(true);
    let service = router.map_request(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SILENCE)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let watched = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = watched.await {
            tracing::debug!(%peer, %error, "connection ended early");
        }
    });
}
