//! Puts the certificate of the configuration into use and keeps it up to date.

use std::sync::Arc;

use rustls::ServerConfig;
use sojourn_core::time::Timestamp;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::clock::SystemClock;
use crate::config::TlsConfig;
use crate::failure::{Exit, Failure};
use crate::net;
use crate::net::tls::{self, CertificateFiles, CertificateResolver, Outcome};

/// The sockets for TLS: on all addresses of this machine, unless the configuration says otherwise.
///
/// # Errors
/// An address cannot be listened on.
pub async fn bind(config: &TlsConfig, only_loopback: bool) -> Result<Vec<TcpListener>, Failure> {
    let mut first_failure = None;
    for addresses in config.addresses(only_loopback) {
        match net::bind_each(&addresses).await {
            Ok(sockets) => {
                for address in sockets.iter().filter_map(|socket| socket.local_addr().ok()) {
                    tracing::info!(%address, "listening for TLS");
                }
                return Ok(sockets);
            }
            Err(failure) => _ = first_failure.get_or_insert(failure),
        }
    }
    Err(first_failure.unwrap_or_else(|| {
        Failure::new(Exit::Usage, "listen_unusable", "tls.listen holds no address").next("give [::]:443")
    }))
}

/// Reads the certificate and follows its files from then on. `host`: what browsers will ask for.
///
/// # Errors
/// The certificate cannot be used.
pub fn start(config: &TlsConfig, host: &str) -> Result<Arc<ServerConfig>, Failure> {
    let resolver = Arc::new(CertificateResolver::default());
    let certificate = &config.certificate;
    let mut files =
        CertificateFiles::new(certificate.certificate.value.clone(), certificate.key.value.clone());
    if let Outcome::Refused(error) = files.load(&resolver) {
        return Err(Failure::new(
            Exit::Usage,
            "certificate_unusable",
            "TLS cannot be served with this certificate",
        )
        .because(error.to_string())
        .next(format!(
            "correct tls.certificate_file from {} and tls.key_file from {}",
            certificate.certificate.origin.in_words(),
            certificate.key.origin.in_words()
        )));
    }
    if let Some(mode) = files.key_readable_by_others() {
        let key = certificate.key.value.display();
        tracing::warn!(%key, mode = format!("{mode:o}"), "others can read the private key: chmod 600");
    }
    if resolver.current().is_some_and(|certificate| !certificate.is_for(host)) {
        tracing::warn!(
            host,
            "the certificate is not for the host of the public URL: browsers will refuse it"
        );
    }
    files.warn_of_expiry(&resolver, now());
    let hangup = signal(SignalKind::hangup()).map_err(|error| {
        Failure::new(Exit::Other, "signals_unavailable", "cannot listen for signals")
            .because(error.to_string())
    })?;
    tokio::spawn(files.follow(resolver.clone(), hangup, now));
    tls::server_config(resolver, config.minimum_version).map_err(|error| {
        Failure::new(Exit::Other, "tls_unavailable", "cannot serve TLS").because(error.to_string())
    })
}

fn now() -> Timestamp {
    Timestamp::from_millis(SystemClock.now_ms())
}
