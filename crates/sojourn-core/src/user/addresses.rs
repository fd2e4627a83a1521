//! The e-mail addresses of an account: which of them identify it, and how they are added, verified
//! and removed.

use super::{EmailAddress, User};
use crate::{
    email::Email,
    factor::{CodeHash, CodeRefusal, SentCode},
    id::EmailAddressId,
    time::Timestamp,
};

/// The maximum number of addresses per account.
pub const MAX_EMAIL_ADDRESSES: usize = 10;

/// Why a change of the addresses is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailRefusal {
    /// The account has no address with this id.
    Unknown,
    /// The account already has this address.
    Present,
    /// The account already has [`MAX_EMAIL_ADDRESSES`].
    TooMany,
    /// The address is not verified.
    Unverified,
    /// The address is already verified.
    Verified,
    /// The primary address cannot be removed.
    Primary,
    /// The code is rejected. `None`: no code was sent.
    Code(Option<CodeRefusal>),
}

impl User {
    /// The addresses that identify this account and no other: verified ones and the primary one.
    /// Anybody can add an address that belongs to somebody else, so an unverified address
    /// identifies nobody and does not stop its owner from verifying it.
    pub fn identifying_emails(&self) -> impl Iterator<Item = &EmailAddress> {
        let primary = self.primary_email_address_id;
        let names =
            move |address: &&EmailAddress| address.verified_by.is_some() || Some(address.id) == primary;
        self.email_addresses.iter().filter(names)
    }

    /// Whether a code sent to this address identifies the account.
    pub fn is_identified_by(&self, id: EmailAddressId) -> bool {
        self.identifying_emails().any(|address| address.id == id)
    }

    /// Whether the user can sign in by a code sent by mail, without a password.
    pub fn has_verified_email(&self) -> bool {
        self.email_addresses.iter().any(|address| address.verified_by.is_some())
    }

    /// Adds an address that is not verified yet.
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
        // Not the primary one, even if it is the first: a primary address identifies the account.
        self.email_addresses.push(EmailAddress { id, email, verified_by: None, created_at: now, code: None });
        self.changed(now);
        Ok(())
    }

    /// Stores a code that is being sent. The previous code becomes invalid (AUT-08).
    ///
    /// # Errors
    /// [`EmailRefusal::Unknown`], [`EmailRefusal::Verified`].
    pub fn send_email_code(&mut self, id: EmailAddressId, code: SentCode) -> Result<(), EmailRefusal> {
        self.unverified(id)?.code = Some(code);
        Ok(())
    }

    /// Verifies the code of an address. A wrong code also counts towards the lockout of the
    /// account.
    ///
    /// # Errors
    /// [`EmailRefusal`]; the caller stores the account in this case too, because a wrong code
    /// counts.
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
                    // The caller rejects a locked account before this point, so `book` cannot fail.
                    let _ = self.lockout.book(now);
                }
                Err(EmailRefusal::Code(Some(refusal)))
            }
        }
    }

    /// Marks an identifying address as verified after its user entered a code that was sent to it.
    /// Returns whether this changed the account.
    pub fn prove_email(&mut self, id: EmailAddressId) -> bool {
        if !self.is_identified_by(id) {
            return false;
        }
        let Ok(address) = self.unverified(id) else { return false };
        address.verified_by = Some("email_code".to_owned());
        address.code = None;
        true
    }

    fn unverified(&mut self, id: EmailAddressId) -> Result<&mut EmailAddress, EmailRefusal> {
        let address = self.email_addresses.iter_mut().find(|address| address.id == id);
        let address = address.ok_or(EmailRefusal::Unknown)?;
        if address.verified_by.is_some() { Err(EmailRefusal::Verified) } else { Ok(address) }
    }

    /// Makes a verified address the primary one.
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

    /// Removes an address. The primary address and the last address cannot be removed.
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        factor::{CODE_ATTEMPTS, LOCKOUT_ATTEMPTS},
        id::UserId,
        testing::SeededRng,
    };

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn email(text: &str) -> Email {
        Email::parse(text).expect("an address")
    }

    /// Ada, with a verified primary address and a second, unverified one.
    fn ada() -> (User, EmailAddressId, EmailAddressId) {
        let mut rng = SeededRng::new(1);
        let mut ada = User::new(UserId::generate(NOW, &mut rng), NOW);
        let (old, new) = (EmailAddressId::generate(NOW, &mut rng), EmailAddressId::generate(NOW, &mut rng));
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
        let mut rng = SeededRng::new(1);
        let mut eve = User::new(UserId::generate(NOW, &mut rng), NOW);
        eve.add_email(EmailAddressId::generate(NOW, &mut rng), email("eve@example.com"), None, NOW);
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
        // A new code allows new attempts, up to the lockout of the account.
        send(&mut ada, new);
        for _ in CODE_ATTEMPTS..LOCKOUT_ATTEMPTS {
            assert!(!ada.lockout.is_locked(NOW));
            assert_eq!(answer(&mut ada, new, "wrong"), incorrect);
        }
        assert!(ada.lockout.is_locked(NOW));
    }

    #[test]
    fn only_a_verified_address_becomes_primary() {
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
        let mut rng = SeededRng::new(2);
        let mut add =
            |text: &str| ada.add_unverified_email(EmailAddressId::generate(NOW, &mut rng), email(text), NOW);
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
}
