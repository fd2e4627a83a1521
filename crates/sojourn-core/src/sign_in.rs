//! A sign-in attempt: its status and the steps that each status allows.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    email::Email,
    factor::{CodeHash, CodeRefusal, SentCode},
    id::{ClientId, EmailAddressId, SessionId, SignInId, UserId},
    time::{Timestamp, minutes},
    user::User,
};

/// Time from the start of an attempt until it is abandoned.
pub const ATTEMPT_LIFETIME: Duration = minutes(60);

/// The stored facts of an attempt. An attempt belongs to the client that started it; no other
/// client can continue it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    pub id: SignInId,
    /// Counts every stored change; see [`crate::client::Client::version`].
    pub version: u64,
    pub client_id: ClientId,
    pub created_at: Timestamp,
    pub status: SignInStatus,
    /// The address that the user typed.
    pub identifier: Option<Email>,
    /// The account that has this address.
    pub user_id: Option<UserId>,
    /// Set if the response must not reveal whether an account has the address (AUT-13). The
    /// response then looks the same for every address and shows this id as the id of the address.
    #[serde(default, rename = "veil")]
    pub hidden_address: Option<EmailAddressId>,
    /// The first factor, verified or in progress.
    pub first_factor: Option<FirstFactor>,
    pub created_session_id: Option<SessionId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignInStatus {
    /// The user has not typed an address yet.
    NeedsIdentifier,
    /// The address is known; no factor is verified yet.
    NeedsFirstFactor,
    /// A reset code is verified; the user must set a new password before a session can start.
    NeedsNewPassword,
    /// The session exists.
    Complete,
}

impl SignInStatus {
    /// The value on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NeedsIdentifier => "needs_identifier",
            Self::NeedsFirstFactor => "needs_first_factor",
            Self::NeedsNewPassword => "needs_new_password",
            Self::Complete => "complete",
        }
    }
}

/// How the user verifies the first factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    Password,
    /// A code sent by mail.
    EmailCode,
    /// A code sent by mail; after it the user sets a new password.
    ResetPasswordEmailCode,
    /// A sign-in token that the application's backend created.
    Ticket,
}

impl Strategy {
    /// The value on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::EmailCode => "email_code",
            Self::ResetPasswordEmailCode => "reset_password_email_code",
            Self::Ticket => "ticket",
        }
    }

    /// Parses the value on the wire.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Password, Self::EmailCode, Self::ResetPasswordEmailCode, Self::Ticket]
            .into_iter()
            .find(|strategy| strategy.as_str() == word)
    }
}

/// The first factor of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstFactor {
    pub strategy: Strategy,
    pub verified: bool,
    /// The code that was sent, for strategies that use one.
    pub code: Option<SentCode>,
}

/// Why an attempt rejects a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepRefusal {
    /// The status of the attempt does not allow this step.
    OutOfOrder,
    /// The code is rejected.
    Code(CodeRefusal),
}

impl SignIn {
    pub const fn new(id: SignInId, client_id: ClientId, now: Timestamp) -> Self {
        Self {
            id,
            version: 0,
            client_id,
            created_at: now,
            status: SignInStatus::NeedsIdentifier,
            identifier: None,
            user_id: None,
            hidden_address: None,
            first_factor: None,
            created_session_id: None,
        }
    }

    /// The time at which the attempt is abandoned.
    pub fn abandon_at(&self) -> Timestamp {
        self.created_at + ATTEMPT_LIFETIME
    }

