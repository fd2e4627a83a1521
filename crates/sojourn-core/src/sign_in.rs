//! One attempt to sign in: which step it is at, and what may come next.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    email::Email,
    factor::{CodeHash, CodeRefusal, SentCode},
    id::{ClientId, EmailAddressId, SessionId, SignInId, UserId},
    time::{Timestamp, minutes},
    user::User,
};

/// How long an attempt may take.
pub const ATTEMPT_LIFETIME: Duration = minutes(60);

/// The stored facts of an attempt. It belongs to the browser that began it
/// and to no other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// Its id.
    pub id: SignInId,
    /// Counts every stored change; see [`crate::client::Client::version`].
    pub version: u64,
    /// The browser.
    pub client_id: ClientId,
    /// When it began.
    pub created_at: Timestamp,
    /// Where it is.
    pub status: SignInStatus,
    /// Who it is for.
    pub identifier: Option<Email>,
    /// The account behind the identifier.
    pub user_id: Option<UserId>,
    /// Set where the attempt must not tell whether there is one (AUT-13): it
    /// looks then as it would for any address, which is known by this id.
    #[serde(default, rename = "veil")]
    pub hidden_address: Option<EmailAddressId>,
    /// The first factor that is being proved or was.
    pub first_factor: Option<FirstFactor>,
    /// The session it led to.
    pub created_session_id: Option<SessionId>,
}

/// Where an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignInStatus {
    /// Nobody is named yet.
    NeedsIdentifier,
    /// Somebody is named, nothing is proved.
    NeedsFirstFactor,
    /// Proved by a reset code; a new password has to be set before anything else.
    NeedsNewPassword,
    /// A session exists.
    Complete,
}

impl SignInStatus {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NeedsIdentifier => "needs_identifier",
            Self::NeedsFirstFactor => "needs_first_factor",
            Self::NeedsNewPassword => "needs_new_password",
            Self::Complete => "complete",
        }
    }
}

/// The ways to prove the first factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// A password.
    Password,
    /// A code sent by mail.
    EmailCode,
    /// A code sent by mail that leads to a new password.
    ResetPasswordEmailCode,
    /// A token made by the application's server.
    Ticket,
}

impl Strategy {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::EmailCode => "email_code",
            Self::ResetPasswordEmailCode => "reset_password_email_code",
            Self::Ticket => "ticket",
        }
    }

    /// The strategy behind a word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Password, Self::EmailCode, Self::ResetPasswordEmailCode, Self::Ticket]
            .into_iter()
            .find(|strategy| strategy.as_str() == word)
    }
}

/// A first factor under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstFactor {
    /// How it is proved.
    pub strategy: Strategy,
    /// Whether it was.
    pub verified: bool,
    /// The code that was sent, for the strategies with one.
    pub code: Option<SentCode>,
}

/// Why a step cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepRefusal {
    /// The attempt is not at this step.
    OutOfOrder,
    /// The code's answer is not accepted.
    Code(CodeRefusal),
}

impl SignIn {
    /// A new attempt of a browser.
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

    /// When it is given up.
    pub fn abandon_at(&self) -> Timestamp {
        self.created_at + ATTEMPT_LIFETIME
    }

    /// Whether it can still be continued.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.status != SignInStatus::Complete && now < self.abandon_at()
    }

    /// Names who it is for.
    pub fn identify(&mut self, email: Email, user_id: UserId) {
        self.status = SignInStatus::NeedsFirstFactor;
        self.identifier = Some(email);
        self.user_id = Some(user_id);
        self.first_factor = None;
    }

    /// Names an address, and hides behind the id `shown_as` whose it is, if anybody's.
    pub fn identify_hidden(&mut self, email: Email, user_id: Option<UserId>, shown_as: EmailAddressId) {
        self.status = SignInStatus::NeedsFirstFactor;
        self.identifier = Some(email);
        self.user_id = user_id;
        self.hidden_address = Some(shown_as);
        self.first_factor = None;
    }

    /// A code is on its way; a code sent before is void (AUT-08).
    ///
    /// # Errors
    /// [`StepRefusal::OutOfOrder`] when nobody is named or all is done.
    pub fn send_code(&mut self, strategy: Strategy, code: SentCode) -> Result<(), StepRefusal> {
        if !matches!(self.status, SignInStatus::NeedsFirstFactor | SignInStatus::NeedsNewPassword) {
            return Err(StepRefusal::OutOfOrder);
        }
        // Asking for another code takes a proof back: a reset never slides into a sign-in.
        self.status = SignInStatus::NeedsFirstFactor;
        self.first_factor = Some(FirstFactor { strategy, verified: false, code: Some(code) });
        Ok(())
    }

    /// Takes an answer to the code that was sent for `strategy`. A reset code
    /// leads to [`SignInStatus::NeedsNewPassword`]; the caller admits otherwise.
    ///
    /// # Errors
    /// [`StepRefusal`]; the attempt has to be stored even then, because the
    /// answer counts.
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

    /// Takes the right answer again: the answer to it may never have arrived.
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

    /// The address whose code proved the attempt, if one did.
    pub fn proved_address(&self) -> Option<EmailAddressId> {
        let factor = self.first_factor.as_ref().filter(|factor| factor.verified)?;
        factor.code.as_ref()?.email_address_id
    }

    /// Whether the code that was sent went to an address that still names the
    /// account: one that was given up in between opens nothing any more.
    pub fn speaks_for(&self, user: &User) -> bool {
        let code = self.first_factor.as_ref().and_then(|factor| factor.code.as_ref());
        code.and_then(|code| code.email_address_id).is_none_or(|id| user.is_identified_by(id))
    }

    /// The account proved itself and was admitted.
    pub fn complete(&mut self, strategy: Strategy, session_id: SessionId) {
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
        // The same code does not pass as a code to sign in with.
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
