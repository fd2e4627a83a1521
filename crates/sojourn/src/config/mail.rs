//! Where mail goes: the keys below `mail`. Files that they name are read when a server starts, so
//! that other commands need none of them.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sojourn_service::mail::{Delivery, Encryption, MailOptions, Smtp, SmtpOptions, TemplateFault, Templates};

use super::Layers;
use super::origin::{Origin, Sourced};
use crate::failure::{Exit, Failure};

/// A text that no log and no error shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// How a server sends mail, as it was given.
#[derive(Debug, Clone, PartialEq)]
pub struct MailConfig {
    delivery: Option<Sourced<String>>,
    from: Option<Sourced<String>>,
    reply_to: Option<Sourced<String>>,
    templates: Option<Sourced<PathBuf>>,
    host: Option<Sourced<String>>,
    port: Option<Sourced<u64>>,
    encryption: Option<Sourced<String>>,
    allow_unencrypted: Sourced<bool>,
    username: Option<Sourced<String>>,
    password: Option<Sourced<Secret>>,
    password_file: Option<Sourced<PathBuf>>,
    ca_file: Option<Sourced<PathBuf>>,
    timeout_seconds: Sourced<u64>,
}

impl MailConfig {
    pub(super) fn resolve(
        layers: &Layers,
        path: impl Fn(Sourced<String>) -> Sourced<PathBuf>,
    ) -> Result<Self, Failure> {
        let mail = Self {
            delivery: layers.text("mail.delivery"),
            from: layers.text("mail.from"),
            reply_to: layers.text("mail.reply_to"),
            templates: layers.text("mail.templates").map(&path),
            host: layers.text("mail.smtp.host"),
            port: layers.number("mail.smtp.port"),
            encryption: layers.text("mail.smtp.encryption"),
            allow_unencrypted: layers.switch_or("mail.smtp.allow_unencrypted", false),
            username: layers.text("mail.smtp.username"),
            password: layers
                .text("mail.smtp.password")
                .map(|text| Sourced { value: Secret(text.value), origin: text.origin }),
            password_file: layers.text("mail.smtp.password_file").map(&path),
            ca_file: layers.text("mail.smtp.ca_file").map(&path),
            timeout_seconds: layers.number_or("mail.smtp.timeout_seconds", 20),
        };
        mail.check()?;
        Ok(mail)
    }

    /// Whether mail leaves this machine.
    pub fn is_smtp(&self) -> bool {
        match &self.delivery {
            Some(delivery) => delivery.value == "smtp",
            None => self.host.is_some(),
        }
    }

    /// The file with the password for the mail server.
    pub fn password_file(&self) -> Option<&Path> {
        self.password_file.as_ref().map(|file| file.value.as_path())
    }

    /// Whether the configuration holds the password itself, and where.
    pub fn password_origin(&self) -> Option<&Origin> {
        self.password.as_ref().map(|password| &password.origin)
    }

    /// What contradicts itself, before anything is opened.
    fn check(&self) -> Result<(), Failure> {
        if !self.is_smtp() {
            return Ok(());
        }
        let by = self
            .delivery
            .as_ref()
            .map(|given| &given.origin)
            .or(self.host.as_ref().map(|given| &given.origin));
        let by = by.map(Origin::in_words).unwrap_or_default();
        if self.host.is_none() {
            return Err(missing("mail.smtp.host", &by).next("name the mail server, such as smtp.example.com"));
        }
        if self.from.is_none() {
            return Err(missing("mail.from", &by)
                .next("give the sender, such as \"My application <no-reply@example.com>\""));
        }
        if let (Some(text), Some(file)) = (&self.password, &self.password_file) {
            return Err(invalid(format!(
                "mail.smtp.password from {} and mail.smtp.password_file from {} are both given",
                text.origin.in_words(),
                file.origin.in_words()
            ))
            .next("leave one of them out"));
        }
        let has_password = self.password.is_some() || self.password_file.is_some();
        if has_password != self.username.is_some() {
            let (given, other) = if has_password {
                ("a password", "mail.smtp.username")
            } else {
                ("a user name", "mail.smtp.password_file")
            };
            return Err(invalid(format!("the mail server has {given} and no {other}"))
                .because("it asks for both or for none")
                .next(format!("give {other}, or leave both out")));
        }
        self.check_encryption()
    }

    fn check_encryption(&self) -> Result<(), Failure> {
        let Some(host) = &self.host else { return Ok(()) };
        if self.encryption() != Encryption::None || is_local(&host.value) || *self.allow_unencrypted {
            return Ok(());
        }
        let origin = self.encryption.as_ref().map(|given| given.origin.in_words()).unwrap_or_default();
        Err(invalid(format!(
            "mail.smtp.encryption is none by {origin}, and {} is another machine",
            host.value
        ))
        .because("codes and the password would cross the network unencrypted")
        .next("use starttls or tls; or, on a network of your own, set mail.smtp.allow_unencrypted = true"))
    }

