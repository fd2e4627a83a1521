//! Proofs: codes that were sent, and how many wrong answers are too many.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    email::Email,
    id::EmailAddressId,
    time::{Timestamp, minutes},
};

/// How long a code is good (AUT-08).
pub const CODE_LIFETIME: Duration = minutes(10);
/// How many answers a code takes.
pub const CODE_ATTEMPTS: u32 = 5;
/// Wrong answers after which an account is locked (AUT-04).
pub const LOCKOUT_ATTEMPTS: u32 = 10;
/// How long it then stays locked.
pub const LOCKOUT: Duration = minutes(60);

/// A keyed hash of a code, so that a stolen database does not reveal it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeHash(pub String);

impl std::fmt::Debug for CodeHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CodeHash(***)")
    }
}

/// A code that was sent to an address, for one attempt of one browser.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentCode {
    /// Where it went.
    pub email: Email,
    /// The identification it proves, where there is one already.
    pub email_address_id: Option<EmailAddressId>,
    /// What the answer must hash to.
    pub hash: CodeHash,
    /// Over [`CODE_LIFETIME`] after sending.
    pub expires_at: Timestamp,
    /// Answers given so far, the right one included.
    pub attempts: u32,
    /// Set when it was answered rightly; a code counts once.
    pub consumed: bool,
}

/// Why an answer is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeRefusal {
    /// Too late, or no code was sent.
    Expired,
    /// Answered too often or already used.
    Spent,
    /// Wrong; may be tried again.
    Incorrect,
}

impl SentCode {
    /// A fresh code for `email`.
    pub const fn new(
        now: Timestamp,
        email: Email,
        email_address_id: Option<EmailAddressId>,
        hash: CodeHash,
    ) -> Self {
        let expires_at = Timestamp::from_millis(now.as_millis() + CODE_LIFETIME.as_millis() as i64);
        Self { email, email_address_id, hash, expires_at, attempts: 0, consumed: false }
    }

    /// As a code that was sent, and answered by nothing: for an address that
    /// gets none, where that must not show (AUT-13).
    pub const fn unanswerable(now: Timestamp, email: Email) -> Self {
        Self::new(now, email, None, CodeHash(String::new()))
    }

    /// How it stands, in the words of the wire, while what it proves is not proved.
    pub fn status(&self, now: Timestamp) -> &'static str {
        if self.attempts >= CODE_ATTEMPTS {
            "failed"
        } else if now >= self.expires_at {
            "expired"
        } else {
            "unverified"
        }
    }

    /// Takes one answer, which counts whether right or wrong.
    ///
    /// # Errors
    /// [`CodeRefusal`]; the changed code has to be stored then as well.
    pub fn answer(&mut self, now: Timestamp, answer: &CodeHash) -> Result<(), CodeRefusal> {
        if self.consumed {
            return Err(CodeRefusal::Spent);
        }
        self.count(now, answer)?;
        self.consumed = true;
        Ok(())
    }

    /// Takes the right answer once more, which counts as any other.
    ///
    /// # Errors
    /// As [`Self::answer`]; [`CodeRefusal::Spent`] where it was never right.
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
        // Both sides are keyed hashes: how far they agree tells nothing. An empty one is no hash.
        if self.hash != *answer || answer.0.is_empty() {
            return Err(CodeRefusal::Incorrect);
        }
        Ok(())
    }
}

/// Wrong answers of an account, over all factors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lockout {
    /// Wrong answers since the last right one.
    pub failures: u32,
    /// Locked until then.
    pub locked_until: Option<Timestamp>,
}

impl Lockout {
    /// Whether the account may not try now.
    pub fn is_locked(&self, now: Timestamp) -> bool {
        self.locked_until.is_some_and(|until| now < until)
    }

    /// Books an attempt before it is judged, so that parallel guesses cannot
    /// slip through (AUT-04).
    ///
    /// # Errors
    /// The account is locked: the attempt must not be judged at all.
    pub fn book(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        if let Some(until) = self.locked_until {
            if now < until {
                return Err(until);
            }
            *self = Self::default();
        }
        self.failures += 1;
        if self.failures >= LOCKOUT_ATTEMPTS {
            self.locked_until = Some(now + LOCKOUT);
        }
        Ok(())
    }

    /// Locks the account as if the last attempt had been taken.
    pub fn lock(&mut self, now: Timestamp) {
        *self = Self { failures: LOCKOUT_ATTEMPTS, locked_until: Some(now + LOCKOUT) };
    }

    /// Attempts left before the account is locked.
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
    fn a_code_is_over_after_ten_minutes_sharp() {
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
