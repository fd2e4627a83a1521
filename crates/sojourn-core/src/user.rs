//! An account.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    email::Email,
    factor::{CodeHash, CodeRefusal, Lockout, SentCode},
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
    /// When the account was made.
    pub created_at: Timestamp,
    /// Grows strictly with every change.
    pub updated_at: Timestamp,
    /// The application's own id for it.
    pub external_id: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// Its addresses, in the order they came.
    pub email_addresses: Vec<EmailAddress>,
    /// The address it is reached by.
    pub primary_email_address_id: Option<EmailAddressId>,
    /// The password's hash in PHC form; absent when it has none.
    pub password_hash: Option<PasswordHash>,
    /// When the password was last set.
    pub password_updated_at: Option<Timestamp>,
    /// Readable by the browser, written by the application's server.
    pub public_metadata: Map<String, Value>,
    /// Never leaves the server side.
    pub private_metadata: Map<String, Value>,
    /// Readable and writable by the browser.
    pub unsafe_metadata: Map<String, Value>,
    /// May not sign in, and has no sessions.
    pub banned: bool,
    /// Wrong answers at sign-in.
    pub lockout: Lockout,
    /// The newest completed sign-in.
    pub last_sign_in_at: Option<Timestamp>,
    /// When the terms were accepted.
    pub legal_accepted_at: Option<Timestamp>,
    /// The language it signed up in.
    pub locale: Option<String>,
}

/// A password hash in PHC string form. Prints as `***`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(pub String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(***)")
    }
}

/// One address of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailAddress {
    /// Its id.
    pub id: EmailAddressId,
    /// The address.
    pub email: Email,
    /// How it was proved: `email_code`, `ticket`, or `admin` when the
    /// application's server vouched for it; absent when it was not.
    pub verified_by: Option<String>,
    /// When it was added.
    pub created_at: Timestamp,
    /// The code that is to prove it, while one is under way.
    #[serde(default)]
    pub code: Option<SentCode>,
}

/// How many addresses an account may have.
pub const MAX_EMAIL_ADDRESSES: usize = 10;

/// Why the addresses of an account stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailRefusal {
    /// The account has no address of this id.
    Unknown,
    /// The account has this address already.
    Present,
    /// It has [`MAX_EMAIL_ADDRESSES`].
    TooMany,
    /// Nobody proved it yet.
    Unverified,
    /// It was proved before.
    Verified,
    /// The account is reached by it.
    Primary,
    /// The code's answer is not accepted. `None`: there is no code.
    Code(Option<CodeRefusal>),
}

