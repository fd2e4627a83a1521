//! Certificates from a local ACME server. Ignored unless asked for, because Pebble is built with Go:
//! `make acme`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::support::{Running, connect, eventually, free_port, sojourn};
use crate::tls::Authority;

const HOST: &str = "clerk.sojourn.test";

/// Pebble and a DNS server by which every name is this machine. They end with the test.
struct AcmeServer {
    processes: [Child; 2],
    authority: Authority,
    directory: u16,
    management: u16,
}

impl AcmeServer {
    /// Proofs are looked for on `tls_port`.
    fn start(folder: &Path, tls_port: u16) -> Self {
        let tools = PathBuf::from(std::env::var("PEBBLE").expect("PEBBLE names its folder: make acme"));
        let [dns, http, directory, management, control] = [(); 5].map(|()| free_port());
        let authority = Authority::new(folder);
        let config = serde_json::json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{directory}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": folder.join("tls.crt"),
            "privateKey": folder.join("tls.key"),
            "httpPort": http,
            "tlsPort": tls_port,
            "ocspResponderURL": "",
            "retryAfter": {"authz": 1, "order": 1},
            "keyAlgorithm": "ecdsa",
            "profiles": {"default": {"description": "ninety days", "validityPeriod": 7_776_000}},
        }});
        let file = folder.join("pebble.json");
        fs::write(&file, config.to_string()).expect("written");
        let off = ["-doh", "-http01", "-https01", "-tlsalpn01"].map(|flag| format!("{flag}="));
        let mut names = Command::new(tools.join("pebble-challtestsrv"));
        names.args(off).args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""]);
        names.arg("-management").arg(format!("127.0.0.1:{control}"));
        names.arg("-dnsserver").arg(format!("127.0.0.1:{dns}"));
        let mut pebble = Command::new(tools.join("pebble"));
        pebble.arg("-config").arg(file).arg("-dnsserver").arg(format!("127.0.0.1:{dns}"));
        pebble.env("PEBBLE_VA_NOSLEEP", "1");
        let processes = [names, pebble].map(|mut command| {
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts")
        });
        let server = Self { processes, authority, directory, management };
        eventually("the ACME server answers", || {
            std::net::TcpStream::connect(("127.0.0.1", server.management)).is_ok()
        });
        server
    }

    /// The root of the certificates that it issues; a new one with every start.
    fn root(&self) -> CertificateDer<'static> {
        let mut stream = self.authority.connect_to(([127, 0, 0, 1], self.management).into());
        stream.write_all(b"GET /roots/0 HTTP/1.0\r\nhost: localhost\r\n\r\n").expect("sent");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        CertificateDer::from_pem_slice(answer.as_bytes()).expect("a root")
    }
}

impl Drop for AcmeServer {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn serve(folder: &Path, acme: u16, port: u16) -> Running {
    let mut command = sojourn(folder);
    command
        .args(["serve", "--port", "0", "--log-format", "json", "--expose-development"])
        .arg("--public-url")
        .arg(format!("https://{HOST}"))
        .env("SOJOURN_TLS__LISTEN", format!("127.0.0.1:{port}"))
        .env("SOJOURN_TLS__ACME__ENABLED", "true")
        .env("SOJOURN_TLS__ACME__CONTACT", "admin@sojourn.test")
        .env("SOJOURN_TLS__ACME__DIRECTORY_URL", format!("https://localhost:{acme}/dir"))
        .env("SOJOURN_TLS__ACME__CA_FILE", folder.join("ca.pem"));
    Running::start(&mut command)
}

/// The certificate that a client of the host gets which trusts `root`, or None if it refuses.
fn shown(port: u16, root: &CertificateDer<'static>) -> Option<Vec<u8>> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(HOST).expect("a name");
    let client = ClientConnection::new(Arc::new(client), name).expect("a client");
    let mut stream = StreamOwned::new(client, connect(&format!("127.0.0.1:{port}")));
    stream.write_all(format!("GET /v1/health HTTP/1.0\r\nhost: {HOST}\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    Some(stream.conn.peer_certificates()?[0].to_vec())
}

#[test]
#[ignore = "needs Pebble: make acme"]
fn acme_issues_a_certificate_that_outlives_a_restart() {
    let home = tempfile::tempdir().expect("temporary folder");
    let port = free_port();
    let acme = AcmeServer::start(home.path(), port);
    fs::write(home.path().join("ca.pem"), acme.authority.root()).expect("written");
    let root = acme.root();

    let server = serve(home.path(), acme.directory, port);
    eventually("a certificate is issued", || shown(port, &root).is_some());
    let issued = shown(port, &root).expect("a certificate");
    let folder = home.path().join(format!(".sojourn/acme/localhost_{}_dir", acme.directory));
    for file in ["account.json".to_owned(), format!("{HOST}.pem")] {
        let mode = fs::metadata(folder.join(&file)).expect("kept").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    server.signal("-TERM");
    let (code, _, prose) = server.wait();
    assert_eq!(code, Some(0));
    assert!(prose.contains("certificate issued"), "{prose}");

    let directory = acme.directory;
    drop(acme);
    let again = serve(home.path(), directory, port);
    assert_eq!(shown(port, &root), Some(issued), "from the cache: the ACME server is gone");
    again.signal("-TERM");
    let (_, _, prose) = again.wait();
    assert!(!prose.contains("ordering a certificate"), "{prose}");
}
