//! Mail. In development it goes to the mailbox, in the same commit as what it
//! is about, and never out.

use askama::Template;
use sojourn_core::{
    email::Email,
    id::{MailId, Randomness},
    time::Timestamp,
};
use sojourn_store::{Mail, Write};
use url::Url;

/// What a mail is about.
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

impl CodePurpose {
    const fn sentence(self) -> &'static str {
        match self {
            Self::SignIn => "Use this code to sign in",
            Self::SignUp => "Use this code to confirm your e-mail address",
            Self::NewAddress => "Use this code to add this e-mail address to your account",
            Self::PasswordReset => "Use this code to set a new password",
        }
    }
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

impl Notice {
    const fn subject(self) -> &'static str {
        match self {
            Self::NoAccount => "There is no account to sign in to",
            Self::AccountExists => "You have an account already",
            Self::Locked => "Your account is locked for an hour",
        }
    }

    /// What happened, and what to do next.
    const fn sentences(self) -> (&'static str, &'static str) {
        match self {
            Self::NoAccount => (
                "Somebody tried to sign in with this e-mail address, but there is no account for it.",
                "If it was you, sign up first, or sign in with the address that you signed up with. If not, ignore this mail.",
            ),
            Self::AccountExists => (
                "Somebody tried to sign up with this e-mail address, which has an account already.",
                "If it was you, sign in instead; a forgotten password can be set anew there. If not, ignore this mail: nothing has changed.",
            ),
            Self::Locked => (
                "Too many wrong answers were given at sign-in, so the account is locked for an hour. Sessions that are open stay open.",
                "If it was you, try again in an hour. Until then even the right password is not accepted.",
            ),
        }
    }
}

/// A mail could not be written.
pub use askama::Error as MailError;

/// Writes mails.
#[derive(Clone, Debug)]
pub struct Mailer {
    base_url: Url,
}

#[derive(Template)]
#[template(path = "mail/code.html")]
struct CodeHtml<'a> {
    application_name: &'a str,
    sentence: &'a str,
    code: &'a str,
    server: &'a str,
}

#[derive(Template)]
#[template(path = "mail/notice.html")]
struct NoticeHtml<'a> {
    application_name: &'a str,
    what: &'a str,
    next: &'a str,
    server: &'a str,
}

impl Mailer {
    /// A writer whose mails name this server.
    pub const fn new(base_url: Url) -> Self {
        Self { base_url }
    }

    /// The mail with a code, ready to be written.
    ///
    /// # Errors
    /// The template does not render.
    pub fn code(
        &self,
        now: Timestamp,
        application_name: &str,
        to: &Email,
        occasion: CodePurpose,
        code: &str,
        random: &mut dyn Randomness,
    ) -> Result<Write, MailError> {
        let sentence = occasion.sentence();
        let html = CodeHtml { application_name, sentence, code, server: self.base_url.as_str() }.render()?;
        Ok(Write::Mail(Mail {
            id: MailId::generate(now, random),
            to: to.as_str().to_owned(),
            subject: format!("{code} is your code for {application_name}"),
            code: Some(code.to_owned()),
            link: None,
            text: format!(
                "{sentence}:\n\n    {code}\n\nIt is good for 10 minutes and for one use.\nIf you did not ask for it, ignore this mail: without the code nothing happens.\n"
            ),
            html,
            received_at: now,
        }))
    }

    /// The mail that tells something, ready to be written.
    ///
    /// # Errors
    /// The template does not render.
    pub fn notice(
        &self,
        now: Timestamp,
        application_name: &str,
        to: &Email,
        notice: Notice,
        random: &mut dyn Randomness,
    ) -> Result<Write, MailError> {
        let (what, next) = notice.sentences();
        let html = NoticeHtml { application_name, what, next, server: self.base_url.as_str() }.render()?;
        Ok(Write::Mail(Mail {
            id: MailId::generate(now, random),
            to: to.as_str().to_owned(),
            subject: format!("{} at {application_name}", notice.subject()),
            code: None,
            link: None,
            text: format!("{what}\n\n{next}\n"),
            html,
            received_at: now,
        }))
    }
}
