//! The protocols of systemd: sockets that it opened, and messages about the state of the process.

use std::net::TcpListener;
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::{Exit, Failure};

/// The name of a socket for TLS (`FileDescriptorName=` of its unit). All others are for plain http.
const TLS_NAME: &str = "tls";

/// The sockets that a service manager passes on (`sd_listen_fds(3)`).
#[derive(Debug, Default)]
pub struct PassedSockets {
    pub plain: Vec<TcpListener>,
    pub tls: Vec<TcpListener>,
}

impl PassedSockets {
    /// Takes the sockets over, once, while the process has one thread: they are told by variables
    /// of the environment, which are removed.
    ///
    /// # Errors
    /// One of them is no TCP socket.
    pub fn take() -> Result<Self, Failure> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut passed = ListenFd::from_env();
        let mut sockets = Self::default();
        for index in 0..passed.len() {
            let name = names.next().unwrap_or_default();
            let socket = passed.take_tcp_listener(index).and_then(|socket| {
                socket
                    .inspect(|socket| _ = socket.set_nonblocking(true))
                    .ok_or_else(|| std::io::ErrorKind::NotFound.into())
            });
            let socket = socket.map_err(|error: std::io::Error| {
                Failure::new(
                    Exit::Usage,
                    "passed_socket_unusable",
                    format!("socket {index} of the service manager cannot be used"),
                )
                .because(error.to_string())
                .next("give ListenStream= an address with a port, such as 127.0.0.1:4000")
            })?;
            if name == TLS_NAME { sockets.tls.push(socket) } else { sockets.plain.push(socket) }
        }
        Ok(sockets)
    }
}

/// Whether a service manager waits for messages.
fn is_supervised() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// Tells that requests are answered from now on, and that the process is alive as often as it is
/// asked for (`WatchdogSec=`).
pub fn ready(base_url: &str) {
    let status = format!("Serving {base_url}");
    notify(&[NotifyState::Ready, NotifyState::Status(&status)]);
    if let Some(limit) = sd_notify::watchdog_enabled().filter(|_| is_supervised()) {
        tokio::spawn(keep_watchdog_quiet(limit / 2));
    }
}

/// Tells that the process ends.
pub fn stopping() {
    notify(&[NotifyState::Stopping, NotifyState::Status("Answering accepted requests")]);
}

/// Under a service manager, SIGHUP asks to read files again. Where there are none it must not end
/// the process, as it does by default.
pub fn ignore_hangup() {
    if !is_supervised() {
        return;
    }
    if let Ok(mut hangup) = signal(SignalKind::hangup()) {
        tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                tracing::info!("there are no files to read again");
            }
        });
    }
}

/// A runtime that has come to a halt sends nothing, and the service manager starts the process anew.
async fn keep_watchdog_quiet(interval: Duration) {
    loop {
        notify(&[NotifyState::Watchdog]);
        tokio::time::sleep(interval).await;
    }
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "cannot tell the service manager");
    }
}
