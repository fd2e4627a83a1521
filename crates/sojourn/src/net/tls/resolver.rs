//! The certificate of the next handshake. Connections keep the one that they began with.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::{ACME_PROOF, Certificate};

#[derive(Debug, Default)]
pub struct CertificateResolver {
    current: RwLock<Option<Arc<Certificate>>>,
    /// The host that is being proved to an ACME server, and the proof.
    challenge: RwLock<Option<(String, Arc<CertifiedKey>)>>,
}

impl CertificateResolver {
    pub fn replace(&self, certificate: Arc<Certificate>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(certificate);
    }

    pub fn current(&self) -> Option<Arc<Certificate>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_challenge(&self, host: &str, proof: Arc<CertifiedKey>) {
        *self.challenge.write().unwrap_or_else(PoisonError::into_inner) = Some((host.to_owned(), proof));
    }

    pub fn clear_challenge(&self) {
        *self.challenge.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn proof_for(&self, host: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let challenge = self.challenge.read().unwrap_or_else(PoisonError::into_inner);
        challenge.as_ref().filter(|(proved, _)| host == Some(proved)).map(|(_, proof)| proof.clone())
    }
}

impl ResolvesServerCert for CertificateResolver {
    /// One certificate for all names: a client that asks for another name gets to see what it
    /// reached, and refuses it by itself.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // Exactly this protocol and no other (RFC 8737, 3).
        if hello.alpn().is_some_and(|offered| offered.eq([ACME_PROOF])) {
            return self.proof_for(hello.server_name());
        }
        self.current().map(|certificate| certificate.key.clone())
    }
}
