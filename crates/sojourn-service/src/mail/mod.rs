//! Mail: written in the same commit as what it is about, so that neither is without the
//! other. It goes to the mailbox of a development instance, to a mail server, or to both.

pub mod outgoing;
mod smtp;
mod templates;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use serde_json::{Map, json};
use sojourn_core::{
    email::Email,
    factor::CODE_LIFETIME,
    id::{MailId, Randomness},
    outgoing_mail::{MailContent, NOTICE_LIFETIME, OutgoingMail},
    session::Device,
    settings::Settings,
    time::{Moment, Timestamp},
    user_agent::describe,
    webhook::{Disabled, WebhookEndpoint},
};
use sojourn_store::{Mail, Write};
use tokio::sync::{Notify, Semaphore};
use url::Url;

pub use self::{
    smtp::{Encryption, Smtp, SmtpOptions},
    templates::{MailTextError, Template, TemplateFault, Templates},
};
use crate::browser::RequestContext;

/// Mails that wait at most. A mail server that is away for long fills no disk; those
/// who ask for a code then are told so.
pub const QUEUE_LIMIT: u64 = 10_000;
/// Mails that one node sends at the same time.
pub(crate) const AT_ONCE: usize = 8;

/// What a code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodePurpose {
    /// A code to sign in with.
    SignIn,
    /// A code that proves an address at sign-up.
    SignUp,
    /// A code that proves an address added to an account.
    NewAddress,
    /// A code that leads to a new password.
    PasswordReset,
}

/// What an address is told that gets no code, because an answer to whoever asked
/// for one would tell which accounts exist (AUT-13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Somebody wants to sign in where there is no account.
    NoAccount,
    /// Somebody wants to sign up where there is one.
    AccountExists,
    /// Wrong answers locked the account.
    Locked,
}

/// What a mail says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Message<'a> {
    /// A code.
    Code(CodePurpose, &'a str),
    /// A notice.
    Notice(Notice),
    /// Somebody signed in from this browser, which was new to the account.
    NewDevice(&'a Device),
    /// A webhook endpoint was disabled.
    WebhookDisabled(&'a WebhookEndpoint, Disabled),
    /// That the delivery works.
    Test,
}

impl Message<'_> {
    const fn template(self) -> Template {
        match self {
            Self::Code(CodePurpose::PasswordReset, _) => Template::ResetPasswordCode,
            Self::Code(..) => Template::VerificationCode,
            Self::Notice(Notice::NoAccount) => Template::NoAccount,
            Self::Notice(Notice::AccountExists) => Template::AccountExists,
            Self::Notice(Notice::Locked) => Template::AccountLocked,
            Self::NewDevice(_) => Template::NewDeviceSignIn,
            Self::WebhookDisabled(..) => Template::WebhookDisabled,
            Self::Test => Template::Test,
        }
    }

    /// The variables that only it has.
    fn variables(self, at: Moment, locale: &str) -> serde_json::Value {
        let minutes = CODE_LIFETIME.as_secs() / 60;
        match self {
            Self::Code(CodePurpose::PasswordReset, code) => json!({"code": code, "minutes": minutes}),
            Self::Code(purpose, code) => {
                let purpose = match purpose {
                    CodePurpose::SignUp => "sign_up",
                    CodePurpose::NewAddress => "new_address",
                    CodePurpose::SignIn | CodePurpose::PasswordReset => "sign_in",
                };
                json!({"code": code, "minutes": minutes, "purpose": purpose})
            }
            Self::NewDevice(device) => json!({
                "signed_in_at": point_in_time(at.wall, locale),
                "browser": browser(device, locale),
                "ip_address": device.ip_address,
            }),
            Self::WebhookDisabled(endpoint, reason) => json!({
                "endpoint_url": endpoint.url,
                "disabled_at": point_in_time(at.wall, locale),
                "reason": reason,
            }),
            Self::Notice(_) | Self::Test => json!({}),
        }
    }

    const fn code(&self) -> Option<&str> {
        match self {
            Self::Code(_, code) => Some(code),
            Self::Notice(_) | Self::NewDevice(_) | Self::WebhookDisabled(..) | Self::Test => None,
        }
    }
}

/// Who gets a mail, and in which circumstances.
#[derive(Clone, Debug)]
pub(crate) struct Occasion<'a> {
    pub(crate) at: Moment,
    pub(crate) settings: &'a Settings,
    pub(crate) to: &'a Email,
    /// The languages that its reader wants, the preferred one first.
    pub(crate) languages: Vec<String>,
}

impl<'a> Occasion<'a> {
    /// A mail that a request causes. `own` is the language of the account, if it has one; the
    /// browser's come after it.
    pub(crate) fn of(request: &'a RequestContext, to: &'a Email, own: Option<&str>) -> Self {
        let own = own.and_then(sojourn_core::language::tag);
        let languages = own.into_iter().chain(request.languages.iter().cloned()).collect();
        Self { at: request.at, settings: &request.settings, to, languages }
    }
}

/// A mail is not written.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// No mail server is named, and there is no mailbox that anybody could open.
    #[error("no mail server is configured")]
    NotConfigured,
    /// Too many mails wait for a mail server.
    #[error("{QUEUE_LIMIT} mails are waiting for the mail server")]
    QueueFull,
    /// Its text cannot be made.
    #[error(transparent)]
    Text(#[from] MailTextError),
}

/// Where mail goes.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// To the mailbox page of a development instance, and nowhere else.
    Mailbox,
    /// To a mail server, and to the mailbox page where there is one.
    Smtp(Smtp),
}

