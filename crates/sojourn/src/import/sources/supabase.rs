//! Supabase: the table `auth.users`, as CSV or JSON.
//! Source: supabase/auth migrations/, the columns of `auth.users`.

use serde_json::{Map, Value};

use super::super::fields::{Fields, split_name};
use super::super::{Candidate, Options, Password, RowRefusal};

pub(super) fn candidate(record: &Map<String, Value>, _: &Options) -> Option<Candidate> {
    let fields = Fields(record);
    let confirmed = fields.text("email_confirmed_at").or_else(|| fields.text("confirmed_at"));
    let email = fields.text("email").map(|email| (email.to_owned(), Some(confirmed.is_some())));
    let mut candidate =
        Candidate { source_id: fields.id("id"), emails: email.into_iter().collect(), ..Candidate::default() };
    if fields.text("deleted_at").is_some() {
        candidate.refusal = Some(RowRefusal::new("deleted_at", "the account was deleted", "nothing"));
    } else if fields.flag("is_anonymous") == Some(true) {
        candidate.refusal = Some(RowRefusal::new("is_anonymous", "the account is anonymous", "nothing"));
    }
    let profile = fields.object("raw_user_meta_data").unwrap_or_default();
    let of_profile = Fields(&profile);
    split_name(&mut candidate, of_profile.text("full_name").or_else(|| of_profile.text("name")));
    of_profile.text_into(&mut candidate, "first_name", "first_name");
    of_profile.text_into(&mut candidate, "last_name", "last_name");
    fields.time_into(&mut candidate, "created_at", "created_at");
    candidate.set("banned", fields.text("banned_until").map(|_| Value::from(true)));
    // The user writes the one, the backend the other; what names the provider says nothing here.
    candidate.set("unsafe_metadata", Some(profile.clone()).filter(|it| !it.is_empty()).map(Value::Object));
    let mut of_application = fields.object("raw_app_meta_data").unwrap_or_default();
    of_application.remove("provider");
    of_application.remove("providers");
    candidate.set("private_metadata", Some(of_application).filter(|it| !it.is_empty()).map(Value::Object));
    candidate.password = match fields.text("encrypted_password") {
        None => Password::None,
        Some(digest) if digest.starts_with("$argon2id$") => hash("argon2id", digest),
        Some(digest) if digest.starts_with("$argon2i$") => hash("argon2i", digest),
        Some(digest) => hash("bcrypt", digest),
    };
    fields.leave_out_secrets(&mut candidate, &SECRETS);
    let used = [
        "id",
        "instance_id",
        "aud",
        "role",
        "email",
        "encrypted_password",
        "email_confirmed_at",
        "confirmed_at",
        "last_sign_in_at",
        "raw_app_meta_data",
        "raw_user_meta_data",
        "created_at",
        "updated_at",
        "banned_until",
        "deleted_at",
        "is_anonymous",
        "invited_at",
        "confirmation_sent_at",
        "recovery_sent_at",
        "email_change_sent_at",
        "phone_change_sent_at",
        "reauthentication_sent_at",
        "email_change_confirm_status",
    ];
    fields.leave_out_except(&mut candidate, &[&used[..], &SECRETS].concat());
    // PostgreSQL exports a boolean as text.
    for name in ["is_super_admin", "is_sso_user"] {
        if fields.flag(name) == Some(false) {
            candidate.left_out.remove(name);
        }
    }
    Some(candidate)
}

/// Codes that are on their way.
const SECRETS: [&str; 6] = [
    "confirmation_token",
    "recovery_token",
    "email_change_token_new",
    "email_change_token_current",
    "phone_change_token",
    "reauthentication_token",
];

fn hash(hasher: &'static str, digest: &str) -> Password {
    Password::Hash { hasher, digest: digest.to_owned() }
}
