//! What proves an account: passwords, and codes sent by mail.

pub mod codes;
pub mod password;

use sojourn_core::{client::SignInRefused, factor::CodeRefusal, time::Timestamp, user::User};

use crate::{
    mail::MailError, outcome::Reason, passwords::PasswordsError, rate_limits::RateLimited,
    sessions::NotStarted,
};

/// Why somebody is not signed in or up, or does not prove what they say.
#[derive(Debug)]
pub enum AuthError {
    /// Not a known browser's request, or one that left before a rotation.
    SignedOut,
    /// The browser does not admit the account.
    NotAdmitted(SignInRefused),
    /// The browser has no such attempt to sign in.
    NoSignIn,
    /// The browser has no such attempt to sign up.
    NoSignUp,
    /// The attempt is not at this step.
    OutOfOrder,
    /// The identifier is no e-mail address.
    IdentifierInvalid,
    /// There is no account with the identifier.
    IdentifierUnknown,
    /// The address is no e-mail address.
    EmailInvalid,
    /// No address was given.
    EmailMissing,
    /// Another account has the address.
    EmailTaken,
    /// The attempt has no address of this id.
    NoAddress,
    /// No code was sent.
    CodeMissing,
    /// The answer to the code is not accepted.
    Code(CodeRefusal),
    /// The password is wrong.
    PasswordIncorrect,
    /// The password is wrong, or there is no such account: which of them stays secret.
    PasswordOrIdentifierIncorrect,
    /// The account has no password.
    NoPassword,
    /// Too many wrong answers: nothing is looked at until then.
    Locked {
        /// How long it lasts.
        seconds: u64,
    },
    /// The account may not sign in.
    Banned,
    /// The ticket is none of ours.
    TicketUnknown,
    /// The ticket was used. `acts`: it is for somebody who acts as the user.
    TicketUsed {
        /// Whether it is an actor token.
        acts: bool,
    },
    /// The ticket was taken back.
    TicketRevoked {
        /// Whether it is an actor token.
        acts: bool,
    },
    /// The ticket is too old.
    TicketExpired,
    /// The account of the ticket does not exist any more.
    TicketWithoutUser {
        /// Whether it is an actor token.
        acts: bool,
    },
    /// Who acts as an account signs in; the ticket came to sign up.
    ActorSignsUp,
    /// Too many mails to this address.
    RateLimited(RateLimited),
    /// The password could not be checked now.
    Passwords(PasswordsError),
    /// A mail could not be written.
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

/// Refuses accounts that may not sign in, whatever they prove. A lock is judged
/// where answers are booked, before they are looked at.
pub(crate) const fn refuse_banned(user: &User) -> Result<(), AuthError> {
    if user.banned { Err(AuthError::Banned) } else { Ok(()) }
}

/// Refuses who may not try now.
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
