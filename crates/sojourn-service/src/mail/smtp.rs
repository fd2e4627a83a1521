//! The way to a mail server (RFC 5321), with STARTTLS (RFC 3207) or TLS from the first byte
//! (RFC 8314).

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, UNIX_EPOCH},
};

use lettre::{
    Address, Message,
    address::Envelope,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
    transport::smtp::{
        Error,
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters},
        extension::ClientId,
        response::Response,
    },
};
use sojourn_core::{
    email::Email,
    outgoing_mail::{Attempt, OutgoingMail},
};

use super::AT_ONCE;

/// How the connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// A plain connection that has to become TLS before anything is said on it.
    StartTls,
    /// TLS from the first byte.
    Tls,
    /// None: passwords and codes can be read on the way.
    None,
}

/// Where the mail server is, and how it is used.
#[derive(Clone)]
pub struct SmtpOptions {
    /// Its name, which its certificate has to have.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub encryption: Encryption,
    /// User name and password, where it asks for them.
    pub credentials: Option<(String, String)>,
    /// `Name <address>` or an address: whom the mails are from.
    pub from: String,
    /// Where answers go, if not there.
    pub reply_to: Option<String>,
    /// PEM of the authorities that are trusted instead of those of the system.
    pub ca_pem: Option<Vec<u8>>,
    /// How this server calls itself.
    pub hello_name: String,
    /// How long one mail may take, connecting included.
    pub timeout: Duration,
}

impl fmt::Debug for SmtpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpOptions")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// A mail server. Connections are kept for the mails that follow. A clone is the same.
#[derive(Clone)]
pub struct Smtp(Arc<Inner>);

struct Inner {
    options: SmtpOptions,
    from: Mailbox,
    reply_to: Option<Mailbox>,
    tls: Option<TlsParameters>,
    /// Connections that a mail went over whole. One on which anything failed, or was given
    /// up half-way, is never used again.
    idle: Mutex<Vec<AsyncSmtpConnection>>,
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Smtp({}:{})", self.0.options.host, self.0.options.port)
    }
}

impl Smtp {
    /// A mail server; nothing is connected yet.
    ///
    /// # Errors
    /// Which of the values cannot be used, and why.
    pub fn new(options: SmtpOptions) -> Result<Self, (&'static str, String)> {
        let mailbox = |key, text: &str| text.parse::<Mailbox>().map_err(|error| (key, error.to_string()));
        let from = mailbox("mail.from", &options.from)?;
        let reply_to = options.reply_to.as_deref().map(|text| mailbox("mail.reply_to", text)).transpose()?;
        let tls = match options.encryption {
            Encryption::None => None,
            Encryption::StartTls | Encryption::Tls => Some(tls(&options)?),
        };
        Ok(Self(Arc::new(Inner { options, from, reply_to, tls, idle: Mutex::new(Vec::new()) })))
    }

    /// How long one mail may take.
    pub fn timeout(&self) -> Duration {
        self.0.options.timeout
    }

    /// Tries to send a mail.
    pub async fn send(&self, mail: &OutgoingMail) -> Attempt {
        let (envelope, bytes) = match self.0.message(mail) {
            Ok(message) => message,
            Err(reason) => return Attempt::Refused(reason),
        };
        let timeout = self.0.options.timeout;
        // Whoever is stopped half-way drops the connection with its half-said sentence.
        match tokio::time::timeout(timeout, self.0.deliver(&envelope, &bytes)).await {
            Ok(attempt) => attempt,
            Err(_) => {
                Attempt::NotNow(format!("the mail server did not answer within {} s", timeout.as_secs()))
            }
        }
    }
}

impl Smtp {
    /// Connects and signs in, without a mail. Returns the name of the server.
    ///
    /// # Errors
    /// The step that failed, and why.
    pub async fn check(&self) -> Result<String, String> {
        let Inner { options, .. } = &*self.0;
        let connected = tokio::time::timeout(options.timeout, self.0.connection()).await;
        match connected {
            Ok(Ok(mut connection)) => {
                // Whether it says goodbye is no matter: the check is done.
                let _ = connection.quit().await;
                Ok(format!("{}:{}", options.host, options.port))
            }
            Ok(Err((step, error))) => Err(format!("{step}: {error}")),
            Err(_) => Err(format!("the mail server did not answer within {} s", options.timeout.as_secs())),
        }
    }
}

