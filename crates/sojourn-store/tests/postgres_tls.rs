//! TLS to a real server: when it is used, and which certificates are accepted.

#[path = "support/postgres.rs"]
mod postgres;

use std::path::PathBuf;

use postgres::{Identity, Server, connect};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use sojourn_store::{Engine as _, Store, StoreError};
use tempfile::TempDir;

/// A certificate authority of the test, with its file.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Self { issuer, folder };
        std::fs::write(authority.file(), authority.issuer.pem()).expect("written");
        authority
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn certify(&self, names: &[&str]) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(names).expect("names");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

/// Opens a store and returns the encryption of its connections.
async fn encryption(server: &Server, url: &str) -> Vec<Option<String>> {
    let store = Store::postgres(url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    store.instances().await.expect("a load");
    let select = "SELECT version FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'sojourn'";
    let rows = connect(&server.url()).await.query(select, &[]).await.expect("rows");
    store.close().await.expect("closed");
    rows.iter().map(|row| row.get(0)).collect()
}

async fn refused(url: &str) -> String {
    let error = Store::postgres(url).await.map(drop).expect_err(url);
    assert!(matches!(error, StoreError::Unusable { .. } | StoreError::Unavailable(_)), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn a_server_certificate_is_checked_with_name_and_issuer() {
    let (ours, foreign) = (Authority::new(), Authority::new());
    let server = Server::on_the_network(Some(&ours.certify(&["localhost", "db.internal"])));
    let encrypted = [Some("TLSv1.3".to_owned())];
    let root = format!("sslrootcert={}", ours.file().display());

    let local = server.url_of("localhost");
    for mode in ["require", "verify-full"] {
        let url = format!("{local}?sslmode={mode}&{root}");
        assert_eq!(encryption(&server, &url).await, encrypted);
    }
    // This machine needs no TLS.
    assert_eq!(encryption(&server, &local).await, [None]);

    // Another machine by name, without an option.
    let other = format!("{}?hostaddr=127.0.0.1", server.url_of("db.internal"));
    assert_eq!(encryption(&server, &format!("{other}&{root}")).await, encrypted);
    assert_eq!(encryption(&server, &format!("{other}&sslmode=disable")).await, [None]);

    // Neither the system nor another file contains our authority.
    assert!(refused(&format!("{local}?sslmode=require")).await.contains("sslrootcert"));
    let foreign = format!("sslrootcert={}", foreign.file().display());
    assert!(refused(&format!("{local}?sslmode=require&{foreign}")).await.contains("sslrootcert"));
    // A valid certificate for another host.
    let wrong = format!("{}?hostaddr=127.0.0.1&{root}", server.url_of("db.example.com"));
    assert!(refused(&wrong).await.contains("certificate"));
    let missing = refused(&format!("{local}?sslmode=require&sslrootcert=/nowhere/ca.pem")).await;
    assert!(missing.contains("/nowhere/ca.pem"), "{missing}");
}

#[tokio::test]
async fn a_server_without_tls_is_refused_if_tls_is_required() {
    let server = Server::on_the_network(None);
    let root = Authority::new();
    let root = format!("sslrootcert={}", root.file().display());
    let local = format!("{}?sslmode=require&{root}", server.url_of("localhost"));
    let other = format!("{}?hostaddr=127.0.0.1&{root}", server.url_of("db.internal"));
    for url in [local, other] {
        assert!(refused(&url).await.contains("TLS"), "{url}");
    }
    assert_eq!(encryption(&server, &server.url_of("127.0.0.1")).await, [None]);
}
