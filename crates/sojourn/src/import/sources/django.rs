//! Django: `manage.py dumpdata auth.user`, or of another user model.
//! Source: django/contrib/auth/hashers.py

use serde_json::{Map, Value};

use super::super::fields::Fields;
use super::super::{Candidate, Options, Password};
use super::encoding::{decoded, hex};

pub(super) fn candidate(record: &Map<String, Value>, _: &Options) -> Option<Candidate> {
    let row = Fields(record);
    // A dump holds other tables, too; a user model of one's own has these fields in common.
    let fields = row.inner("fields").filter(|fields| fields.0.contains_key("password"))?;
    let model = row.text("model")?;
    let email = fields.text("email").map(|email| (email.to_owned(), None));
    let mut candidate =
        Candidate { source_id: row.id("pk"), emails: email.into_iter().collect(), ..Candidate::default() };
    fields.text_into(&mut candidate, "first_name", "first_name");
    fields.text_into(&mut candidate, "last_name", "last_name");
    fields.time_into(&mut candidate, "date_joined", "created_at");
    candidate.set("banned", fields.flag("is_active").map(|is_active| Value::from(!is_active)));
    candidate.password = fields.text("password").map_or(Password::None, password);
    let used = [
        "password",
        "email",
        "first_name",
        "last_name",
        "date_joined",
        "is_active",
        "last_login",
        "user_permissions",
    ];
    fields.leave_out_except(&mut candidate, &used);
    if fields.text("username") == fields.text("email") {
        candidate.left_out.remove("username");
    }
    (!model.is_empty()).then_some(candidate)
}

fn password(text: &str) -> Password {
    let unknown = || {
        let hasher = text.split('$').next().unwrap_or_default();
        Password::Unknown(format!("Django's hasher {hasher:?} cannot be used in this form"))
    };
    let hash = |hasher, digest: &str| Password::Hash { hasher, digest: digest.to_owned() };
    // `!` marks a password that was made unusable.
    if text.starts_with('!') {
        return Password::None;
    }
    let Some((hasher, rest)) = text.split_once('$') else { return unknown() };
    match hasher {
        "pbkdf2_sha256" => hash("pbkdf2_sha256_django", text),
        "pbkdf2_sha1" => pbkdf2_sha1(rest).unwrap_or_else(unknown),
        "bcrypt_sha256" => hash("bcrypt_sha256_django", text),
        "bcrypt" => hash("bcrypt", rest),
        "argon2" => match rest.split('$').next() {
            Some("argon2i") => hash("argon2i", &format!("${rest}")),
            _ => hash("argon2id", &format!("${rest}")),
        },
        "scrypt" => scrypt(rest).unwrap_or_else(unknown),
        "md5" => hash("md5_salted", rest),
        _ => unknown(),
    }
}

/// Salt as text, hash in base64. The salt is encoded, because one that happens to be hexadecimal
/// would be decoded.
fn pbkdf2_sha1(rest: &str) -> Option<Password> {
    let parts: Vec<&str> = rest.split('$').collect();
    let [iterations, salt, hash] = parts[..] else { return None };
    let hash = decoded(hash, "base64")?;
    let (salt, length) = (hex(salt.as_bytes()), hash.len());
    let digest = format!("pbkdf2_sha1${iterations}${salt}${}${length}", hex(&hash));
    Some(Password::Hash { hasher: "pbkdf2_sha1", digest })
}

/// `N$salt$r$p$hash`, 64 bytes in base64: as Werkzeug's, which writes it in another order.
fn scrypt(rest: &str) -> Option<Password> {
    let parts: Vec<&str> = rest.split('$').collect();
    let [n, salt, r, p, hash] = parts[..] else { return None };
    let digest = format!("scrypt:{n}:{r}:{p}${salt}${}", hex(&decoded(hash, "base64")?));
    Some(Password::Hash { hasher: "scrypt_werkzeug", digest })
}
