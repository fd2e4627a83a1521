//! An account as a source describes it, and the row that is made of it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sojourn_core::{
    email::Email,
    id::UserId,
    imported_hash::{self, ImportRefused},
    user::MAX_EMAIL_ADDRESSES,
};

use super::Options;

/// An account as a source describes it.
#[derive(Debug, Default)]
pub struct Candidate {
    pub source_id: Option<String>,
    /// Kept where the source has ids of its own for the application.
    pub external_id: Option<String>,
    /// Each with whether it is verified; `None` if the source does not say. The primary one first.
    pub emails: Vec<(String, Option<bool>)>,
    pub password: Password,
    /// The other fields of `POST /v1/users`.
    pub user: Map<String, Value>,
    /// What has no field here, by name; no value for secrets, which are not kept.
    pub left_out: BTreeMap<String, Option<Value>>,
    /// Why this is no account to import, if the source says so.
    pub refusal: Option<RowRefusal>,
}

/// The password of an account.
#[derive(Debug, Default)]
pub enum Password {
    #[default]
    None,
    Hash {
        hasher: &'static str,
        digest: String,
    },
    /// A hash that this server does not know; the text says what it is.
    Unknown(String),
}

/// A row of `POST /v1/users/import`.
#[derive(Debug)]
pub struct Row {
    /// With `user` and perhaps `id`.
    pub body: Value,
    /// What identifies the account: addresses, and the id at the source.
    pub(super) emails: Vec<Email>,
    pub(super) external_id: Option<String>,
}

/// Why there is no row: the field, the reason and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowRefusal {
    pub field: String,
    pub why: String,
    pub next: String,
}

impl RowRefusal {
    pub fn new(field: impl Into<String>, why: impl Into<String>, next: impl Into<String>) -> Self {
        Self { field: field.into(), why: why.into(), next: next.into() }
    }
}

impl Candidate {
    /// Adds a field of `POST /v1/users`, unless there is no value.
    pub fn set(&mut self, name: &str, value: impl Into<Option<Value>>) {
        if let Some(value) = value.into() {
            self.user.insert(name.to_owned(), value);
        }
    }

    /// The row. Adds to `left_out` what is lost on the way.
    pub(super) fn row(self, options: &Options, left_out: &mut Vec<String>) -> Result<Row, RowRefusal> {
        if let Some(refusal) = self.refusal {
            return Err(refusal);
        }
        let emails = addresses(self.emails, options, left_out)?;
        let mut user = self.user;
        user.insert("email_address".to_owned(), emails.iter().map(|(email, _)| email.as_str()).collect());
        let status = |(index, (_, verified)): (usize, &(Email, bool))| match (index, verified) {
            (_, true) => "verified",
            (0, false) => "reserved",
            (_, false) => "unverified",
        };
        let statuses: Value = emails.iter().enumerate().map(status).collect();
        user.insert("email_address_identification_status".to_owned(), statuses);
        if let Some((hasher, digest)) = password(self.password, options, left_out)? {
            user.insert("password_hasher".to_owned(), hasher.into());
            user.insert("password_digest".to_owned(), digest.into());
        }
        let kept = self.source_id.clone().filter(|id| options.keep_ids && id.parse::<UserId>().is_ok());
        let external_id = self.external_id.or_else(|| self.source_id.filter(|_| kept.is_none()));
        if let Some(external_id) = &external_id {
            user.insert("external_id".to_owned(), external_id.as_str().into());
        }
        if options.keep_unknown {
            keep(&mut user, self.left_out);
        }
        let body = match kept {
            Some(id) => json!({ "id": id, "user": user }),
            None => json!({ "user": user }),
        };
        Ok(Row { body, emails: identifying(emails), external_id })
    }
}

/// The addresses that can be used, the primary one first.
fn addresses(
    given: Vec<(String, Option<bool>)>,
    options: &Options,
    left_out: &mut Vec<String>,
) -> Result<Vec<(Email, bool)>, RowRefusal> {
    let mut emails: Vec<(Email, bool)> = Vec::new();
    for (index, (text, verified)) in given.into_iter().enumerate() {
        let is_verified = verified.unwrap_or(options.assume_verified);
        match Email::parse(&text) {
            Ok(email) if emails.iter().any(|(known, _)| *known == email) => {}
            Ok(_) if emails.len() == MAX_EMAIL_ADDRESSES => {
                left_out.push(format!("e-mail address {}", index + 1));
            }
            Ok(email) => emails.push((email, is_verified)),
            Err(_) if index == 0 => {
                let why = format!("{:?} is not an e-mail address", shortened(&text));
                return Err(RowRefusal::new("email_address", why, "correct the address in the file"));
            }
            Err(_) => left_out.push(format!("e-mail address {}", index + 1)),
        }
    }
    // An unverified primary address identifies the account only as long as nobody verifies it, so a
    // verified one goes first.
    if emails.first().is_some_and(|(_, verified)| !verified)
        && let Some(first) = emails.iter().position(|(_, verified)| *verified)
    {
        emails[..=first].rotate_right(1);
    }
    if emails.is_empty() {
        return Err(RowRefusal::new(
            "email_address",
            "the account has none, and users sign in with an address here",
            "add one to the file",
        ));
    }
    Ok(emails)
}

fn identifying(emails: Vec<(Email, bool)>) -> Vec<Email> {
    let names =
        |(index, (email, verified)): (usize, (Email, bool))| (index == 0 || verified).then_some(email);
    emails.into_iter().enumerate().filter_map(names).collect()
}

fn password(
    given: Password,
    options: &Options,
    left_out: &mut Vec<String>,
) -> Result<Option<(&'static str, String)>, RowRefusal> {
    let why = match given {
        Password::None => return Ok(None),
        Password::Unknown(why) => why,
        Password::Hash { hasher, digest } => match imported_hash::import(&digest, hasher) {
            Ok(_) => return Ok(Some((hasher, digest))),
            Err(ImportRefused::Hasher) => format!("the hasher {hasher} is unknown"),
            Err(ImportRefused::NotOffered(why)) => why.to_owned(),
            Err(ImportRefused::Digest(form)) => format!("a digest of {hasher} reads: {form}"),
            Err(ImportRefused::TooExpensive(it)) => {
                format!(
                    "it would cost too much at each sign-in: {} is {}, the limit is {}",
                    it.what, it.value, it.limit
                )
            }
        },
    };
    if options.drop_unknown_passwords {
        left_out.push("password".to_owned());
        return Ok(None);
    }
    Err(RowRefusal::new(
        "password",
        why,
        "--drop-unknown-passwords imports the account without it, and the user chooses a new one",
    ))
}

/// Keeps what has no field here as `imported` in the private metadata.
fn keep(user: &mut Map<String, Value>, left_out: BTreeMap<String, Option<Value>>) {
    let unknown: Map<String, Value> =
        left_out.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    if unknown.is_empty() {
        return;
    }
    let metadata = user.entry("private_metadata").or_insert_with(|| json!({}));
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.insert("imported".to_owned(), unknown.into());
    }
}

/// For messages: files may hold anything.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
