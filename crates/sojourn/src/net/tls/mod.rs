//! TLS: what is offered in a handshake, and the certificate that is in use.

mod certificate;
mod files;
mod resolver;

#[cfg(test)]
pub use certificate::tests;
pub use certificate::{Certificate, CertificateError};
pub use files::{CertificateFiles, Outcome};
pub use resolver::CertificateResolver;

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::version::{TLS12, TLS13};

/// Names of ALPN (RFC 7301).
pub const HTTP_2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";
/// Of connections that only look for the proof of an ACME order (RFC 8737).
pub const ACME_PROOF: &[u8] = b"acme-tls/1";

/// What is needed to accept handshakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MinimumVersion {
    Tls12,
    Tls13,
}

/// TLS 1.3 and, unless it is excluded, 1.2, with the cipher suites that rustls has: all of them
/// with forward secrecy and authenticated encryption.
///
/// # Errors
/// The provider of cryptography does not support the versions.
pub fn server_config(
    resolver: Arc<CertificateResolver>,
    minimum: MinimumVersion,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let versions: &[_] = match minimum {
        MinimumVersion::Tls12 => &[&TLS13, &TLS12],
        MinimumVersion::Tls13 => &[&TLS13],
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    // Last: a client that speaks HTTP gets it. Nobody else offers the proof's protocol.
    config.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_1_1.to_vec(), ACME_PROOF.to_vec()];
    // Resumption without a table of sessions; the keys of the tickets rotate and stay in memory.
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    Ok(Arc::new(config))
}
