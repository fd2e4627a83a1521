//! A user account.

mod addresses;

pub use addresses::{EmailRefusal, MAX_EMAIL_ADDRESSES};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    email::Email,
    factor::{Lockout, SentCode},
    id::{EmailAddressId, UserId},
    session::after,
    time::Timestamp,
};

/// The stored facts of an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// Never reused.
    pub id: UserId,
    /// Counts every stored change; see [`crate::client::Client::version`].
    pub version: u64,
    pub created_at: Timestamp,
    /// Strictly increasing: every change gets a later time.
    pub updated_at: Timestamp,
    /// The id that the application gave this account.
    pub external_id: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    /// In the order in which they were added.
    pub email_addresses: Vec<EmailAddress>,
    pub primary_email_address_id: Option<EmailAddressId>,
    /// The password hash in PHC format; `None` if the account has no password.
    pub password_hash: Option<PasswordHash>,
    /// When the password was last set or removed. Strictly increasing: equal times mean the same
    /// password, even if it was rehashed.
    pub password_updated_at: Option<Timestamp>,
    /// The browser can read it; only the application's backend can write it.
    pub public_metadata: Map<String, Value>,
    /// Only the application's backend can read it.
    pub private_metadata: Map<String, Value>,
    /// The browser can read and write it.
    pub unsafe_metadata: Map<String, Value>,
    /// A banned user cannot sign in and has no sessions.
    pub banned: bool,
    /// Whether the user may delete the account.
    #[serde(default = "yes")]
    pub delete_self_enabled: bool,
    /// Failed verifications over all factors.
    pub lockout: Lockout,
    /// The most recent completed sign-in.
    pub last_sign_in_at: Option<Timestamp>,
    /// When the user accepted the terms of service.
    pub legal_accepted_at: Option<Timestamp>,
    /// The language at sign-up.
    pub locale: Option<String>,
}

/// The default for users that were stored before this field existed.
const fn yes() -> bool {
    true
}

/// A password hash in PHC string format. `Debug` prints `***`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(pub String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(***)")
    }
}

/// An e-mail address of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailAddress {
    pub id: EmailAddressId,
    pub email: Email,
    /// How the address was verified: `email_code`, `ticket`, or `admin` if the application's
    /// backend confirmed it. `None`: it is not verified.
    pub verified_by: Option<String>,
    pub created_at: Timestamp,
    /// The code that was sent to verify the address.
    #[serde(default)]
    pub code: Option<SentCode>,
}

impl User {
    /// An account without addresses and password.
    pub fn new(id: UserId, now: Timestamp) -> Self {
        Self {
            id,
            version: 0,
            created_at: now,
            updated_at: now,
            external_id: None,
            first_name: None,
            last_name: None,
            email_addresses: Vec::new(),
            primary_email_address_id: None,
            password_hash: None,
            password_updated_at: None,
            public_metadata: Map::new(),
            private_metadata: Map::new(),
            unsafe_metadata: Map::new(),
            banned: false,
            delete_self_enabled: true,
            lockout: Lockout::default(),
            last_sign_in_at: None,
            legal_accepted_at: None,
            locale: None,
        }
    }

    /// Adds an address. The first address becomes the primary one.
    pub fn add_email(&mut self, id: EmailAddressId, email: Email, verified_by: Option<&str>, now: Timestamp) {
        let verified_by = verified_by.map(str::to_owned);
        self.email_addresses.push(EmailAddress { id, email, verified_by, created_at: now, code: None });
        self.primary_email_address_id.get_or_insert(id);
    }

    pub fn primary_email(&self) -> Option<&EmailAddress> {
        let primary = self.primary_email_address_id;
        self.email_addresses.iter().find(|address| Some(address.id) == primary)
    }

    pub fn email(&self, id: EmailAddressId) -> Option<&EmailAddress> {
        self.email_addresses.iter().find(|address| address.id == id)
    }

    /// First and last name, or the one that is set.
    pub fn full_name(&self) -> Option<String> {
        match (self.first_name.as_deref(), self.last_name.as_deref()) {
            (Some(first), Some(last)) => Some(format!("{first} {last}")),
            (Some(name), None) | (None, Some(name)) => Some(name.to_owned()),
            (None, None) => None,
        }
    }

    /// Updates `updated_at` after a change that clients can see.
    pub fn changed(&mut self, now: Timestamp) {
        self.updated_at = after(self.updated_at, now);
    }

    pub fn set_password(&mut self, hash: PasswordHash, now: Timestamp) {
        self.password_hash = Some(hash);
        self.password_changed(now);
    }

    /// Replaces the hash of the same password. Clients cannot see this change, so `updated_at`
    /// stays.
    pub fn renew_hash(&mut self, hash: PasswordHash) {
        self.password_hash = Some(hash);
    }

    /// Whether the password is the same as in `before`.
    pub fn has_password_of(&self, before: &Self) -> bool {
        self.password_hash.is_some() == before.password_hash.is_some()
            && self.password_updated_at == before.password_updated_at
    }

    pub fn remove_password(&mut self, now: Timestamp) {
        self.password_hash = None;
        self.password_changed(now);
    }

    fn password_changed(&mut self, now: Timestamp) {
        self.password_updated_at = Some(self.password_updated_at.map_or(now, |before| after(before, now)));
        self.changed(now);
    }

    /// Records a completed sign-in and resets the count of failed verifications.
    pub fn signed_in(&mut self, now: Timestamp) {
        self.last_sign_in_at = Some(now);
        self.lockout = Lockout::default();
        self.changed(now);
    }
}

/// Merges `patch` into `metadata`: objects deeply, `null` deletes a key.
/// Compat: bapi PATCH /users/{id}/metadata
pub fn merge_metadata(metadata: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, value) in patch {
        match (metadata.get_mut(key), value) {
            (_, Value::Null) => {
                metadata.remove(key);
            }
            (Some(Value::Object(inner)), Value::Object(patch)) => merge_metadata(inner, patch),
            (_, Value::Object(patch)) => {
                let mut inner = Map::new();
                merge_metadata(&mut inner, patch);
                metadata.insert(key.clone(), Value::Object(inner));
            }
            _ => {
                metadata.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::SeededRng;

    #[test]
    fn aut_03_a_rehash_is_the_same_password_and_a_new_one_is_not() {
        let (now, hash) = (Timestamp::from_millis(5), |text: &str| PasswordHash(text.to_owned()));
        let mut ada = User::new(UserId::generate(now, &mut SeededRng::new(1)), now);
        ada.set_password(hash("old"), now);
        let before = ada.clone();
        ada.renew_hash(hash("old, hashed anew"));
        assert!(ada.has_password_of(&before));
        assert_eq!(ada.updated_at, before.updated_at);
        ada.set_password(hash("new"), now);
        assert!(!ada.has_password_of(&before));
        let before = ada.clone();
        ada.remove_password(now);
        assert!(!ada.has_password_of(&before));
    }

    #[test]
    fn metadata_merges_deeply_and_null_deletes() {
        let mut metadata = json!({"a": {"b": 1, "c": 2}, "d": [1]}).as_object().cloned().expect("object");
        let patch = json!({"a": {"b": null, "e": {"f": null, "g": 1}}, "d": [2], "h": null});
        merge_metadata(&mut metadata, patch.as_object().expect("object"));
        assert_eq!(Value::Object(metadata), json!({"a": {"c": 2, "e": {"g": 1}}, "d": [2]}));
    }
}
