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
pub enum Occasion {
    /// A code to sign in with.
    SignIn,
    /// A code that proves an address at sign-up.
    SignUp,
    /// A code that proves an address added to an account.
    NewAddress,
    /// A code that leads to a new password.
    PasswordReset,
}

impl Occasion {
    const fn sentence(self) -> &'static str {
        match self {
            Self::SignIn => "Use this code to sign in",
            Self::SignUp => "Use this code to confirm your e-mail address",
            Self::NewAddress => "Use this code to add this e-mail address to your account",
            Self::PasswordReset => "Use this code to set a new password",
        }
    }
}

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
        occasion: Occasion,
        code: &str,
        random: &mut dyn Randomness,
    ) -> Result<Write, askama::Error> {
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
}