/// How mail is written and where it goes.
#[derive(Clone, Debug, Default)]
pub struct MailOptions {
    /// Where mail goes; left out, it goes to the mailbox where there is one.
    pub delivery: Option<Delivery>,
    /// Its texts.
    pub templates: Templates,
}

/// Writes mails.
#[derive(Clone, Debug)]
pub struct Mailer {
    base_url: Url,
    templates: Templates,
    delivery: Option<Delivery>,
    has_mailbox: bool,
    queue: Arc<Queue>,
}

/// What this node knows of the mails on their way.
#[derive(Debug)]
pub(crate) struct Queue {
    /// Told that there is something to do.
    pub(crate) wake: Notify,
    /// One permit for each mail that may be under way.
    pub(crate) slots: Arc<Semaphore>,
    /// How many wait, as of some seconds ago.
    pub(crate) waiting: AtomicU64,
}

impl Mailer {
    /// A writer whose mails name this server.
    pub(crate) fn new(base_url: Url, options: MailOptions, has_mailbox: bool) -> Self {
        let delivery = options.delivery.or_else(|| has_mailbox.then_some(Delivery::Mailbox));
        let queue = Queue {
            wake: Notify::new(),
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: AtomicU64::new(0),
        };
        Self { base_url, templates: options.templates, delivery, has_mailbox, queue: Arc::new(queue) }
    }

    /// The texts.
    pub const fn templates(&self) -> &Templates {
        &self.templates
    }

    /// The mail server, if there is one.
    pub const fn smtp(&self) -> Option<&Smtp> {
        match &self.delivery {
            Some(Delivery::Smtp(smtp)) => Some(smtp),
            Some(Delivery::Mailbox) | None => None,
        }
    }

    /// Whether mail reaches anybody.
    pub const fn is_configured(&self) -> bool {
        self.delivery.is_some()
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Whether one more mail can be taken.
    ///
    /// # Errors
    /// [`MailError::NotConfigured`], [`MailError::QueueFull`].
    pub fn is_ready(&self) -> Result<(), MailError> {
        match &self.delivery {
            None => Err(MailError::NotConfigured),
            Some(Delivery::Smtp(_)) if self.queue.waiting.load(Ordering::Relaxed) >= QUEUE_LIMIT => {
                Err(MailError::QueueFull)
            }
            Some(_) => Ok(()),
        }
    }

    /// A mail, ready to be written with what it is about.
    ///
    /// # Errors
    /// [`MailError::Text`].
    pub(crate) fn write(
        &self,
        occasion: &Occasion<'_>,
        message: Message<'_>,
        random: &mut dyn Randomness,
    ) -> Result<Vec<Write>, MailError> {
        let Occasion { at, settings, to, languages } = occasion;
        let template = message.template();
        let locale = self.templates.choose(template, languages, &settings.instance.mail.default_locale);
        let mut variables = self.variables(settings, &locale);
        variables.extend(message.variables(*at, &locale).as_object().cloned().unwrap_or_default());
        let content = self.templates.render(template, &locale, &variables)?;
        let id = MailId::generate(at.now, random);
        let mut writes = Vec::new();
        if self.has_mailbox || matches!(self.delivery, Some(Delivery::Mailbox)) {
            writes.push(Write::Mail(shown(id, at, to, message.code(), &content)));
        }
        if self.smtp().is_some() {
            let lifetime = if message.code().is_some() { CODE_LIFETIME } else { NOTICE_LIFETIME };
            let mail = OutgoingMail::new(id, template.slug(), to.as_str(), content, at.wall, lifetime);
            writes.push(Write::OutgoingMail(mail));
        }
        Ok(writes)
    }

    /// The variables of every mail.
    fn variables(&self, settings: &Settings, locale: &str) -> Map<String, serde_json::Value> {
        let server = self.base_url.as_str().trim_end_matches('/');
        let all = json!({
            "application_name": settings.instance.application_name,
            "support_email": settings.instance.support_email,
            "server": server,
            "sign_in_url": format!("{server}/sign-in"),
            "account_url": format!("{server}/user"),
            "locale": locale,
        });
        all.as_object().cloned().unwrap_or_default()
    }
}

fn shown(id: MailId, at: &Moment, to: &Email, code: Option<&str>, content: &MailContent) -> Mail {
    Mail {
        id,
        to: to.as_str().to_owned(),
        subject: content.subject.clone(),
        code: code.map(str::to_owned),
        link: None,
        text: content.text.clone(),
        html: content.html.clone(),
        received_at: at.now,
    }
}

/// Nobody knows where the reader is, so the zone is said.
fn point_in_time(at: Timestamp, locale: &str) -> String {
    let format = if is_german(locale) { "%d.%m.%Y, %H:%M Uhr (UTC)" } else { "%Y-%m-%d %H:%M UTC" };
    let time = jiff::Timestamp::from_millisecond(at.as_millis());
    time.map(|time| time.strftime(format).to_string()).unwrap_or_default()
}

fn browser(device: &Device, locale: &str) -> String {
    let browser = describe(&device.user_agent);
    let parts: Vec<&str> = [browser.name, browser.system].into_iter().flatten().collect();
    match parts[..] {
        [] if is_german(locale) => "unbekannt".to_owned(),
        [] => "unknown".to_owned(),
        _ => parts.join(", "),
    }
}

fn is_german(locale: &str) -> bool {
    locale.split('-').next() == Some("de")
}
