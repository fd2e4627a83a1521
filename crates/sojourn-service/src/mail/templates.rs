//! The texts of mails: those of this version, and those that an operator puts in their place.
//!
//! A mail has a text `SLUG.LOCALE.txt`, whose first line is `Subject: …`, and an HTML
//! `SLUG.LOCALE.html`, which usually extends `layout.html`. Both are templates in the syntax of
//! Jinja. They see only the variables they are given, no files, and end after a bounded number of steps.

use std::{collections::BTreeMap, sync::Arc, sync::LazyLock};

use minijinja::{Environment, Error, UndefinedBehavior, Value};
use serde_json::{Map, json};
use sojourn_core::{language, nearest::nearest, outgoing_mail::MailContent};

/// Steps that one template may take: some thousand times what the largest of ours needs.
const FUEL: u64 = 100_000;
/// Bytes of a file that is taken as a template: mail programs cut longer messages.
const MAX_BYTES: usize = 100 * 1024;

/// The language that every template has.
const ENGLISH: &str = "en";

/// What the layout of all HTML texts is called.
const LAYOUT: &str = "layout.html";

/// Variables of every template.
const COMMON: &[&str] =
    &["application_name", "server", "sign_in_url", "account_url", "support_email", "locale"];

macro_rules! built_in {
    ($($variant:ident $slug:literal [$($variable:literal),*] $title:literal;)*) => {
        /// One kind of mail.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Template {
            $(#[doc = $title] $variant,)*
        }

        impl Template {
            /// All, in the order in which they are listed.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name in files, in the API and on the command line.
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$variant => $slug),* }
            }

            /// What it is for.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),* }
            }

            /// Its variables beside those of every template.
            const fn own_variables(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($variable),*]),* }
            }
        }

        const BUILT_IN: &[(&str, &str)] = &[
            (LAYOUT, include_str!("../../templates/mail/layout.html")),
            $(
                (concat!($slug, ".en.txt"), include_str!(concat!("../../templates/mail/", $slug, ".en.txt"))),
                (concat!($slug, ".en.html"), include_str!(concat!("../../templates/mail/", $slug, ".en.html"))),
                (concat!($slug, ".de.txt"), include_str!(concat!("../../templates/mail/", $slug, ".de.txt"))),
                (concat!($slug, ".de.html"), include_str!(concat!("../../templates/mail/", $slug, ".de.html"))),
            )*
        ];
    };
}

built_in! {
    VerificationCode "verification_code" ["code", "purpose", "minutes"] "A code to sign in, to sign up, or for another address";
    ResetPasswordCode "reset_password_code" ["code", "minutes"] "A code that leads to a new password";
    AccountExists "account_exists" [] "Somebody tried to sign up with an address that has an account";
    NoAccount "no_account" [] "Somebody tried to sign in with an address that has no account";
    AccountLocked "account_locked" [] "Wrong answers locked the account";
    NewDeviceSignIn "new_device_sign_in" ["signed_in_at", "browser", "ip_address"] "Somebody signed in from a browser that was not used for the account before";
    WebhookDisabled "webhook_disabled" ["endpoint_url", "disabled_at", "reason"] "A webhook endpoint was disabled; goes to the address for support";
    Test "test" [] "A test of the delivery";
}

impl Template {
    /// The kind of mail with this name.
    pub fn find(slug: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|template| template.slug() == slug)
    }

    /// The names that its texts may use.
    pub fn variables(self) -> impl Iterator<Item = &'static str> {
        COMMON.iter().chain(self.own_variables()).copied()
    }

    /// Values for a preview, one set for each way a text may go.
    pub fn samples(self) -> Vec<Map<String, serde_json::Value>> {
        // The value that the text branches on: `purpose` or `reason`.
        let branches: &[&str] = match self {
            Self::VerificationCode => &["sign_in", "sign_up", "new_address"],
            Self::WebhookDisabled => &["failing", "gone"],
            _ => &[""],
        };
        let sample = |branch: &&str| {
            let all = json!({
                "application_name": "My application",
                "server": "https://clerk.example.com",
                "sign_in_url": "https://clerk.example.com/sign-in",
                "account_url": "https://clerk.example.com/user",
                "support_email": "help@example.com",
                "locale": "en",
                "code": "424242",
                "purpose": branch,
                "reason": branch,
                "minutes": 10,
                "signed_in_at": "2026-11-29 12:00 UTC",
                "browser": "Firefox, Linux",
                "ip_address": "192.0.2.1",
                "endpoint_url": "https://app.example.com/webhooks",
                "disabled_at": "2026-11-29 12:00 UTC",
            });
            let known = |(name, _): &(String, _)| self.variables().any(|variable| variable == name);
            let all = all.as_object().cloned().unwrap_or_default();
            all.into_iter().filter(known).collect()
        };
        branches.iter().map(sample).collect()
    }
}

