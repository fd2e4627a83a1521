//! A real mail server for a test: a process of its own (`smtp/server.py`), ended with the test.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;
use sojourn_service::mail::{Encryption, Smtp, SmtpOptions};
use tempfile::TempDir;

/// Who may send by a server that asks for it.
pub const MAIL_USER: (&str, &str) = ("sojourn", "a long password");

/// A mail server, and what it received.
#[derive(Debug)]
pub struct MailServer {
    process: Child,
    port: u16,
    encryption: Encryption,
    authority: Option<Vec<u8>>,
    folder: TempDir,
    mails: Arc<Mutex<Vec<Value>>>,
    questions: Mutex<(ChildStdin, Receiver<()>)>,
}

impl MailServer {
    /// One that asks for neither TLS nor a user.
    ///
    /// # Panics
    /// aiosmtpd is not installed, or does not start.
    pub fn start() -> Self {
        Self::with(Encryption::None, 0)
    }

    /// One at this port.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn at_port(port: u16) -> Self {
        Self::with(Encryption::None, port)
    }

    /// One that insists on TLS, with a certificate of an authority of its own, and on a user.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn encrypted(encryption: Encryption) -> Self {
        Self::with(encryption, 0)
    }

    fn with(encryption: Encryption, port: u16) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(python());
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("smtp/server.py"));
        command.args(["--port", &port.to_string()]);
        let mut authority = None;
        if encryption != Encryption::None {
            let (pem, certificate, key) = identity(folder.path());
            authority = Some(pem);
            command.arg("--certificate").arg(certificate).arg("--key").arg(key);
            command.args(["--user", MAIL_USER.0, "--password", MAIL_USER.1]);
        }
        if encryption == Encryption::Tls {
            command.arg("--implicit-tls");
        }
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python starts");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let first = lines.next().expect("a line").expect("readable");
        let first: Value = serde_json::from_str(&first).expect("JSON");
        let port = first["port"].as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port");
        let mails: Arc<Mutex<Vec<Value>>> = Arc::default();
        let received = Arc::clone(&mails);
        let (answer, answers) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mail: Value = serde_json::from_str(&line).expect("JSON");
                if mail["pong"] == true {
                    let _ = answer.send(());
                } else {
                    received.lock().unwrap_or_else(PoisonError::into_inner).push(mail);
                }
            }
        });
        let questions = Mutex::new((process.stdin.take().expect("piped"), answers));
        Self { process, port, encryption, authority, folder, mails, questions }
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The file of the authority that signed its certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// How an application uses it.
    pub fn options(&self) -> SmtpOptions {
        let (user, password) = MAIL_USER;
        SmtpOptions {
            host: "localhost".to_owned(),
            port: self.port,
            encryption: self.encryption,
            credentials: (self.encryption != Encryption::None)
                .then(|| (user.to_owned(), password.to_owned())),
            from: "Acme <no-reply@acme.example>".to_owned(),
            reply_to: None,
            ca_pem: self.authority.clone(),
            hello_name: "clerk.acme.example".to_owned(),
            timeout: Duration::from_secs(10),
        }
    }

    /// As an application is given it.
    ///
    /// # Panics
    /// The options cannot be.
    pub fn smtp(&self) -> Smtp {
        Smtp::new(self.options()).expect("options that can be")
    }

    /// The mails that it was given so far. Those that it answered are among them.
    ///
    /// # Panics
    /// It does not answer.
    pub fn mails(&self) -> Vec<Value> {
        {
            let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
            questions.0.write_all(b"\n").expect("it listens");
            questions.1.recv_timeout(Duration::from_secs(60)).expect("it answers");
        }
        self.mails.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The mails to one address.
    pub fn mails_to(&self, address: &str) -> Vec<Value> {
        let mut mails = self.mails();
        mails.retain(|mail| mail["to"][0] == address);
        mails
    }

    /// It is gone.
    ///
    /// # Panics
    /// It cannot be ended.
    pub fn stop(mut self) -> u16 {
        self.process.kill().expect("killed");
        self.process.wait().expect("gone");
        self.port
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn python() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        |folder| Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder),
    );
    let python = target.join("tools/aiosmtpd/bin/python");
    assert!(python.exists(), "these tests need aiosmtpd: scripts/install-aiosmtpd, which make test runs");
    python
}

/// An authority, and a certificate of it for localhost.
fn identity(folder: &Path) -> (Vec<u8>, PathBuf, PathBuf) {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority =
        CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("names");
    let certificate = params.signed_by(&key, &authority).expect("a certificate");
    let file = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let pem = authority.pem();
    file("ca.pem", pem.clone());
    (pem.into_bytes(), file("certificate.pem", certificate.pem()), file("key.pem", key.serialize_pem()))
}
