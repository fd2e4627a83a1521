//! Listening: sockets, what is spoken on them, and the accept loop.

use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::config::ListenerConfig;
use super::connection::{Acceptor, Transport};

/// An open socket, and what is spoken on it before HTTP.
#[derive(Debug)]
pub struct Listener {
    pub socket: TcpListener,
    pub transport: Transport,
}

/// Answers requests until `stop` turns true, then finishes the accepted ones.
///
/// Returns whether all of them were answered in time.
pub async fn serve(
    listeners: Vec<Listener>,
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

async fn accept_until_stopped(listener: Listener, acceptor: Acceptor, mut stop: watch::Receiver<bool>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.socket.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let _ = stream.set_nodelay(true);
                acceptor.accept(stream, peer, &listener.transport);
            }
            Err(error) => {
                // Out of file descriptors: wait until some are free instead of spinning.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