/// A file that cannot be a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateFault {
    /// Its name.
    pub file: String,
    /// The line, where one is to blame.
    pub line: Option<usize>,
    /// What is wrong.
    pub reason: String,
    /// What to do.
    pub remedy: String,
}

/// All texts.
#[derive(Clone, Debug)]
pub struct Templates {
    built_in: Arc<Environment<'static>>,
    /// The texts of this version with an operator's in their place.
    current: Arc<Environment<'static>>,
    /// Who has a text and an HTML in which languages.
    locales: BTreeMap<&'static str, Vec<String>>,
}

impl Default for Templates {
    fn default() -> Self {
        // Parsing costs more than everything else at the start of an instance; tests start hundreds.
        static BUILT_IN: LazyLock<Templates> = LazyLock::new(|| Templates::with(&[]).expect("valid texts"));
        BUILT_IN.clone()
    }
}

impl Templates {
    /// The texts of this version, and in their place those given by file name and content.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn with(files: &[(String, String)]) -> Result<Self, TemplateFault> {
        let built_in = environment();
        let mut current = environment();
        for (file, source) in files {
            placed(file)?;
            if source.len() > MAX_BYTES {
                return Err(fault(
                    file,
                    None,
                    format!("it has more than {MAX_BYTES} bytes"),
                    "make it shorter",
                ));
            }
            current
                .add_template_owned(file.clone(), source.clone())
                .map_err(|error| unusable(file, source, &error))?;
        }
        let templates =
            Self { built_in: Arc::new(built_in), locales: locales(files)?, current: Arc::new(current) };
        for (file, source) in files {
            templates.check(file, source)?;
        }
        Ok(templates)
    }

    /// The languages of a kind of mail.
    pub fn locales(&self, template: Template) -> &[String] {
        self.locales.get(template.slug()).map_or(&[], Vec::as_slice)
    }

    /// The language for a reader who wants one of these, the preferred one first.
    pub fn choose(&self, template: Template, wanted: &[String], default: &str) -> String {
        let locales = self.locales(template);
        let default = language::tag(default);
        let all = wanted.iter().map(String::as_str).chain(default.as_deref());
        let best = language::best(all, |tag| locales.iter().any(|locale| locale == tag));
        best.unwrap_or_else(|| ENGLISH.to_owned())
    }

    /// The mail. Where an operator's text does not work out with these values, that of this
    /// version is used: a mail that looks otherwise is better than none.
    ///
    /// # Errors
    /// Not even the text of this version works out.
    pub fn render(
        &self,
        template: Template,
        locale: &str,
        variables: &Map<String, serde_json::Value>,
    ) -> Result<MailContent, MailTextError> {
        match render(&self.current, template, locale, variables) {
            Ok(content) => Ok(content),
            Err(error) => {
                let (slug, line) = (template.slug(), error.line());
                tracing::error!(template = slug, locale, line, %error, "a mail template failed; the built-in text is sent");
                let locale = if locale == "de" { "de" } else { ENGLISH };
                render(&self.built_in, template, locale, variables).map_err(MailTextError)
            }
        }
    }

    /// As [`Templates::render`], and what fails is told.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn preview(&self, template: Template, locale: &str) -> Result<MailContent, TemplateFault> {
        let mut sample = template.samples().into_iter().next().unwrap_or_default();
        sample.insert("locale".to_owned(), locale.into());
        render(&self.current, template, locale, &sample).map_err(|error| {
            let file = error.name().unwrap_or_default().to_owned();
            unusable(&file, "", &error)
        })
    }

    /// Whether it uses only what it is given, and works out whichever way it goes.
    fn check(&self, file: &str, source: &str) -> Result<(), TemplateFault> {
        let found = self.current.get_template(file).map_err(|error| unusable(file, source, &error))?;
        let of = placed(file)?;
        let known: Vec<&str> = match of {
            Some((template, _)) => template.variables().collect(),
            None => COMMON.to_vec(),
        };
        let mut unknown: Vec<String> = found
            .undeclared_variables(false)
            .into_iter()
            .filter(|name| !known.contains(&name.as_str()))
            .collect();
        unknown.sort();
        if let Some(name) = unknown.first() {
            let remedy = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean {near}? There are: {}", known.join(", ")),
                None => format!("there are: {}", known.join(", ")),
            };
            return Err(fault(
                file,
                line_of(source, name),
                format!("{name} is not a variable of this mail"),
                &remedy,
            ));
        }
        let Some((template, locale)) = of else { return Ok(()) };
        for mut sample in template.samples() {
            sample.insert("locale".to_owned(), locale.as_str().into());
            render(&self.current, template, &locale, &sample)
                .map_err(|error| unusable(file, source, &error))?;
        }
        Ok(())
    }
}