impl User {
    /// An account with nothing in it yet.
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
            lockout: Lockout::default(),
            last_sign_in_at: None,
            legal_accepted_at: None,
            locale: None,
        }
    }

    /// Adds an address; the first one is the primary one.
    pub fn add_email(&mut self, id: EmailAddressId, email: Email, verified_by: Option<&str>, now: Timestamp) {
        let verified_by = verified_by.map(str::to_owned);
        self.email_addresses.push(EmailAddress { id, email, verified_by, created_at: now, code: None });
        self.primary_email_address_id.get_or_insert(id);
    }

    /// The address it is reached by.
    pub fn primary_email(&self) -> Option<&EmailAddress> {
        let primary = self.primary_email_address_id;
        self.email_addresses.iter().find(|address| Some(address.id) == primary)
    }

    /// The address with that id.
    pub fn email(&self, id: EmailAddressId) -> Option<&EmailAddress> {
        self.email_addresses.iter().find(|address| address.id == id)
    }

    /// The addresses that name this account and no other: proved ones, and the
    /// primary one. Anybody can add an address that is not theirs, so one that
    /// is only added names nobody, and keeps nobody from proving it.
    pub fn identifying_emails(&self) -> impl Iterator<Item = &EmailAddress> {
        let primary = self.primary_email_address_id;
        let names =
            move |address: &&EmailAddress| address.verified_by.is_some() || Some(address.id) == primary;
        self.email_addresses.iter().filter(names)
    }

    /// Whether a code that went to this address speaks for the account.
    pub fn is_identified_by(&self, id: EmailAddressId) -> bool {
        self.identifying_emails().any(|address| address.id == id)
    }

    /// Whether a code by mail leads into the account, so that it needs no password.
    pub fn has_verified_email(&self) -> bool {
        self.email_addresses.iter().any(|address| address.verified_by.is_some())
    }

    /// Adds an address that is to be proved.
    ///
    /// # Errors
    /// [`EmailRefusal::Present`], [`EmailRefusal::TooMany`].
    pub fn add_unverified_email(
        &mut self,
        id: EmailAddressId,
        email: Email,
        now: Timestamp,
    ) -> Result<(), EmailRefusal> {
        if self.email_addresses.iter().any(|address| address.email == email) {
            return Err(EmailRefusal::Present);
        }
        if self.email_addresses.len() >= MAX_EMAIL_ADDRESSES {
            return Err(EmailRefusal::TooMany);
        }
        // Not the primary one, even if it is the first: that would claim it.
        self.email_addresses.push(EmailAddress { id, email, verified_by: None, created_at: now, code: None });
        self.changed(now);
        Ok(())
    }

    /// A code for an address is on its way; a code sent before is void (AUT-08).
    ///
    /// # Errors
    /// [`EmailRefusal::Unknown`], [`EmailRefusal::Verified`].
    pub fn send_email_code(&mut self, id: EmailAddressId, code: SentCode) -> Result<(), EmailRefusal> {
        self.unverified(id)?.code = Some(code);
        Ok(())
    }

    /// Takes an answer to the code of an address; the right one proves it.
    /// Wrong ones count for the account as well.
    ///
    /// # Errors
    /// [`EmailRefusal`]; the account has to be stored even then, because the
    /// answer counts.
    pub fn answer_email_code(
        &mut self,
        now: Timestamp,
        id: EmailAddressId,
        answer: &CodeHash,
    ) -> Result<(), EmailRefusal> {
        let address = self.unverified(id)?;
        let code = address.code.as_mut().ok_or(EmailRefusal::Code(None))?;
        match code.answer(now, answer) {
            Ok(()) => {
                address.verified_by = Some("email_code".to_owned());
                address.code = None;
                self.primary_email_address_id.get_or_insert(id);
                self.changed(now);
                Ok(())
            }
            Err(refusal) => {
                if refusal == CodeRefusal::Incorrect {
                    // Whoever is locked out is not asked at all, so there is room for one more.
                    let _ = self.lockout.book(now);
                }
                Err(EmailRefusal::Code(Some(refusal)))
            }
        }
    }

    fn unverified(&mut self, id: EmailAddressId) -> Result<&mut EmailAddress, EmailRefusal> {
        let address = self.email_addresses.iter_mut().find(|address| address.id == id);
        let address = address.ok_or(EmailRefusal::Unknown)?;
        if address.verified_by.is_some() { Err(EmailRefusal::Verified) } else { Ok(address) }
    }

    /// Makes an address the one that the account is reached by.
    ///
    /// # Errors
    /// [`EmailRefusal::Unknown`], [`EmailRefusal::Unverified`].
    pub fn make_primary(&mut self, id: EmailAddressId) -> Result<(), EmailRefusal> {
        let address = self.email(id).ok_or(EmailRefusal::Unknown)?;
        if address.verified_by.is_none() {
            return Err(EmailRefusal::Unverified);
        }
        self.primary_email_address_id = Some(id);
        Ok(())
    }

    /// Takes an address away. The one that the account is reached by stays, and
    /// so does the last one.
    ///
    /// # Errors
    /// [`EmailRefusal::Unknown`], [`EmailRefusal::Primary`].
    pub fn remove_email(&mut self, id: EmailAddressId, now: Timestamp) -> Result<(), EmailRefusal> {
        self.email(id).ok_or(EmailRefusal::Unknown)?;
        if self.primary_email_address_id == Some(id) || self.email_addresses.len() == 1 {
            return Err(EmailRefusal::Primary);
        }
        self.email_addresses.retain(|address| address.id != id);
        self.changed(now);
        Ok(())
    }

    /// Both names, or the one there is.
    pub fn full_name(&self) -> Option<String> {
        match (self.first_name.as_deref(), self.last_name.as_deref()) {
            (Some(first), Some(last)) => Some(format!("{first} {last}")),
            (Some(name), None) | (None, Some(name)) => Some(name.to_owned()),
            (None, None) => None,
        }
    }

    /// Notes a change that others can see.
    pub fn changed(&mut self, now: Timestamp) {
        self.updated_at = after(self.updated_at, now);
    }

    /// Sets a new password.
    pub fn set_password(&mut self, hash: PasswordHash, now: Timestamp) {
        self.password_hash = Some(hash);
        self.password_updated_at = Some(now);
        self.changed(now);
    }

    /// Takes the password away.
    pub fn remove_password(&mut self, now: Timestamp) {
        self.password_hash = None;
        self.password_updated_at = Some(now);
        self.changed(now);
    }

    /// Notes a completed sign-in: the right answer forgives the wrong ones.
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
    use crate::{
        factor::{CODE_ATTEMPTS, LOCKOUT_ATTEMPTS},
        testing::Dice,
    };

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn email(text: &str) -> Email {
        Email::parse(text).expect("an address")
    }

    /// Ada, reached by a proved address, who adds another one.
    fn ada() -> (User, EmailAddressId, EmailAddressId) {
        let mut dice = Dice::new(1);
        let mut ada = User::new(UserId::generate(NOW, &mut dice), NOW);
        let (old, new) = (EmailAddressId::generate(NOW, &mut dice), EmailAddressId::generate(NOW, &mut dice));
        ada.add_email(old, email("ada@example.com"), Some("email_code"), NOW);
        ada.add_unverified_email(new, email("countess@example.com"), NOW).expect("room for a second");
        (ada, old, new)
    }

    fn send(user: &mut User, id: EmailAddressId) {
        let to = user.email(id).expect("an address").email.clone();
        let code = SentCode::new(NOW, to, Some(id), CodeHash("right".to_owned()));
        user.send_email_code(id, code).expect("not proved yet");
    }

    fn answer(user: &mut User, id: EmailAddressId, answer: &str) -> Result<(), EmailRefusal> {
        user.answer_email_code(NOW, id, &CodeHash(answer.to_owned()))
    }

    fn identifiers(user: &User) -> Vec<&str> {
        user.identifying_emails().map(|address| address.email.as_str()).collect()
    }

    #[test]
    fn an_added_address_names_the_account_when_it_is_proved() {
        let (mut ada, _, new) = ada();
        assert_eq!(identifiers(&ada), ["ada@example.com"]);
        assert_eq!(answer(&mut ada, new, "right"), Err(EmailRefusal::Code(None)));
        send(&mut ada, new);
        assert_eq!(identifiers(&ada), ["ada@example.com"]);
        assert_eq!(answer(&mut ada, new, "right"), Ok(()));
        assert_eq!(identifiers(&ada), ["ada@example.com", "countess@example.com"]);
        assert_eq!(answer(&mut ada, new, "right"), Err(EmailRefusal::Verified));
    }

    #[test]
    fn the_address_of_a_sign_up_names_the_account_without_a_proof() {
        let mut dice = Dice::new(1);
        let mut eve = User::new(UserId::generate(NOW, &mut dice), NOW);
        eve.add_email(EmailAddressId::generate(NOW, &mut dice), email("eve@example.com"), None, NOW);
        assert_eq!(identifiers(&eve), ["eve@example.com"]);
        assert!(!eve.has_verified_email());
    }

    #[test]
    fn wrong_answers_spend_the_code_and_count_for_the_account() {
        let (mut ada, _, new) = ada();
        let incorrect = Err(EmailRefusal::Code(Some(CodeRefusal::Incorrect)));
        send(&mut ada, new);
        for _ in 0..CODE_ATTEMPTS {
            assert_eq!(answer(&mut ada, new, "wrong"), incorrect);
        }
        assert_eq!(answer(&mut ada, new, "right"), Err(EmailRefusal::Code(Some(CodeRefusal::Spent))));
        // A new code is a new chance, but not without end.
        send(&mut ada, new);
        for _ in CODE_ATTEMPTS..LOCKOUT_ATTEMPTS {
            assert!(!ada.lockout.is_locked(NOW));
            assert_eq!(answer(&mut ada, new, "wrong"), incorrect);
        }
        assert!(ada.lockout.is_locked(NOW));
    }

    #[test]
    fn only_a_proved_address_becomes_the_primary_one_and_the_primary_one_stays() {
        let (mut ada, old, new) = ada();
        assert_eq!(ada.make_primary(new), Err(EmailRefusal::Unverified));
        assert_eq!(ada.remove_email(old, NOW), Err(EmailRefusal::Primary));
        send(&mut ada, new);
        answer(&mut ada, new, "right").expect("proved");
        ada.make_primary(new).expect("proved");
        assert_eq!(ada.remove_email(new, NOW), Err(EmailRefusal::Primary));
        ada.remove_email(old, NOW).expect("not the primary one");
        assert_eq!(identifiers(&ada), ["countess@example.com"]);
        assert_eq!(ada.remove_email(old, NOW), Err(EmailRefusal::Unknown));
        ada.primary_email_address_id = None;
        assert_eq!(ada.remove_email(new, NOW), Err(EmailRefusal::Primary));
    }

    #[test]
    fn an_account_has_ten_addresses_at_most_and_each_once() {
        let (mut ada, _, _) = ada();
        let mut dice = Dice::new(2);
        let mut add =
            |text: &str| ada.add_unverified_email(EmailAddressId::generate(NOW, &mut dice), email(text), NOW);
        assert_eq!(add("countess@example.com"), Err(EmailRefusal::Present));
        for n in 3..=MAX_EMAIL_ADDRESSES {
            assert_eq!(add(&format!("ada{n}@example.com")), Ok(()));
        }
        assert_eq!(add("ada@example.org"), Err(EmailRefusal::TooMany));
    }

    #[test]
    fn an_account_stored_without_codes_is_read() {
        let (ada, _, _) = ada();
        let mut stored = serde_json::to_value(&ada).expect("JSON");
        for address in stored["email_addresses"].as_array_mut().expect("a list") {
            address.as_object_mut().expect("an object").remove("code");
        }
        assert_eq!(serde_json::from_value::<User>(stored).expect("an account"), ada);
    }

    #[test]
    fn metadata_merges_deeply_and_null_deletes() {
        let mut metadata = json!({"a": {"b": 1, "c": 2}, "d": [1]}).as_object().cloned().expect("object");
        let patch = json!({"a": {"b": null, "e": {"f": null, "g": 1}}, "d": [2], "h": null});
        merge_metadata(&mut metadata, patch.as_object().expect("object"));
        assert_eq!(Value::Object(metadata), json!({"a": {"c": 2, "e": {"g": 1}}, "d": [2]}));
    }
}
