//! A certificate with its key, from PEM.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use sojourn_core::time::Timestamp;
use x509_cert::der::Decode as _;

/// What a handshake shows, and until when browsers accept it.
#[derive(Debug)]
pub struct Certificate {
    pub key: Arc<CertifiedKey>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    #[error("there is no certificate in PEM form (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    #[error("there is no private key in PEM form (-----BEGIN PRIVATE KEY-----): {0}")]
    NoKey(String),
    #[error("the key does not belong to the first certificate of the chain")]
    KeyOfAnother,
    #[error("the certificate cannot be used: {0}")]
    Unusable(String),
}

impl Certificate {
    /// Reads a chain, the server's certificate first, and the key of that one.
    ///
    /// # Errors
    /// One of them is missing or cannot be used, or they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|error| CertificateError::Unusable(error.to_string()))?;
        let first = chain.first().ok_or(CertificateError::NoCertificate)?;
        let validity = x509_cert::Certificate::from_der(first)
            .map_err(|error| CertificateError::Unusable(error.to_string()))?
            .tbs_certificate
            .validity;
        let key =
            PrivateKeyDer::from_pem_slice(key).map_err(|error| CertificateError::NoKey(error.to_string()))?;
        let key =
            CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(
                |error| match error {
                    rustls::Error::InconsistentKeys(_) => CertificateError::KeyOfAnother,
                    other => CertificateError::Unusable(other.to_string()),
                },
            )?;
        Ok(Self {
            key: Arc::new(key),
            not_before: timestamp(validity.not_before),
            not_after: timestamp(validity.not_after),
        })
    }

    /// Whether a client that opens `host` accepts the certificate.
    pub fn is_for(&self, host: &str) -> bool {
        let Ok(name) = ServerName::try_from(host) else { return false };
        let parsed = self.key.end_entity_cert().and_then(ParsedCertificate::try_from);
        parsed.is_ok_and(|parsed| rustls::client::verify_server_name(&parsed, &name).is_ok())
    }
}

fn timestamp(time: x509_cert::time::Time) -> Timestamp {
    let since = time.to_unix_duration().as_millis();
    Timestamp::from_millis(i64::try_from(since).unwrap_or(i64::MAX))
}

#[cfg(test)]
pub mod tests {
    use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};

    use super::*;

    /// A certificate for `localhost` and its key, in PEM form.
    pub fn issue(issuer: &CertifiedIssuer<'static, KeyPair>) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        params.not_after = rcgen::date_time_ymd(2100, 1, 1);
        let certificate = params.signed_by(&key, issuer).expect("signed");
        (format!("{}{}", certificate.pem(), issuer.pem()), key.serialize_pem())
    }

    pub fn issuer() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed")
    }

    #[test]
    fn a_chain_and_its_key_are_read_with_names_and_dates() {
        let (chain, key) = issue(&issuer());
        let certificate = Certificate::from_pem(chain.as_bytes(), key.as_bytes()).expect("usable");
        assert_eq!(certificate.key.cert.len(), 2);
        assert!(certificate.is_for("localhost") && !certificate.is_for("example.com"));
        assert_eq!(certificate.not_after, Timestamp::from_secs(4_102_444_800));
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        let issuer = issuer();
        let (chain, key) = issue(&issuer);
        let (_, other_key) = issue(&issuer);
        let read = |chain: &str, key: &str| {
            Certificate::from_pem(chain.as_bytes(), key.as_bytes()).expect_err("refused")
        };
        assert_eq!(read("", &key), CertificateError::NoCertificate);
        assert_eq!(read(&key, &key), CertificateError::NoCertificate);
        assert_eq!(read(&chain, &other_key), CertificateError::KeyOfAnother);
        assert!(matches!(read(&chain, ""), CertificateError::NoKey(_)));
        assert!(matches!(read(&chain, &chain), CertificateError::NoKey(_)));
        // A file that is still being written.
        assert!(matches!(
            read(&chain[..chain.len() / 4], &key),
            CertificateError::NoCertificate | CertificateError::Unusable(_)
        ));
        let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(read(nonsense, &key), CertificateError::Unusable(_)));
    }
}
