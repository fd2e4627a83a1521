//! A sign-up attempt: the fields it has and the fields that are missing.

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
    pub id: SignUpId,
    /// Counts every stored change; see [`crate::client::Client::version`].
    pub version: u64,
    pub client_id: ClientId,
    pub created_at: Timestamp,
    pub fields: SignUpFields,
    /// The code that was sent to the address.
    pub code: Option<SentCode>,
    pub email_verified: bool,
    pub created_session_id: Option<SessionId>,
    pub created_user_id: Option<UserId>,
}

/// The fields of the account to create.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignUpFields {
    /// Required.
    pub email: Option<Email>,
    /// Required.
    pub password_hash: Option<PasswordHash>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    /// The browser may write it.
    pub unsafe_metadata: Map<String, Value>,
    /// When the user accepted the terms of service.
    pub legal_accepted_at: Option<Timestamp>,
    pub locale: Option<String>,
}

/// The status of an attempt on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignUpStatus {
    /// A required field is missing or unverified.
    MissingRequirements,
    /// The account and its session exist.
    Complete,
    /// The attempt took longer than [`ATTEMPT_LIFETIME`].
    Abandoned,
}

impl SignUpStatus {
    /// The value on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingRequirements => "missing_requirements",
            Self::Complete => "complete",
            Self::Abandoned => "abandoned",
        }
    }
}

impl SignUp {
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

    /// The time at which the attempt is abandoned.
    pub fn abandon_at(&self) -> Timestamp {
        self.created_at + ATTEMPT_LIFETIME
    }

    pub fn status(&self, now: Timestamp) -> SignUpStatus {
        if self.created_user_id.is_some() {
            SignUpStatus::Complete
        } else if now >= self.abandon_at() {
            SignUpStatus::Abandoned
        } else {
            SignUpStatus::MissingRequirements
        }
    }

    /// Replaces the given fields and leaves the others unchanged. A new address must be verified
    /// again.
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

    /// The names of required fields without a value.
    pub fn missing_fields(&self) -> Vec<&'static str> {
        let given = [
            ("email_address", self.fields.email.is_some()),
            ("password", self.fields.password_hash.is_some()),
        ];
        given.into_iter().filter(|(_, given)| !given).map(|(name, _)| name).collect()
    }

    /// The names of fields that must be verified before completion.
    pub fn unverified_fields(&self, verify_email: bool) -> Vec<&'static str> {
        let unproved = verify_email && self.fields.email.is_some() && !self.email_verified;
        if unproved { vec!["email_address"] } else { Vec::new() }
    }

    /// Whether the account can be created.
    pub fn is_ready(&self, now: Timestamp, verify_email: bool) -> bool {
        self.status(now) == SignUpStatus::MissingRequirements
            && self.missing_fields().is_empty()
            && self.unverified_fields(verify_email).is_empty()
    }

    /// Verifies the code.
    ///
    /// # Errors
    /// [`CodeRefusal`]; the caller stores the attempt in this case too, because a wrong code
    /// counts.
    pub fn answer_code(&mut self, now: Timestamp, answer: &CodeHash) -> Result<(), CodeRefusal> {
        let code = self.code.as_mut().ok_or(CodeRefusal::Expired)?;
        code.answer(now, answer)?;
        self.email_verified = true;
        Ok(())
    }

    /// Verifies the same correct code again: the client may have lost the first response.
    ///
    /// # Errors
    /// As [`Self::answer_code`].
    pub fn repeat_code(&mut self, now: Timestamp, answer: &CodeHash) -> Result<(), CodeRefusal> {
        self.code.as_mut().ok_or(CodeRefusal::Expired)?.repeat(now, answer)
    }

    /// Creates the account and completes the attempt.
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
