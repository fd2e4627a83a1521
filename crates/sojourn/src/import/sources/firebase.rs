//! Firebase: `firebase auth:export`, as JSON or CSV.
//! Source: firebase/firebase-tools src/accountExporter.ts

use serde_json::{Map, Value};

use super::super::fields::{Fields, split_name};
use super::super::{Candidate, Options, Password};

/// The columns of the CSV, which has no header.
pub(in super::super) const COLUMNS: [&str; 28] = [
    "localId",
    "email",
    "emailVerified",
    "passwordHash",
    "salt",
    "displayName",
    "photoUrl",
    "googleId",
    "googleEmail",
    "googleDisplayName",
    "googlePhotoUrl",
    "facebookId",
    "facebookEmail",
    "facebookDisplayName",
    "facebookPhotoUrl",
    "twitterId",
    "twitterEmail",
    "twitterDisplayName",
    "twitterPhotoUrl",
    "githubId",
    "githubEmail",
    "githubDisplayName",
    "githubPhotoUrl",
    "createdAt",
    "lastSignedInAt",
    "phoneNumber",
    "disabled",
    "customAttributes",
];

/// The password hash parameters of a project: what its passwords are hashed with besides the salt.
#[derive(Clone)]
pub struct HashConfig {
    signer_key: String,
    salt_separator: String,
    rounds: u32,
    memory_cost: u32,
}

impl std::fmt::Debug for HashConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashConfig(***)")
    }
}

impl HashConfig {
    /// Reads the text that the Firebase console shows: `base64_signer_key: …,` and so on, one per line.
    ///
    /// # Errors
    /// The name of what is missing.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let value = |name: &'static str| {
            let line = text
                .lines()
                .map(str::trim)
                .find_map(|line| line.strip_prefix(name)?.trim().strip_prefix(':'));
            let value = line.map(|value| value.trim().trim_end_matches(',').trim_matches('"').to_owned());
            value.filter(|value| !value.is_empty()).ok_or(name)
        };
        let number = |name| value(name)?.parse().map_err(|_| name);
        match value("algorithm")?.as_str() {
            "SCRYPT" => Ok(Self {
                signer_key: value("base64_signer_key")?,
                salt_separator: value("base64_salt_separator")?,
                rounds: number("rounds")?,
                memory_cost: number("mem_cost")?,
            }),
            _ => Err("algorithm: SCRYPT"),
        }
    }

    fn digest(&self, hash: &str, salt: &str) -> String {
        let Self { signer_key, salt_separator, rounds, memory_cost } = self;
        format!("{hash}${salt}${signer_key}${salt_separator}${rounds}${memory_cost}")
    }
}

pub(super) fn candidate(record: &Map<String, Value>, options: &Options) -> Option<Candidate> {
    let fields = Fields(record);
    let verified = Some(fields.flag("emailVerified").unwrap_or(false));
    let mut candidate = Candidate {
        source_id: fields.id("localId"),
        emails: fields.text("email").map(|email| (email.to_owned(), verified)).into_iter().collect(),
        ..Candidate::default()
    };
    split_name(&mut candidate, fields.text("displayName"));
    fields.time_into(&mut candidate, "createdAt", "created_at");
    candidate.set("banned", fields.flag("disabled").map(Value::from));
    // Custom claims: the client reads them in its token, only the backend writes them.
    candidate.set("public_metadata", fields.object("customAttributes").map(Value::Object));
    candidate.password = match (fields.text("passwordHash"), fields.text("salt"), &options.firebase) {
        (None, _, _) => Password::None,
        (Some(hash), Some(salt), Some(config)) => {
            Password::Hash { hasher: "scrypt_firebase", digest: config.digest(hash, salt) }
        }
        (Some(_), Some(_), None) => Password::Unknown(
            "it needs the password hash parameters of the project: --firebase-hash-config FILE".to_owned(),
        ),
        (Some(_), None, _) => Password::Unknown("passwordHash has no salt".to_owned()),
    };
    fields.leave_out_except(
        &mut candidate,
        &[
            "localId",
            "email",
            "emailVerified",
            "passwordHash",
            "salt",
            "displayName",
            "createdAt",
            "lastSignedInAt",
            "disabled",
            "customAttributes",
            "photoUrl",
        ],
    );
    Some(candidate)
}
