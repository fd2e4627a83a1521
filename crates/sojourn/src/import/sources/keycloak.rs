//! Keycloak: a realm export with its users.
//! Source: keycloak/keycloak server-spi, `PasswordCredentialModel`, and crypto, `Pbkdf2PasswordHashProvider`,
//! `Argon2PasswordHashProvider`.

use serde_json::{Map, Value};

use super::super::fields::Fields;
use super::super::{Candidate, Options, Password};
use super::encoding::{base64, decoded, hex};

pub(super) fn candidate(record: &Map<String, Value>, _: &Options) -> Option<Candidate> {
    let fields = Fields(record);
    // The accounts of clients, which are no people.
    if fields.text("serviceAccountClientId").is_some() {
        return None;
    }
    let verified = Some(fields.flag("emailVerified").unwrap_or(false));
    let mut candidate = Candidate {
        source_id: fields.id("id"),
        emails: fields.text("email").map(|email| (email.to_owned(), verified)).into_iter().collect(),
        ..Candidate::default()
    };
    fields.text_into(&mut candidate, "firstName", "first_name");
    fields.text_into(&mut candidate, "lastName", "last_name");
    fields.time_into(&mut candidate, "createdTimestamp", "created_at");
    candidate.set("banned", fields.flag("enabled").map(|enabled| Value::from(!enabled)));
    let credentials = fields.value("credentials").and_then(Value::as_array).into_iter().flatten();
    for credential in credentials.filter_map(Value::as_object).map(Fields) {
        match credential.text("type") {
            Some("password") => candidate.password = password(credential),
            Some(other) => drop(candidate.left_out.insert(format!("credential {other}"), None)),
            None => {}
        }
    }
    let used = [
        "id",
        "email",
        "emailVerified",
        "firstName",
        "lastName",
        "createdTimestamp",
        "enabled",
        "credentials",
        "disableableCredentialTypes",
        "notBefore",
        "totp",
        "access",
    ];
    fields.leave_out_except(&mut candidate, &used);
    if fields.text("username") == fields.text("email") {
        candidate.left_out.remove("username");
    }
    Some(candidate)
}

fn password(credential: Fields<'_>) -> Password {
    let (Some(data), Some(secret)) = (credential.object("credentialData"), credential.object("secretData"))
    else {
        return Password::Unknown("the credential has no credentialData and secretData".to_owned());
    };
    let (data, secret) = (Fields(&data), Fields(&secret));
    digest(data, secret).unwrap_or_else(|| {
        let algorithm = data.text("algorithm").unwrap_or("without a name");
        Password::Unknown(format!("Keycloak's algorithm {algorithm:?} cannot be used in this form"))
    })
}

fn digest(data: Fields<'_>, secret: Fields<'_>) -> Option<Password> {
    let (hash, salt) = (decoded(secret.text("value")?, "base64")?, decoded(secret.text("salt")?, "base64")?);
    let iterations = data.id("hashIterations")?;
    let (hasher, digest) = match data.text("algorithm")? {
        "pbkdf2-sha256" => {
            ("pbkdf2_sha256", format!("pbkdf2_sha256${iterations}${}${}", base64(&salt), base64(&hash)))
        }
        "pbkdf2-sha512" => {
            ("pbkdf2_sha512_hex", format!("pbkdf2_sha512_hex${iterations}${}${}", hex(&salt), hex(&hash)))
        }
        "pbkdf2" => {
            let (salt, length) = (hex(&salt), hash.len());
            ("pbkdf2_sha1", format!("pbkdf2_sha1${iterations}${salt}${}${length}", hex(&hash)))
        }
        "argon2" => argon2(data.inner("additionalParameters")?, &iterations, &salt, &hash)?,
        _ => return None,
    };
    Some(Password::Hash { hasher, digest })
}

/// Each parameter is a list with one text.
fn argon2(params: Fields<'_>, passes: &str, salt: &[u8], hash: &[u8]) -> Option<(&'static str, String)> {
    let param = |name: &str| params.list(name).into_iter().next();
    let (kind, hasher) = match param("type")?.as_str() {
        "id" => ("argon2id", "argon2id"),
        "i" => ("argon2i", "argon2i"),
        _ => return None,
    };
    (param("version")? == "1.3").then_some(())?;
    let (memory, lanes) = (param("memory")?, param("parallelism")?);
    let (salt, hash) = (base64(salt), base64(hash));
    let (salt, hash) = (salt.trim_end_matches('='), hash.trim_end_matches('='));
    Some((hasher, format!("${kind}$v=19$m={memory},t={passes},p={lanes}${salt}${hash}")))
}
