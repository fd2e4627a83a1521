//! One attempt to sign up: what it has, what it still needs.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    email::Email,
    factor::{CodeHash, CodeRefusal, SentCode},
    id::{ClientId, EmailAddressId, SessionId, SignUpId, UserId},
    sign_in::ATTEMPT_LIFETIME,
    time::Timestamp,
    user::{PasswordHash, User},
};

/// The stored facts of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignUp {
    /// Its id.
    pub id: SignUpId,
    /// Counts every stored change; see [`crate::client::Client::version`].
    pub version: u64,
    /// The browser.
    pub client_id: ClientId,
    /// When it began.
    pub created_at: Timestamp,
    /// What was given so far.
    pub fields: SignUpFields,
    /// The code that was sent to the address.
    pub code: Option<SentCode>,
    /// Set when the address was proved.
    pub email_verified: bool,
    /// The session it led to.
    pub created_session_id: Option<SessionId>,
    /// The account it led to.
    pub created_user_id: Option<UserId>,
}

/// What a sign-up is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignUpFields {
    /// Required.
    pub email: Option<Email>,
    /// Required.
    pub password_hash: Option<PasswordHash>,
    /// Optional.
    pub first_name: Option<String>,
    /// Optional.
    pub last_name: Option<String>,
    /// Optional; the browser's to write.
    pub unsafe_metadata: Map<String, Value>,
    /// When the terms were accepted, if they were.
    pub legal_accepted_at: Option<Timestamp>,
    /// Optional.
    pub locale: Option<String>,
}

/// Where an attempt is, in the words of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignUpStatus {
    /// Fields are missing or unverified.
    MissingRequirements,
    /// An account and a session exist.
    Complete,
    /// Given up.
    Abandoned,
}

impl SignUpStatus {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingRequirements => "missing_requirements",
            Self::Complete => "complete",
            Self::Abandoned => "abandoned",
        }
    }
}

impl SignUp {
    /// A new attempt of a browser.
    pub fn new(id: SignUpId, client_id: ClientId, now: Timestamp) -> Self {
        Self {
            id,
            version: 0,
            client_id,
            created_at: now,
            fields: SignUpFields::default(),
            code: None,
            email_verified: false,
            created_session_id: None,
            created_user_id: None,
        }
    }

    /// When it is given up.
    pub fn abandon_at(&self) -> Timestamp {
        self.created_at + ATTEMPT_LIFETIME
    }

    /// Where it is.
    pub fn status(&self, now: Timestamp) -> SignUpStatus {
        if self.created_user_id.is_some() {
            SignUpStatus::Complete
        } else if now >= self.abandon_at() {
            SignUpStatus::Abandoned
        } else {
            SignUpStatus::MissingRequirements
        }
    }

    /// Takes what is given and keeps the rest. Another address has to be
    /// proved again.
    pub fn update(&mut self, fields: SignUpFields) {
        if fields.email.is_some() && fields.email != self.fields.email {
            self.email_verified = false;
            self.code = None;
        }
        let own = &mut self.fields;
        let keep = |new: Option<String>, old: &mut Option<String>| *old = new.or_else(|| old.take());
        own.email = fields.email.or_else(|| own.email.take());
        own.password_hash = fields.password_hash.or_else(|| own.password_hash.take());
        keep(fields.first_name, &mut own.first_name);
        keep(fields.last_name, &mut own.last_name);
        keep(fields.locale, &mut own.locale);
        own.legal_accepted_at = fields.legal_accepted_at.or(own.legal_accepted_at);
        if !fields.unsafe_metadata.is_empty() {
            own.unsafe_metadata = fields.unsafe_metadata;
        }
    }

    /// The required fields that were not given.
    pub fn missing_fields(&self) -> Vec<&'static str> {
        let given = [
            ("email_address", self.fields.email.is_some()),
            ("password", self.fields.password_hash.is_some()),
        ];
        given.into_iter().filter(|(_, given)| !given).map(|(name, _)| name).collect()
    }

    /// The fields that were given and have to be proved.
    pub fn unverified_fields(&self, verify_email: bool) -> Vec<&'static str> {
        let unproved = verify_email && self.fields.email.is_some() && !self.email_verified;
        if unproved { vec!["email_address"] } else { Vec::new() }
    }

    /// Whether an account may be made of it.
    pub fn is_ready(&self, now: Timestamp, verify_email: bool) -> bool {
        self.status(now) == SignUpStatus::MissingRequirements
            && self.missing_fields().is_empty()
            && self.unverified_fields(verify_email).is_empty()
    }

    /// Takes an answer to the code.
    ///
    /// # Errors
    /// [`CodeRefusal`]; the attempt has to be stored even then.
    pub fn answer_code(&mut self, now: Timestamp, answer: &CodeHash) -> Result<(), CodeRefusal> {
        let code = self.code.as_mut().ok_or(CodeRefusal::Expired)?;
        code.answer(now, answer)?;
        self.email_verified = true;
        Ok(())
    }

    /// Takes the right answer again: the answer to it may never have arrived.
    ///
    /// # Errors
    /// As [`Self::answer_code`].
    pub fn repeat_code(&mut self, now: Timestamp, answer: &CodeHash) -> Result<(), CodeRefusal> {
        self.code.as_mut().ok_or(CodeRefusal::Expired)?.repeat(now, answer)
    }

    /// The account made of it, and the attempt as it is then.
    pub fn complete(
        &mut self,
        now: Timestamp,
        user_id: UserId,
        email_id: EmailAddressId,
        session_id: SessionId,
    ) -> User {
        let mut user = User::new(user_id, now);
        let fields = &self.fields;
        if let Some(email) = fields.email.clone() {
            user.add_email(email_id, email, self.email_verified.then_some("email_code"), now);
        }
        user.password_hash = fields.password_hash.clone();
        user.password_updated_at = fields.password_hash.as_ref().map(|_| now);
        user.first_name = fields.first_name.clone();
        user.last_name = fields.last_name.clone();
        user.unsafe_metadata = fields.unsafe_metadata.clone();
        user.legal_accepted_at = fields.legal_accepted_at;
        user.locale = fields.locale.clone();
        user.last_sign_in_at = Some(now);
        self.created_user_id = Some(user_id);
        self.created_session_id = Some(session_id);
        user
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SeededRng;

    fn attempt() -> SignUp {
        let (now, mut rng) = (Timestamp::from_millis(0), SeededRng::new(1));
        SignUp::new(SignUpId::generate(now, &mut rng), ClientId::generate(now, &mut rng), now)
    }

    fn with_email(text: &str) -> SignUpFields {
        SignUpFields { email: Some(Email::parse(text).expect("valid")), ..SignUpFields::default() }
    }

    #[test]
    fn another_address_has_to_be_proved_again() {
        let mut sign_up = attempt();
        sign_up.update(with_email("ada@example.com"));
        sign_up.email_verified = true;
        sign_up.update(with_email("ada@example.com"));
        assert!(sign_up.email_verified);
        sign_up.update(with_email("eve@example.com"));
        assert!(!sign_up.email_verified);
    }

    #[test]
    fn without_verification_an_address_and_a_password_are_enough() {
        let (mut sign_up, now) = (attempt(), Timestamp::from_millis(1));
        sign_up.update(with_email("ada@example.com"));
        assert_eq!(sign_up.missing_fields(), ["password"]);
        sign_up.fields.password_hash = Some(PasswordHash("$argon2id$".to_owned()));
        assert!(sign_up.is_ready(now, false));
        assert!(!sign_up.is_ready(now, true));
    }
}