    /// Whether the attempt can be continued.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.status != SignInStatus::Complete && now < self.abandon_at()
    }

    /// Sets the address and the account that has it.
    pub fn identify(&mut self, email: Email, user_id: UserId) {
        self.status = SignInStatus::NeedsFirstFactor;
        self.identifier = Some(email);
        self.user_id = Some(user_id);
        self.first_factor = None;
    }

    /// Sets the address with enumeration protection: the response shows the id `shown_as` whether
    /// or not an account has the address.
    pub fn identify_hidden(&mut self, email: Email, user_id: Option<UserId>, shown_as: EmailAddressId) {
        self.status = SignInStatus::NeedsFirstFactor;
        self.identifier = Some(email);
        self.user_id = user_id;
        self.hidden_address = Some(shown_as);
        self.first_factor = None;
    }

    /// Stores a code that is being sent. The previous code becomes invalid (AUT-08).
    ///
    /// # Errors
    /// [`StepRefusal::OutOfOrder`] before an address is set and after completion.
    pub fn send_code(&mut self, strategy: Strategy, code: SentCode) -> Result<(), StepRefusal> {
        if !matches!(self.status, SignInStatus::NeedsFirstFactor | SignInStatus::NeedsNewPassword) {
            return Err(StepRefusal::OutOfOrder);
        }
        // A new code resets the verification: a verified reset code must not allow a sign-in by an
        // ordinary code without a new password.
        self.status = SignInStatus::NeedsFirstFactor;
        self.first_factor = Some(FirstFactor { strategy, verified: false, code: Some(code) });
        Ok(())
    }

    /// Verifies the code that was sent for `strategy`. A reset code leads to
    /// [`SignInStatus::NeedsNewPassword`]; after any other code the caller starts the session.
    ///
    /// # Errors
    /// [`StepRefusal`]; the caller stores the attempt in this case too, because a wrong code
    /// counts.
    pub fn answer_code(
        &mut self,
        now: Timestamp,
        strategy: Strategy,
        answer: &CodeHash,
    ) -> Result<(), StepRefusal> {
        if self.status != SignInStatus::NeedsFirstFactor {
            return Err(StepRefusal::OutOfOrder);
        }
        let factor = self.first_factor.as_mut().filter(|factor| factor.strategy == strategy);
        let factor = factor.ok_or(StepRefusal::OutOfOrder)?;
        let code = factor.code.as_mut().ok_or(StepRefusal::OutOfOrder)?;
        code.answer(now, answer).map_err(StepRefusal::Code)?;
        factor.verified = true;
        if strategy == Strategy::ResetPasswordEmailCode {
            self.status = SignInStatus::NeedsNewPassword;
        }
        Ok(())
    }

    /// Verifies the same correct code again: the client may have lost the first response.
    ///
    /// # Errors
    /// As [`Self::answer_code`].
    pub fn repeat_code(
        &mut self,
        now: Timestamp,
        strategy: Strategy,
        answer: &CodeHash,
    ) -> Result<(), StepRefusal> {
        let factor = self.first_factor.as_mut().filter(|factor| factor.strategy == strategy);
        let code = factor.and_then(|factor| factor.code.as_mut()).ok_or(StepRefusal::OutOfOrder)?;
        code.repeat(now, answer).map_err(StepRefusal::Code)
    }

    /// The address that received the code, if the code is verified.
    pub fn proved_address(&self) -> Option<EmailAddressId> {
        let factor = self.first_factor.as_ref().filter(|factor| factor.verified)?;
        factor.code.as_ref()?.email_address_id
    }

    /// Whether the address that received the code still identifies `user`. A code sent to a removed
    /// address is not valid any more.
    pub fn speaks_for(&self, user: &User) -> bool {
        let code = self.first_factor.as_ref().and_then(|factor| factor.code.as_ref());
        code.and_then(|code| code.email_address_id).is_none_or(|id| user.is_identified_by(id))
    }

    /// Completes the attempt after the session was started.
    pub fn complete(&mut self, strategy: Strategy, session_id: SessionId) {
        // The code is kept: if the response is lost, the client may repeat it (decision 20).
        let code = self.first_factor.take().and_then(|factor| factor.code);
        self.first_factor = Some(FirstFactor { strategy, verified: true, code });
        self.status = SignInStatus::Complete;
        self.created_session_id = Some(session_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SeededRng;

    fn attempt() -> SignIn {
        let (now, mut rng) = (Timestamp::from_millis(0), SeededRng::new(1));
        let mut sign_in =
            SignIn::new(SignInId::generate(now, &mut rng), ClientId::generate(now, &mut rng), now);
        let email = Email::parse("ada@example.com").expect("valid");
        sign_in.identify(email, UserId::generate(now, &mut rng));
        sign_in
    }

    fn code(text: &str) -> SentCode {
        let email = Email::parse("ada@example.com").expect("valid");
        SentCode::new(Timestamp::from_millis(0), email, None, CodeHash(text.to_owned()))
    }

    #[test]
    fn a_reset_code_opens_no_session_before_a_new_password_is_set() {
        let mut sign_in = attempt();
        let strategy = Strategy::ResetPasswordEmailCode;
        sign_in.send_code(strategy, code("c")).expect("in order");
        let now = Timestamp::from_millis(1);
        // A reset code is not accepted as a sign-in code.
        let as_sign_in = sign_in.answer_code(now, Strategy::EmailCode, &CodeHash("c".to_owned()));
        assert_eq!(as_sign_in, Err(StepRefusal::OutOfOrder));
        sign_in.answer_code(now, strategy, &CodeHash("c".to_owned())).expect("right");
        assert_eq!(sign_in.status, SignInStatus::NeedsNewPassword);
    }

    #[test]
    fn a_new_code_voids_the_one_before() {
        let mut sign_in = attempt();
        sign_in.send_code(Strategy::EmailCode, code("first")).expect("in order");
        sign_in.send_code(Strategy::EmailCode, code("second")).expect("in order");
        let answer = |sign_in: &mut SignIn, text: &str| {
            sign_in.answer_code(Timestamp::from_millis(1), Strategy::EmailCode, &CodeHash(text.to_owned()))
        };
        assert_eq!(answer(&mut sign_in, "first"), Err(StepRefusal::Code(CodeRefusal::Incorrect)));
        assert_eq!(answer(&mut sign_in, "second"), Ok(()));
    }
}
