//! Puts the certificate of the configuration into use and keeps it up to date.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use sojourn_core::time::Timestamp;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::acme::Acme;
use crate::clock::SystemClock;
use crate::config::{self, CertificateSource, TlsConfig};
use crate::failure::{Exit, Failure};
use crate::net;
use crate::net::tls::{self, CertificateFiles, CertificateResolver, Outcome};
use crate::systemd;

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

/// Puts a certificate for `host` into use and keeps it up to date from then on. `data`: the data folder.
///
/// # Errors
/// The certificate files cannot be used; the cache of ACME cannot be made.
pub fn start(config: &TlsConfig, host: &str, data: &Path) -> Result<Arc<ServerConfig>, Failure> {
    let resolver = Arc::new(CertificateResolver::default());
    match &config.certificate {
        CertificateSource::Files(files) => follow_files(files, host, &resolver)?,
        CertificateSource::Acme(acme) => {
            let acme = Acme::new(acme.clone(), host.to_owned(), data, resolver.clone()).map_err(|error| {
                Failure::new(Exit::Other, "acme_cache_unusable", "cannot keep certificates of ACME")
                    .because(error.to_string())
                    .next("give tls.acme.cache_dir a folder that the server can write")
            })?;
            acme.load();
            tokio::spawn(acme.keep(now));
            systemd::ignore_hangup();
        }
    }
    tls::server_config(resolver, config.minimum_version).map_err(|error| {
        Failure::new(Exit::Other, "tls_unavailable", "cannot serve TLS").because(error.to_string())
    })
}

fn follow_files(
    certificate: &config::CertificateFiles,
    host: &str,
    resolver: &Arc<CertificateResolver>,
) -> Result<(), Failure> {
    let mut files =
        CertificateFiles::new(certificate.certificate.value.clone(), certificate.key.value.clone());
    if let Outcome::Refused(error) = files.load(resolver) {
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
    files.warn_of_expiry(resolver, now());
    let hangup = signal(SignalKind::hangup()).map_err(|error| {
        Failure::new(Exit::Other, "signals_unavailable", "cannot listen for signals")
            .because(error.to_string())
    })?;
    tokio::spawn(files.follow(resolver.clone(), hangup, now));
    Ok(())
}

fn now() -> Timestamp {
    Timestamp::from_millis(SystemClock.now_ms())
}
