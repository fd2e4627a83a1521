//! What an act changes on an account, as the audit log shows it.

use serde_json::{Map, Value, json};

use super::{FieldChange, REDACTED};
use crate::{settings::differences, time::Timestamp, user::User};

/// The fields that differ. `before` of a new user is a blank one.
pub fn user_changes(now: Timestamp, before: &User, after: &User) -> Vec<FieldChange> {
    let found = differences(&shown(now, before), &shown(now, after));
    let mut changes: Vec<FieldChange> = found.into_iter().map(FieldChange::from).collect();
    // Both values look alike where one secret replaces another.
    let hidden = [
        ("password", before.password_updated_at != after.password_updated_at),
        ("private_metadata", before.private_metadata != after.private_metadata),
    ];
    for (field, changed) in hidden {
        if changed && !changes.iter().any(|change| change.field == field) {
            let value = Value::from(REDACTED);
            changes.push(FieldChange { field: field.to_owned(), before: value.clone(), after: value });
        }
    }
    changes
}

/// The account without secrets. The pattern names every field, so that a new one is considered here.
fn shown(now: Timestamp, user: &User) -> Map<String, Value> {
    let User {
        id: _,
        version: _,
        created_at,
        updated_at: _,
        external_id,
        first_name,
        last_name,
        email_addresses,
        primary_email_address_id: _,
        password_hash,
        password_updated_at: _,
        public_metadata,
        private_metadata,
        unsafe_metadata,
        banned,
        delete_self_enabled,
        lockout,
        last_sign_in_at: _,
        legal_accepted_at,
        locale,
    } = user;
    let addresses: Vec<&str> = email_addresses.iter().map(|address| address.email.as_str()).collect();
    let fields = json!({
        "banned": banned,
        "created_at": created_at.as_millis(),
        "delete_self_enabled": delete_self_enabled,
        "email_addresses": addresses,
        "external_id": external_id,
        "first_name": first_name,
        "last_name": last_name,
        "legal_accepted_at": legal_accepted_at.map(Timestamp::as_millis),
        "locale": locale,
        "locked": lockout.is_locked(now),
        "password": password_hash.as_ref().map(|_| REDACTED),
        "primary_email_address": user.primary_email().map(|address| address.email.as_str()),
        "private_metadata": (!private_metadata.is_empty()).then_some(REDACTED),
        "public_metadata": public_metadata,
        "unsafe_metadata": unsafe_metadata,
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{id::UserId, testing::SeededRng, user::PasswordHash};

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn user() -> User {
        let mut user = User::new(UserId::generate(NOW, &mut SeededRng::new(1)), NOW);
        user.set_password(PasswordHash("$argon2id$one".to_owned()), NOW);
        user.private_metadata.insert("key".to_owned(), "whispered".into());
        user
    }

    fn told(before: &User, after: &User) -> Vec<String> {
        let changes = user_changes(NOW, before, after);
        changes
            .iter()
            .map(|change| format!("{}: {} -> {}", change.field, change.before, change.after))
            .collect()
    }

    #[test]
    fn a_changed_field_has_both_values() {
        let (before, mut after) = (user(), user());
        after.first_name = Some("Ada".to_owned());
        after.public_metadata.insert("plan".to_owned(), "gold".into());
        after.lockout.lock(NOW);
        assert_eq!(
            told(&before, &after),
            [
                r#"first_name: null -> "Ada""#,
                "locked: false -> true",
                r#"public_metadata.plan: null -> "gold""#,
            ]
        );
        assert!(told(&before, &before).is_empty());
    }

    #[test]
    fn log_01_a_changed_secret_is_named_and_not_shown() {
        let (before, mut after) = (user(), user());
        after.set_password(PasswordHash("$argon2id$two".to_owned()), NOW);
        after.private_metadata.insert("key".to_owned(), "shouted".into());
        assert_eq!(
            told(&before, &after),
            [r#"password: "***" -> "***""#, r#"private_metadata: "***" -> "***""#]
        );
        after.remove_password(NOW);
        assert_eq!(told(&before, &after)[0], r#"password: "***" -> null"#);
    }
}
