//! Factors: passwords, and codes sent by mail.

pub mod codes;
pub mod password;

use sojourn_core::{client::SignInRefused, factor::CodeRefusal, time::Timestamp, user::User};

use crate::{
    mail::MailError, outcome::Reason, passwords::PasswordsError, rate_limits::RateLimited,
    sessions::NotStarted,
};

/// Why a sign-in, a sign-up or a verification is refused.
#[derive(Debug)]
pub enum AuthError {
    /// The request is from an unknown client, or from before a rotation.
    SignedOut,
    /// The client does not admit the account.
    NotAdmitted(SignInRefused),
    /// The client has no such sign-in attempt.
    NoSignIn,
    /// The client has no such sign-up attempt.
    NoSignUp,
    /// The status of the attempt does not allow this step.
    OutOfOrder,
    /// The identifier is not an e-mail address.
    IdentifierInvalid,
    /// No account has the identifier.
    IdentifierUnknown,
    /// The address is not valid.
    EmailInvalid,
    /// The request has no address.
    EmailMissing,
    /// Another account has the address.
    EmailTaken,
    /// The attempt has no address with this id.
    NoAddress,
    /// No code was sent.
    CodeMissing,
    /// The code is rejected.
    Code(CodeRefusal),
    PasswordIncorrect,
    /// The password is wrong, or the account does not exist; the response does not reveal which.
    PasswordOrIdentifierIncorrect,
    /// The account has no password.
    NoPassword,
    /// The account is locked after too many failures; no answer is verified until the lock ends.
    Locked {
        /// The remaining time of the lock.
        seconds: u64,
    },
    /// The user is banned.
    Banned,
    /// There is no such ticket.
    TicketUnknown,
    /// The ticket was used. `acts`: it is an actor token.
    TicketUsed {
        acts: bool,
    },
    /// The ticket was revoked.
    TicketRevoked {
        /// Whether it is an actor token.
        acts: bool,
    },
    TicketExpired,
    /// The user of the ticket was deleted.
    TicketWithoutUser {
        /// Whether it is an actor token.
        acts: bool,
    },
    /// An actor token was used on the sign-up page; it only signs in.
    ActorSignsUp,
    /// Too many requests, or too many mails to this address.
    RateLimited(RateLimited),
    /// The password could not be verified.
    Passwords(PasswordsError),
    /// A mail could not be created.
    Mail(MailError),
}

impl Reason for AuthError {}

impl From<NotStarted> for AuthError {
    fn from(why: NotStarted) -> Self {
        match why {
            NotStarted::NotThisBrowser => Self::SignedOut,
            NotStarted::Refused(refused) => Self::NotAdmitted(refused),
        }
    }
}

impl From<PasswordsError> for AuthError {
    fn from(error: PasswordsError) -> Self {
        Self::Passwords(error)
    }
}

/// Refuses banned users, whatever they verify. The lockout is checked in `book`, before an answer
/// is verified.
pub(crate) const fn refuse_banned(user: &User) -> Result<(), AuthError> {
    if user.banned { Err(AuthError::Banned) } else { Ok(()) }
}

/// Refuses a locked account.
///
/// # Errors
/// [`AuthError::Locked`].
pub fn refuse_locked(now: Timestamp, user: &User) -> Result<(), AuthError> {
    let until = user.lockout.locked_until.filter(|until| now < *until);
    until.map_or(Ok(()), |until| Err(locked(now, until)))
}

fn locked(now: Timestamp, until: Timestamp) -> AuthError {
    AuthError::Locked { seconds: until.since(now).as_secs().max(1) }
}
