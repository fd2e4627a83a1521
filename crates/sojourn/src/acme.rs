//! Certificates by ACME (RFC 8555): ordered, proved by TLS-ALPN-01 (RFC 8737) and renewed.

mod cache;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use sojourn_core::time::Timestamp;

use self::cache::Cache;
use crate::config::AcmeConfig;
use crate::net::tls::{Certificate, CertificateError, CertificateResolver};

/// For the server to look at the proof, and for it to issue the certificate.
const PATIENCE: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(120));

/// For a whole order, however slowly the server answers.
const ORDER_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// How often the time is compared with that of the next renewal: the clock of the machine may jump.
const CHECK_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// After how long an order is repeated that failed, and how much longer each time. Servers limit
/// failures: at Let's Encrypt five an hour.
const FIRST_RETRY: Duration = Duration::from_secs(60);
const RETRY_FACTOR: u32 = 4;
const LAST_RETRY: Duration = Duration::from_secs(6 * 60 * 60);

#[derive(Debug, thiserror::Error)]
enum AcmeError {
    #[error(transparent)]
    Protocol(#[from] instant_acme::Error),
    #[error("the server does not offer the challenge tls-alpn-01 for {0}")]
    ChallengeNotOffered(String),
    #[error(
        "the server ended the order as {0:?}; it could not reach this host on port 443 by TLS, or refuses the name"
    )]
    OrderFailed(OrderStatus),
    #[error("the order took longer than {} seconds", ORDER_TIMEOUT.as_secs())]
    TimedOut,
    #[error("cannot make a certificate request: {0}")]
    Request(#[from] rcgen::Error),
    #[error("the certificate from the server: {0}")]
    Certificate(#[from] CertificateError),
    #[error("cannot make the proof: {0}")]
    Proof(#[from] rustls::Error),
    #[error("cannot keep it in {}: {error}", folder.display())]
    Cache { folder: PathBuf, error: std::io::Error },
}

/// Keeps the certificate of one host up to date.
pub struct Acme {
    config: AcmeConfig,
    host: String,
    cache: Cache,
    resolver: Arc<CertificateResolver>,
}

impl Acme {
    /// `data`: the data folder, for the cache where the configuration names none.
    ///
    /// # Errors
    /// The folder of the cache cannot be made.
    pub fn new(
        config: AcmeConfig,
        host: String,
        data: &std::path::Path,
        resolver: Arc<CertificateResolver>,
    ) -> std::io::Result<Self> {
        let folder = config.cache_dir.clone().unwrap_or_else(|| data.join("acme"));
        let cache = Cache::open(&folder, &config.directory_url)?;
        Ok(Self { config, host, cache, resolver })
    }

    /// Puts the certificate of the cache into use, if there is one that holds.
    pub fn load(&self) {
        match self.cache.certificate(&self.host) {
            Ok(Some(pem)) => match Certificate::from_pem(&pem, &pem) {
                Ok(certificate) if certificate.is_for(&self.host) => {
                    self.resolver.replace(Arc::new(certificate));
                }
                Ok(_) => tracing::warn!(host = self.host, "the cached certificate is for another host"),
                Err(error) => tracing::warn!(%error, "the cached certificate cannot be used"),
            },
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the cached certificate cannot be read"),
        }
    }

    /// Orders a certificate whenever one is due, until the process ends.
    pub async fn keep(self, now: fn() -> Timestamp) {
        let mut retry = FIRST_RETRY;
        loop {
            let due = self.resolver.current().is_none_or(|certificate| now() >= renewal_at(&certificate));
            if !due {
                tokio::time::sleep(CHECK_INTERVAL).await;
                continue;
            }
            tracing::info!(host = self.host, directory = self.config.directory_url, "ordering a certificate");
            match self.renew().await {
                Ok(()) => {
                    tracing::info!(host = self.host, "certificate issued");
                    retry = FIRST_RETRY;
                }
                Err(error) => {
                    let again_in_seconds = retry.as_secs();
                    tracing::error!(host = self.host, %error, again_in_seconds, "no certificate by ACME");
                    tokio::time::sleep(retry).await;
                    retry = (retry * RETRY_FACTOR).min(LAST_RETRY);
                }
            }
        }
    }

    async fn renew(&self) -> Result<(), AcmeError> {
        let ordered = tokio::time::timeout(ORDER_TIMEOUT, self.order()).await;
        self.resolver.clear_challenge();
        let pem = ordered.map_err(|_| AcmeError::TimedOut)??;
        let certificate = Certificate::from_pem(pem.as_bytes(), pem.as_bytes())?;
        // Kept first: a certificate that the next start does not find is ordered again, and servers
        // count those.
        self.cache.keep_certificate(&self.host, pem.as_bytes()).map_err(|error| self.cache_error(error))?;
        self.resolver.replace(Arc::new(certificate));
        Ok(())
    }

    /// The private key and the chain, in PEM form.
    async fn order(&self) -> Result<String, AcmeError> {
        let account = self.account().await?;
        let identifiers = [Identifier::Dns(self.host.clone())];
        let mut order = account.new_order(&NewOrder::new(&identifiers)).await?;
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let mut challenge = authorization
                .challenge(ChallengeType::TlsAlpn01)
                .ok_or_else(|| AcmeError::ChallengeNotOffered(self.host.clone()))?;
            let proof = proof(&self.host, challenge.key_authorization().digest().as_ref())?;
            self.resolver.set_challenge(&self.host, proof);
            challenge.set_ready().await?;
        }
        match order.poll_ready(&PATIENCE).await? {
            OrderStatus::Ready => {}
            status => return Err(AcmeError::OrderFailed(status)),
        }
        let key = KeyPair::generate()?;
        let mut request = CertificateParams::new(vec![self.host.clone()])?;
        request.distinguished_name = DistinguishedName::new();
        order.finalize_csr(request.serialize_request(&key)?.der()).await?;
        let chain = order.poll_certificate(&PATIENCE).await?;
        Ok(format!("{}{chain}", key.serialize_pem()))
    }

    /// The account of the cache, or a new one.
    async fn account(&self) -> Result<Account, AcmeError> {
        let builder = match &self.config.ca_file {
            Some(file) => Account::builder_with_root(file)?,
            None => Account::builder()?,
        };
        if let Some(credentials) = self.cache.account().map_err(|error| self.cache_error(error))? {
            return Ok(builder.from_credentials(credentials).await?);
        }
        let contact: Vec<String> =
            self.config.contact.iter().map(|address| format!("mailto:{address}")).collect();
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        let new =
            NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let (account, credentials) = builder.create(&new, self.config.directory_url.clone(), None).await?;
        self.cache.keep_account(&credentials).map_err(|error| self.cache_error(error))?;
        Ok(account)
    }

    fn cache_error(&self, error: std::io::Error) -> AcmeError {
        AcmeError::Cache { folder: self.cache.folder().to_owned(), error }
    }
}

/// What the server gets to see when it asks for the proof (RFC 8737, 3).
fn proof(host: &str, digest: &[u8]) -> Result<Arc<CertifiedKey>, AcmeError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![host.to_owned()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    // `CertifiedKey::from_der` compares both, and refuses a certificate with this critical extension.
    let key = aws_lc_rs::sign::any_supported_type(&key)?;
    Ok(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], key)))
}

/// When a third of its life is left, as servers recommend.
fn renewal_at(certificate: &Certificate) -> Timestamp {
    let (from, until) = (certificate.not_before.as_millis(), certificate.not_after.as_millis());
    Timestamp::from_millis(until - until.saturating_sub(from) / 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_when_a_third_of_its_life_is_left() {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 4, 1);
        let pem = params.self_signed(&key).expect("signed").pem();
        let certificate =
            Certificate::from_pem(pem.as_bytes(), key.serialize_pem().as_bytes()).expect("usable");
        // 90 days, 60 of them gone: 2026-03-02.
        assert_eq!(renewal_at(&certificate), Timestamp::from_secs(1_772_409_600));
    }
}
