//! Verification of a first factor by codes sent by mail, and the lockout after too many failures.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    email::Email,
    id::EmailAddressId,
    time::{Timestamp, minutes},
};

/// How long a code is valid (AUT-08).
pub const CODE_LIFETIME: Duration = minutes(10);
/// The number of answers that a code accepts.
pub const CODE_ATTEMPTS: u32 = 5;
/// The number of failures after which an account is locked (AUT-04).
pub const LOCKOUT_ATTEMPTS: u32 = 10;
/// How long an account stays locked.
pub const LOCKOUT: Duration = minutes(60);

/// A keyed hash of a code: a stolen database does not reveal the code.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeHash(pub String);

impl std::fmt::Debug for CodeHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CodeHash(***)")
    }
}

/// A code that was sent to an address, for one attempt of one client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentCode {
    /// The recipient.
    pub email: Email,
    /// The e-mail address that the code verifies, if it already exists.
    pub email_address_id: Option<EmailAddressId>,
    pub hash: CodeHash,
    /// [`CODE_LIFETIME`] after sending.
    pub expires_at: Timestamp,
    /// The number of answers so far, including the correct one.
    pub attempts: u32,
    /// Whether the code was answered correctly. A code is accepted once.
    pub consumed: bool,
}

/// Why a code is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeRefusal {
    /// The code has expired, or none was sent.
    Expired,
    /// The code was used, or too many answers were given.
    Spent,
    /// The answer is wrong; the user may try again.
    Incorrect,
}

impl SentCode {
    /// A new code for `email`.
    pub const fn new(
        now: Timestamp,
        email: Email,
        email_address_id: Option<EmailAddressId>,
        hash: CodeHash,
    ) -> Self {
        let expires_at = Timestamp::from_millis(now.as_millis() + CODE_LIFETIME.as_millis() as i64);
        Self { email, email_address_id, hash, expires_at, attempts: 0, consumed: false }
    }

    /// A code that no answer matches: for an address that gets no mail, if the response must not
    /// reveal that (AUT-13).
    pub const fn unanswerable(now: Timestamp, email: Email) -> Self {
        Self::new(now, email, None, CodeHash(String::new()))
    }

    /// The verification status on the wire, for a factor that is not verified yet.
    pub fn status(&self, now: Timestamp) -> &'static str {
        if self.attempts >= CODE_ATTEMPTS {
            "failed"
        } else if now >= self.expires_at {
            "expired"
        } else {
            "unverified"
        }
    }

    /// Checks one answer. Every answer counts, correct or wrong.
    ///
    /// # Errors
    /// [`CodeRefusal`]; the caller stores the code in this case too.
    pub fn answer(&mut self, now: Timestamp, answer: &CodeHash) -> Result<(), CodeRefusal> {
        if self.consumed {
            return Err(CodeRefusal::Spent);
        }
        self.count(now, answer)?;
        self.consumed = true;
        Ok(())
    }

    /// Checks the correct answer again. It counts as another answer.
    ///
    /// # Errors
    /// As [`Self::answer`]; [`CodeRefusal::Spent`] if the code was not answered correctly before.
    pub fn repeat(&mut self, now: Timestamp, answer: &CodeHash) -> Result<(), CodeRefusal> {
        if !self.consumed {
            return Err(CodeRefusal::Spent);
        }
        self.count(now, answer)
    }

    fn count(&mut self, now: Timestamp, answer: &CodeHash) -> Result<(), CodeRefusal> {
        if self.attempts >= CODE_ATTEMPTS {
            return Err(CodeRefusal::Spent);
        }
        if now >= self.expires_at {
            return Err(CodeRefusal::Expired);
        }
        self.attempts += 1;
        // Both sides are keyed hashes, so the duration of the comparison reveals nothing useful.
        // The empty hash belongs to an unanswerable code and never matches.
        if self.hash != *answer || answer.0.is_empty() {
            return Err(CodeRefusal::Incorrect);
        }
        Ok(())
    }
}

