//! The certificate of the next handshake. Connections keep the one that they began with.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::Certificate;

#[derive(Debug, Default)]
pub struct CertificateResolver {
    current: RwLock<Option<Arc<Certificate>>>,
}

impl CertificateResolver {
    pub fn replace(&self, certificate: Arc<Certificate>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(certificate);
    }

    pub fn current(&self) -> Option<Arc<Certificate>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for CertificateResolver {
    /// One certificate for all names: a client that asks for another name gets to see what it
    /// reached, and refuses it by itself.
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current().map(|certificate| certificate.key.clone())
    }
}