impl Inner {
    async fn deliver(&self, envelope: &Envelope, bytes: &[u8]) -> Attempt {
        let mut connection = match self.connection().await {
            Ok(connection) => connection,
            // What is refused before there is a mail is no fault of the mail's.
            Err((step, error)) => return Attempt::NotNow(format!("{step}: {error}")),
        };
        match connection.send(envelope, bytes).await {
            Ok(response) => {
                let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
                if idle.len() < AT_ONCE {
                    idle.push(connection);
                }
                Attempt::Taken(said(&response))
            }
            Err(error) => judged(&error),
        }
    }

    /// A connection that is ready for a mail.
    async fn connection(&self) -> Result<AsyncSmtpConnection, (&'static str, Error)> {
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut connection) = idle else { break };
            // The server may have closed it since.
            if connection.test_connected().await {
                return Ok(connection);
            }
        }
        let SmtpOptions { host, port, encryption, credentials, hello_name, timeout, .. } = &self.options;
        let hello = ClientId::Domain(hello_name.clone());
        let at_once = if *encryption == Encryption::Tls { self.tls.clone() } else { None };
        let server = (host.as_str(), *port);
        let connected =
            AsyncSmtpConnection::connect_tokio1(server, Some(*timeout), &hello, at_once, None).await;
        let mut connection = connected.map_err(|error| ("cannot connect", error))?;
        if let (Encryption::StartTls, Some(tls)) = (encryption, &self.tls) {
            connection.starttls(tls.clone(), &hello).await.map_err(|error| ("cannot begin TLS", error))?;
        }
        if let Some((user, password)) = credentials {
            let credentials = Credentials::new(user.clone(), password.clone());
            let signed_in = connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await;
            signed_in.map_err(|error| ("cannot sign in", error))?;
        }
        Ok(connection)
    }

    /// The mail as it goes out. Its Message-ID is the same each time, so that who gets it
    /// twice can know.
    fn message(&self, mail: &OutgoingMail) -> Result<(Envelope, Vec<u8>), String> {
        let content = mail.content.as_ref().ok_or("its content is gone")?;
        let email = Email::parse(&mail.to).map_err(|error| error.to_string())?;
        let to: Address = email.key().parse().map_err(|_| "it is not an address that mail can go to")?;
        let queued_at = u64::try_from(mail.queued_at.as_millis()).unwrap_or(0);
        let mut message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(content.subject.clone())
            .date(UNIX_EPOCH + Duration::from_millis(queued_at))
            .message_id(Some(format!("<{}@{}>", mail.id, self.from.email.domain())))
            // RFC 3834: no machine shall answer it.
            .raw_header(raw_header("Auto-Submitted", "auto-generated"))
            .raw_header(raw_header("X-Auto-Response-Suppress", "All"));
        if let Some(reply_to) = &self.reply_to {
            message = message.reply_to(reply_to.clone());
        }
        let message = message
            .multipart(MultiPart::alternative_plain_html(content.text.clone(), content.html.clone()))
            .map_err(|error| error.to_string())?;
        Ok((message.envelope().clone(), message.formatted()))
    }
}

fn raw_header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

fn tls(options: &SmtpOptions) -> Result<TlsParameters, (&'static str, String)> {
    let mut builder = TlsParameters::builder(options.host.clone());
    if let Some(pem) = &options.ca_pem {
        let unusable = |error: Error| ("mail.smtp.ca_file", error.to_string());
        let mut authorities = 0;
        builder = builder.certificate_store(CertificateStore::None);
        // Of a file with several, each block by itself.
        for block in String::from_utf8_lossy(pem).split_inclusive("-----END CERTIFICATE-----") {
            if block.contains("-----BEGIN CERTIFICATE-----") {
                builder =
                    builder.add_root_certificate(Certificate::from_pem(block.as_bytes()).map_err(unusable)?);
                authorities += 1;
            }
        }
        if authorities == 0 {
            return Err(("mail.smtp.ca_file", "there is no certificate in it".to_owned()));
        }
    }
    builder.build().map_err(|error| ("mail.smtp.ca_file", error.to_string()))
}

/// A refusal with a 5xx reply is final (RFC 5321, section 4.2.1), but for those about this server's
/// own rights: somebody will set them right.
fn judged(error: &Error) -> Attempt {
    let code = error.status().map(|code| code.to_string());
    let is_about_rights = matches!(code.as_deref(), Some("530" | "534" | "535" | "538"));
    if (error.is_permanent() && !is_about_rights) || error.is_client() {
        Attempt::Refused(error.to_string())
    } else {
        Attempt::NotNow(error.to_string())
    }
}

fn said(response: &Response) -> String {
    let words: Vec<&str> = response.message().collect();
    format!("{} {}", response.code(), words.join(" "))
}
