//! Auth0: lines of its bulk export, lines of its export of password hashes, or the list that its
//! bulk import takes. Source: the pages "Bulk User Import Database Schema and Examples" and "Export
//! Data" of its documentation.

use std::collections::HashMap;
use std::io::BufRead;

use serde_json::{Map, Value, json};

use super::super::fields::{Fields, split_name};
use super::super::{Candidate, Format, Options, Password, ReadError, record};
use super::encoding::{base64, decoded, hex};

/// Password hashes by the id of their account.
#[derive(Clone, Default)]
pub struct Auth0Passwords(HashMap<String, String>);

impl std::fmt::Debug for Auth0Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Auth0Passwords({})", self.0.len())
    }
}

impl Auth0Passwords {
    /// Reads an export of password hashes, which is held in memory: about 150 bytes per account.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read(input: Box<dyn BufRead + Send>) -> Result<Self, ReadError> {
        let mut passwords = HashMap::new();
        record::read(input, Format::Auth0, |record| {
            let fields = Fields(&record.fields);
            if let (Some(id), Some(hash)) = (id(fields), fields.text("passwordHash")) {
                passwords.insert(id, hash.to_owned());
            }
            true
        })?;
        Ok(Self(passwords))
    }
}

/// The export of password hashes names the account by its database id only.
fn id(fields: Fields<'_>) -> Option<String> {
    let oid = fields.inner("_id").and_then(|id| id.text("$oid")).map(|oid| format!("auth0|{oid}"));
    fields.id("user_id").or_else(|| fields.id("Id")).or(oid)
}

pub(super) fn candidate(record: &Map<String, Value>, options: &Options) -> Option<Candidate> {
    let fields = Fields(record);
    let email = fields.text("email").or_else(|| fields.text("Email"));
    let verified = fields.flag("email_verified").or_else(|| fields.flag("Email Verified")).unwrap_or(false);
    let mut candidate = Candidate {
        source_id: id(fields),
        emails: email.map(|email| (email.to_owned(), Some(verified))).into_iter().collect(),
        ..Candidate::default()
    };
    split_name(&mut candidate, fields.text("name"));
    fields.text_into(&mut candidate, "given_name", "first_name");
    fields.text_into(&mut candidate, "family_name", "last_name");
    fields.time_into(&mut candidate, "created_at", "created_at");
    candidate.set("banned", fields.flag("blocked").map(Value::from));
    // Users write the one themselves, applications the other.
    candidate.set("unsafe_metadata", fields.object("user_metadata").map(Value::Object));
    candidate.set("private_metadata", fields.object("app_metadata").map(Value::Object));
    candidate.password = match (password(fields), &candidate.source_id) {
        (Password::None, Some(id)) => options.auth0.0.get(id).map_or(Password::None, |hash| bcrypt(hash)),
        (password, _) => password,
    };
    fields.leave_out_secrets(&mut candidate, &["mfa_factors", "multifactor", "guardian_enrollments"]);
    let social = identities(fields);
    if !social.is_empty() {
        candidate.left_out.insert("identities".to_owned(), Some(social.into()));
    }
    fields.leave_out_except(
        &mut candidate,
        &[
            "_id",
            "user_id",
            "Id",
            "email",
            "Email",
            "email_verified",
            "Email Verified",
            "name",
            "given_name",
            "family_name",
            "nickname",
            "created_at",
            "updated_at",
            "blocked",
            "user_metadata",
            "app_metadata",
            "password_hash",
            "passwordHash",
            "custom_password_hash",
            "password_set_date",
            "tenant",
            "connection",
            "_tmp_is_unique",
            "identities",
            "mfa_factors",
            "multifactor",
            "guardian_enrollments",
            "last_login",
            "last_ip",
            "logins_count",
            "last_password_reset",
            "picture",
        ],
    );
    Some(candidate)
}

/// The providers besides the password database.
fn identities(fields: Fields<'_>) -> Vec<Value> {
    let identities = fields.value("identities").and_then(Value::as_array).into_iter().flatten();
    let of = |identity: &Value| {
        Some(json!({"provider": identity.get("provider")?, "user_id": identity.get("user_id")}))
    };
    identities.filter_map(of).filter(|identity| identity["provider"] != "auth0").collect()
}

fn password(fields: Fields<'_>) -> Password {
    if let Some(digest) = fields.text("password_hash").or_else(|| fields.text("passwordHash")) {
        return bcrypt(digest);
    }
    match fields.inner("custom_password_hash") {
        Some(custom) => custom_hash(custom).unwrap_or_else(|| {
            let algorithm = custom.text("algorithm").unwrap_or("without a name");
            Password::Unknown(format!("custom_password_hash {algorithm:?} cannot be used in this form"))
        }),
        None => Password::None,
    }
}

fn bcrypt(digest: &str) -> Password {
    Password::Hash { hasher: "bcrypt", digest: digest.to_owned() }
}

fn custom_hash(custom: Fields<'_>) -> Option<Password> {
    let hash = custom.inner("hash")?;
    let value = hash.text("value")?;
    let known = |hasher, digest: String| Some(Password::Hash { hasher, digest });
    match custom.text("algorithm")? {
        "bcrypt" => known("bcrypt", value.to_owned()),
        "argon2" if value.starts_with("$argon2i$") => known("argon2i", value.to_owned()),
        "argon2" => known("argon2id", value.to_owned()),
        "ldap" => known("ldap_ssha", value.to_owned()),
        "pbkdf2" => pbkdf2(value),
        algorithm @ ("md5" | "sha256") => {
            let bytes = decoded(value, hash.text("encoding")?)?;
            let digest = hex(&bytes);
            match (algorithm, custom.inner("salt").and_then(|salt| salt.text("value"))) {
                ("md5", None) => known("md5", digest),
                ("md5", Some(salt)) => known("md5_salted", format!("{salt}${digest}")),
                (_, None) => known("sha256", digest),
                (_, Some(salt)) => known("sha256_salted", format!("{salt}${digest}")),
            }
        }
        _ => None,
    }
}

/// `$pbkdf2-sha256$i=…,l=…$salt$hash`, both in base64 without padding.
fn pbkdf2(value: &str) -> Option<Password> {
    let parts: Vec<&str> = value.split('$').collect();
    let ["", name, params, salt, hash] = parts[..] else { return None };
    let iterations = params.split(',').find_map(|param| param.strip_prefix("i="))?;
    let (salt, hash) = (decoded(salt, "base64")?, decoded(hash, "base64")?);
    let (hasher, digest) = match name {
        "pbkdf2-sha512" => {
            ("pbkdf2_sha512_hex", format!("pbkdf2_sha512_hex${iterations}${}${}", hex(&salt), hex(&hash)))
        }
        "pbkdf2-sha256" => {
            ("pbkdf2_sha256", format!("pbkdf2_sha256${iterations}${}${}", base64(&salt), base64(&hash)))
        }
        "pbkdf2-sha1" | "pbkdf2" => {
            ("pbkdf2_sha1", format!("pbkdf2_sha1${iterations}${}${}${}", hex(&salt), hex(&hash), hash.len()))
        }
        _ => return None,
    };
    Some(Password::Hash { hasher, digest })
}