/// A text of this version cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("a mail cannot be written: {0}")]
pub struct MailTextError(Error);

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    for (name, source) in BUILT_IN {
        environment.add_template(name, source).expect("the texts of this version are templates");
    }
    environment
}

fn render(
    environment: &Environment<'static>,
    template: Template,
    locale: &str,
    variables: &Map<String, serde_json::Value>,
) -> Result<MailContent, Error> {
    let values = Value::from_serialize(variables);
    let slug = template.slug();
    let html = environment.get_template(&format!("{slug}.{locale}.html"))?.render(&values)?;
    let name = format!("{slug}.{locale}.txt");
    let whole = environment.get_template(&name)?.render(&values)?;
    let (first, text) = whole.split_once('\n').unwrap_or((&whole, ""));
    let no_subject = || {
        let kind = minijinja::ErrorKind::InvalidOperation;
        Error::new(kind, "its first line has to be Subject: and the subject of the mail")
    };
    let subject = first.trim().strip_prefix("Subject:").ok_or_else(no_subject)?;
    // One line, whatever a variable holds (AUT-16).
    let words = subject.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let subject = words.collect::<Vec<_>>().join(" ");
    if subject.is_empty() {
        return Err(no_subject());
    }
    Ok(MailContent { subject, text: text.trim_start_matches('\n').to_owned(), html })
}

/// Which text a file is: of a kind of mail in a language, or the layout.
fn placed(file: &str) -> Result<Option<(Template, String)>, TemplateFault> {
    if file == LAYOUT {
        return Ok(None);
    }
    let parts: Vec<&str> = file.split('.').collect();
    let slugs = || Template::ALL.iter().map(|template| template.slug());
    match parts[..] {
        [slug, locale, "txt" | "html"] => match (Template::find(slug), language::tag(locale)) {
            (Some(template), Some(tag)) if tag == locale => Ok(Some((template, tag))),
            (Some(_), _) => Err(fault(
                file,
                None,
                format!("{locale} is no language as it is written here"),
                "write it in small letters, such as de or pt-br",
            )),
            (None, _) => Err(fault(
                file,
                None,
                format!("there is no mail {slug}"),
                &match nearest(slug, slugs()) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("there are: {}", slugs().collect::<Vec<_>>().join(", ")),
                },
            )),
        },
        _ => Err(fault(
            file,
            None,
            "it is not named as a template".to_owned(),
            "name it such as verification_code.en.html, verification_code.en.txt or layout.html",
        )),
    }
}

/// The languages of each mail. A new language needs both of its texts.
fn locales(files: &[(String, String)]) -> Result<BTreeMap<&'static str, Vec<String>>, TemplateFault> {
    let mut locales: BTreeMap<&'static str, Vec<String>> = Template::ALL
        .iter()
        .map(|template| (template.slug(), vec![ENGLISH.to_owned(), "de".to_owned()]))
        .collect();
    for (file, _) in files {
        let Some((template, locale)) = placed(file)? else { continue };
        let known = locales.entry(template.slug()).or_default();
        if known.contains(&locale) {
            continue;
        }
        for kind in ["txt", "html"] {
            let wanted = format!("{}.{locale}.{kind}", template.slug());
            if !files.iter().any(|(file, _)| *file == wanted) {
                let reason = format!("{wanted} is missing beside it");
                return Err(fault(file, None, reason, "a mail in another language needs a text and an HTML"));
            }
        }
        known.push(locale);
    }
    Ok(locales)
}

fn fault(file: &str, line: Option<usize>, reason: String, remedy: &str) -> TemplateFault {
    TemplateFault { file: file.to_owned(), line, reason, remedy: remedy.to_owned() }
}

fn unusable(file: &str, source: &str, error: &Error) -> TemplateFault {
    // An error may lie in the layout, and is told where it lies.
    let file = error.name().unwrap_or(file);
    let line = error.line().filter(|line| source.is_empty() || *line <= source.lines().count().max(1));
    let reason = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    fault(file, line, reason, "correct the line; the syntax is that of Jinja templates")
}

/// The first line where a name stands inside of `{{ … }}` or `{% … %}`.
fn line_of(source: &str, name: &str) -> Option<usize> {
    let is_in_code = |line: &&str| (line.contains("{{") || line.contains("{%")) && line.contains(name);
    source.lines().position(|line| is_in_code(&line)).map(|index| index + 1)
}

#[cfg(test)]
mod tests;