    fn encryption(&self) -> Encryption {
        match self.encryption.as_ref().map(|given| given.value.as_str()) {
            Some("none") => Encryption::None,
            Some("tls") => Encryption::Tls,
            Some("starttls") => Encryption::StartTls,
            // The port that is meant for it (RFC 8314).
            _ if self.port.as_ref().is_some_and(|port| port.value == 465) => Encryption::Tls,
            _ => Encryption::StartTls,
        }
    }

    /// As the application takes it. `hello_name` is how this server calls itself.
    pub fn options(&self, hello_name: &str) -> Result<MailOptions, Failure> {
        let templates = match &self.templates {
            Some(folder) => templates(folder)?,
            None => Templates::default(),
        };
        let delivery = match (&self.host, &self.from) {
            (Some(host), Some(from)) if self.is_smtp() => {
                Some(Delivery::Smtp(self.smtp(&host.value, &from.value, hello_name)?))
            }
            _ => None,
        };
        Ok(MailOptions { delivery, templates })
    }

    fn smtp(&self, host: &str, from: &str, hello_name: &str) -> Result<Smtp, Failure> {
        let encryption = self.encryption();
        let by_default = match encryption {
            Encryption::Tls => 465,
            Encryption::StartTls => 587,
            Encryption::None => 25,
        };
        let port =
            self.port.as_ref().map_or(by_default, |port| u16::try_from(port.value).unwrap_or(by_default));
        let password = match (&self.password, &self.password_file) {
            (Some(password), _) => Some(password.value.0.clone()),
            (None, Some(file)) => {
                let text = read("mail.smtp.password_file", file)?;
                Some(String::from_utf8_lossy(&text).trim_end_matches(['\r', '\n']).to_owned())
            }
            (None, None) => None,
        };
        let username = self.username.as_ref().map(|given| given.value.clone());
        let ca_pem = self.ca_file.as_ref().map(|file| read("mail.smtp.ca_file", file)).transpose()?;
        Smtp::new(SmtpOptions {
            host: host.to_owned(),
            port,
            encryption,
            credentials: username.zip(password),
            from: from.to_owned(),
            reply_to: self.reply_to.as_ref().map(|given| given.value.clone()),
            ca_pem,
            hello_name: hello_name.to_owned(),
            timeout: Duration::from_secs(*self.timeout_seconds),
        })
        .map_err(|(key, why)| {
            let origin = match key {
                "mail.from" => self.from.as_ref().map(|given| &given.origin),
                "mail.reply_to" => self.reply_to.as_ref().map(|given| &given.origin),
                _ => self.ca_file.as_ref().map(|given| &given.origin),
            };
            let from = origin.map(|origin| format!(" from {}", origin.in_words())).unwrap_or_default();
            let next = match key {
                "mail.smtp.ca_file" => "give a PEM file with the certificate of the authority",
                _ => "give an address, or \"My application <no-reply@example.com>\"",
            };
            invalid(format!("{key}{from} cannot be used")).because(why).next(next)
        })
    }
}

/// The files of a folder that can be templates. Others, such as a README or what an editor
/// leaves behind, may lie beside them.
fn templates(folder: &Sourced<PathBuf>) -> Result<Templates, Failure> {
    let unreadable = |path: &Path, error: &std::io::Error| {
        invalid(format!(
            "cannot read {}, which mail.templates from {} names",
            path.display(),
            folder.origin.in_words()
        ))
        .because(error.to_string())
        .next("give a folder that exists, or leave mail.templates out")
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder.value).map_err(|error| unreadable(&folder.value, &error))? {
        let path = entry.map_err(|error| unreadable(&folder.value, &error))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let is_one = !name.starts_with('.') && (name.ends_with(".txt") || name.ends_with(".html"));
        if is_one && path.is_file() {
            let text = fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
            files.push((name.to_owned(), text));
        }
    }
    files.sort();
    Templates::with(&files).map_err(|TemplateFault { file, line, reason, remedy }| {
        let path = folder.value.join(&file);
        let place = line.map(|line| format!(", line {line}")).unwrap_or_default();
        Failure::new(
            Exit::Usage,
            "mail_template_invalid",
            format!("{}{place} cannot be used", path.display()),
        )
        .because(reason)
        .next(remedy)
    })
}

fn read(key: &str, file: &Sourced<PathBuf>) -> Result<Vec<u8>, Failure> {
    fs::read(&file.value).map_err(|error| {
        invalid(format!(
            "cannot read {}, which {key} from {} names",
            file.value.display(),
            file.origin.in_words()
        ))
        .because(error.to_string())
        .next("give a file that this user can read")
    })
}

fn is_local(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn missing(key: &str, by: &str) -> Failure {
    invalid(format!("mail is to be sent, by {by}, and {key} is not given"))
}

fn invalid(what: String) -> Failure {
    Failure::new(Exit::Usage, "config_value_invalid", what)
}
