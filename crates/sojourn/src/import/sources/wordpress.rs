//! WordPress: the table `wp_users` as CSV.
//! Source: WordPress/wordpress-develop src/wp-includes/pluggable.php, `wp_check_password`.

use serde_json::{Map, Value};

use super::super::fields::{Fields, split_name};
use super::super::{Candidate, Options, Password};

pub(super) fn candidate(record: &Map<String, Value>, _: &Options) -> Option<Candidate> {
    let fields = Fields(record);
    let email = fields.text("user_email").map(|email| (email.to_owned(), None));
    let mut candidate = Candidate {
        source_id: fields.id("ID").or_else(|| fields.id("id")),
        emails: email.into_iter().collect(),
        ..Candidate::default()
    };
    split_name(&mut candidate, fields.text("display_name"));
    fields.text_into(&mut candidate, "first_name", "first_name");
    fields.text_into(&mut candidate, "last_name", "last_name");
    fields.time_into(&mut candidate, "user_registered", "created_at");
    candidate.password = fields.text("user_pass").map_or(Password::None, password);
    fields.leave_out_secrets(&mut candidate, &["user_activation_key"]);
    let used = [
        "ID",
        "id",
        "user_email",
        "display_name",
        "first_name",
        "last_name",
        "user_registered",
        "user_pass",
        "user_activation_key",
        "user_nicename",
        "user_status",
        "spam",
        "deleted",
    ];
    fields.leave_out_except(&mut candidate, &used);
    Some(candidate)
}

fn password(digest: &str) -> Password {
    let hasher = match digest {
        _ if digest.starts_with("$wp$") => "wordpress",
        _ if digest.starts_with("$P$") || digest.starts_with("$H$") => "phpass",
        _ if digest.starts_with("$2") => "bcrypt",
        _ if digest.starts_with("$argon2id$") => "argon2id",
        // Before WordPress 2.5, replaced at the next sign-in there.
        _ if digest.len() == 32 => "md5",
        _ => return Password::Unknown("user_pass is no hash of WordPress".to_owned()),
    };
    Password::Hash { hasher, digest: digest.to_owned() }
}
