//! TLS to the server. The certificate is always verified completely, even for `sslmode=require`:
//! encryption without authentication does not stop an active attacker.

use std::{error::Error as StdError, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio_postgres::Error;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::url::Roots;

/// A TLS connector that trusts these certificate authorities.
pub(super) fn connector(roots: &Roots) -> Result<MakeRustlsConnect, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config
        .map_err(|error| error.to_string())?
        .with_root_certificates(trusted(roots)?)
        .with_no_client_auth();
    // Required by servers for sslnegotiation=direct; others ignore it.
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(MakeRustlsConnect::new(config))
}

fn trusted(roots: &Roots) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::System => {
            let found = rustls_native_certs::load_native_certs();
            store.add_parsable_certificates(found.certs);
            if store.is_empty() {
                let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
                return Err(format!(
                    "this system has no certificates to check the server's by{why}; install ca-certificates, or name a file: sslrootcert"
                ));
            }
        }
        Roots::In(path) => {
            let unreadable = |why: String| {
                format!("the certificates of sslrootcert, {}, cannot be read: {why}", path.display())
            };
            let found = CertificateDer::pem_file_iter(path).map_err(|error| unreadable(error.to_string()))?;
            for certificate in found {
                let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
                store.add(certificate).map_err(|error| unreadable(error.to_string()))?;
            }
            if store.is_empty() {
                return Err(unreadable("there is none in it".to_owned()));
            }
        }
    }
    Ok(store)
}

/// The certificate error that made a connection fail, if that was the reason.
pub(super) fn distrust(error: &Error) -> Option<String> {
    let mut cause = StdError::source(error);
    while let Some(inner) = cause {
        let inner = inner
            .downcast_ref::<std::io::Error>()
            .and_then(|error| error.get_ref())
            .map_or(inner, |inner| inner as &dyn StdError);
        if let Some(error @ rustls::Error::InvalidCertificate(_)) = inner.downcast_ref() {
            return Some(format!(
                "{error}; name the file of the authority that signed the server's certificate as sslrootcert, and the host as the certificate does"
            ));
        }
        cause = inner.source();
    }
    None
}