/// The failed verifications of an account, over all factors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lockout {
    /// Failures since the last successful sign-in.
    pub failures: u32,
    pub locked_until: Option<Timestamp>,
}

impl Lockout {
    /// Whether the account is locked at `now`.
    pub fn is_locked(&self, now: Timestamp) -> bool {
        self.locked_until.is_some_and(|until| now < until)
    }

    /// Counts an attempt before it is verified, so that parallel guesses cannot exceed the limit
    /// (AUT-04).
    ///
    /// # Errors
    /// The end of the lock: the caller must not verify the attempt.
    pub fn book(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        if let Some(until) = self.locked_until {
            if now < until {
                return Err(until);
            }
            // The lock is over: the user gets all attempts again.
            *self = Self::default();
        }
        self.failures += 1;
        if self.failures >= LOCKOUT_ATTEMPTS {
            self.locked_until = Some(now + LOCKOUT);
        }
        Ok(())
    }

    /// Locks the account as if all attempts had failed.
    pub fn lock(&mut self, now: Timestamp) {
        *self = Self { failures: LOCKOUT_ATTEMPTS, locked_until: Some(now + LOCKOUT) };
    }

    /// Attempts before the account is locked.
    pub const fn remaining(&self) -> u32 {
        LOCKOUT_ATTEMPTS.saturating_sub(self.failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::seconds;

    fn hash(text: &str) -> CodeHash {
        CodeHash(text.to_owned())
    }

    fn sent() -> SentCode {
        let email = Email::parse("ada@example.com").expect("valid");
        SentCode::new(Timestamp::from_millis(0), email, None, hash("right"))
    }

    #[test]
    fn aut_13_a_code_never_sent_counts_attempts_and_accepts_none() {
        let email = Email::parse("ada@example.com").expect("valid");
        let mut code = SentCode::unanswerable(Timestamp::from_millis(0), email);
        let now = Timestamp::from_millis(5);
        for answer in ["", "right", "", "000000", "x"] {
            assert_eq!(code.answer(now, &hash(answer)), Err(CodeRefusal::Incorrect));
        }
        assert_eq!(code.answer(now, &hash("right")), Err(CodeRefusal::Spent));
    }

    #[test]
    fn a_code_is_good_once() {
        let mut code = sent();
        let now = Timestamp::from_millis(5);
        assert_eq!(code.answer(now, &hash("right")), Ok(()));
        assert_eq!(code.answer(now, &hash("right")), Err(CodeRefusal::Spent));
    }

    #[test]
    fn a_code_takes_five_answers_even_if_the_sixth_is_right() {
        let mut code = sent();
        let now = Timestamp::from_millis(5);
        for _ in 0..CODE_ATTEMPTS {
            assert_eq!(code.answer(now, &hash("wrong")), Err(CodeRefusal::Incorrect));
        }
        assert_eq!(code.answer(now, &hash("right")), Err(CodeRefusal::Spent));
    }

    #[test]
    fn a_code_expires_after_exactly_ten_minutes() {
        let deadline = Timestamp::from_millis(0) + CODE_LIFETIME;
        assert_eq!(sent().answer(deadline, &hash("right")), Err(CodeRefusal::Expired));
        assert_eq!(sent().answer(deadline - Duration::from_millis(1), &hash("right")), Ok(()));
    }

    #[test]
    fn the_tenth_wrong_answer_locks_the_account_for_an_hour() {
        let mut lockout = Lockout::default();
        let now = Timestamp::from_millis(0);
        for _ in 0..LOCKOUT_ATTEMPTS {
            assert_eq!(lockout.book(now), Ok(()));
        }
        assert!(lockout.is_locked(now + LOCKOUT - seconds(1)));
        assert_eq!(lockout.book(now + seconds(5)), Err(now + LOCKOUT));
        assert_eq!(lockout.book(now + LOCKOUT), Ok(()));
        assert_eq!(lockout.failures, 1);
    }
}
