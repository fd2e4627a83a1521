//! TLS that the server speaks itself: certificate files, and their change while it runs.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::support::{Running, Stream, connect, eventually, free_port, send, sojourn, stderr};

/// Issues certificates for `localhost`, writes them where the server reads them, and trusts them.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
    port: u16,
}

impl Authority {
    pub fn new(folder: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"));
        let authority =
            Self { issuer: issuer.expect("signed"), folder: folder.to_owned(), port: free_port() };
        authority.issue();
        authority
    }

    /// Puts a new certificate in the place of the old one.
    fn issue(&self) -> Vec<u8> {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        self.write("tls.key", &key.serialize_pem());
        self.write("tls.crt", &format!("{}{}", certificate.pem(), self.issuer.pem()));
        certificate.der().to_vec()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.join("new"), text).expect("written");
        fs::rename(self.folder.join("new"), self.folder.join(name)).expect("renamed");
    }

    /// What a client has to trust, in PEM form.
    pub fn root(&self) -> String {
        self.issuer.pem()
    }

    /// The configuration of a server that uses the certificate.
    pub fn variables(&self) -> [(&'static str, String); 3] {
        [
            ("SOJOURN_TLS__CERTIFICATE_FILE", "tls.crt".to_owned()),
            ("SOJOURN_TLS__KEY_FILE", "tls.key".to_owned()),
            ("SOJOURN_TLS__LISTEN", format!("127.0.0.1:{}", self.port)),
        ]
    }

    pub fn connect(&self) -> StreamOwned<ClientConnection, TcpStream> {
        self.connect_to(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)))
    }

    pub fn connect_to(&self, address: SocketAddr) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a name");
        let client = ClientConnection::new(Arc::new(client), name).expect("a client");
        StreamOwned::new(client, connect(&address.to_string()))
    }

    /// The certificate that a new connection is shown.
    fn shown(&self) -> Vec<u8> {
        let mut stream = self.connect();
        health(&mut stream);
        stream.conn.peer_certificates().expect("certificates")[0].to_vec()
    }
}

/// A request that leaves the connection open.
pub fn health(stream: &mut dyn Stream) {
    stream.write_all(b"GET /v1/health HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("sent");
    let mut answer = [0; 15];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
}

fn serve(folder: &Path, authority: &Authority) -> Running {
    let mut command = sojourn(folder);
    command.args(["serve", "--port", "0", "--log-format", "json"]).envs(authority.variables());
    Running::start(&mut command)
}

#[test]
fn a_renewed_certificate_is_used_after_a_hangup() {
    let home = tempfile::tempdir().expect("temporary folder");
    let authority = Authority::new(home.path());
    let server = serve(home.path(), &authority);
    let first = authority.shown();
    let mut kept = authority.connect();
    health(&mut kept);

    let second = authority.issue();
    assert_eq!(authority.shown(), first, "not read yet");
    send("-HUP", server.child.id());
    eventually("the new certificate is shown", || authority.shown() == second);

    authority.write("tls.crt", "no certificate");
    send("-HUP", server.child.id());
    let mut rest = Vec::new();
    kept.write_all(b"GET /v1/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").expect("sent");
    kept.read_to_end(&mut rest).expect("the kept connection lives");
    let third = {
        assert_eq!(authority.shown(), second, "a broken certificate changes nothing");
        authority.issue()
    };
    send("-HUP", server.child.id());
    eventually("the mended certificate is shown", || authority.shown() == third);
    server.signal("-TERM");
    let (code, _, prose) = server.wait();
    assert_eq!(code, Some(0));
    assert!(prose.contains("the new certificate cannot be used; the old one stays in use"), "{prose}");
    assert!(prose.contains("others can read the private key"), "{prose}");
}

#[test]
fn plain_http_stays_possible_beside_tls() {
    let home = tempfile::tempdir().expect("temporary folder");
    let authority = Authority::new(home.path());
    let server = serve(home.path(), &authority);
    health(&mut authority.connect());
    let mut plain = connect(&server.text("base_url").replace("http://", ""));
    plain.write_all(b"GET /v1/health HTTP/1.0\r\nhost: localhost\r\n\r\n").expect("sent");
    let mut answer = String::new();
    plain.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.0 200 OK"), "{answer}");
}

#[test]
fn a_certificate_that_cannot_be_used_refuses_the_start() {
    let home = tempfile::tempdir().expect("temporary folder");
    let authority = Authority::new(home.path());
    let refused = |changes: &[(&str, &str)]| {
        let mut command = sojourn(home.path());
        command.args(["serve", "--port", "0"]).envs(authority.variables()).envs(changes.iter().copied());
        let refused = command.output().expect("ran");
        assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
        stderr(&refused)
    };
    // An empty variable counts as unset.
    let told = refused(&[("SOJOURN_TLS__KEY_FILE", "")]);
    assert!(told.contains("tls.key_file is not"), "{told}");
    let told = refused(&[("SOJOURN_TLS__KEY_FILE", "tls.crt")]);
    assert!(told.contains("there is no private key") && told.contains("tls.key_file from"), "{told}");
    let told = refused(&[("SOJOURN_TLS__LISTEN", "0.0.0.0:4443")]);
    assert!(told.contains("leaves this machine"), "{told}");
    let told = refused(&[("SOJOURN_TLS__LISTEN", "localhost")]);
    assert!(told.contains("no IP address with a port"), "{told}");
    let told = refused(&[("SOJOURN_TLS__CERTIFICATE_FILE", ""), ("SOJOURN_TLS__KEY_FILE", "")]);
    assert!(told.contains("tls.listen is given"), "{told}");
}
