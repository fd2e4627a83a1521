//! The result of a use case: the client after it, or the reason of a refusal.

use sojourn_core::{
    claims::time_left, client::ClientWithSessions, sign_in::SignIn, sign_up::SignUp, user::User,
};
use sojourn_store::{CommitError, StoreError};

use crate::{browser::BrowserContext, error::MaybeConflict};

/// A client after a use case, as a response shows it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The request and its client.
    pub caller: BrowserContext,
    /// The client with its open sessions; `None` if it is unknown.
    pub browser: Option<ClientWithSessions>,
    /// A user whose session did not exist when the client was loaded.
    pub user: Option<User>,
    pub sign_in: Option<SignIn>,
    pub sign_up: Option<SignUp>,
}

impl Shown {
    /// The client after a decision, with open sessions only. A session in its last second is not
    /// shown, because no token can be issued for it: the SDK would request one repeatedly.
    pub fn new(caller: BrowserContext, mut browser: ClientWithSessions) -> Self {
        let now = caller.request.now();
        let sign_in = caller
            .sign_in()
            .filter(|sign_in| sign_in.is_open(now) && browser.client.sign_in_id == Some(sign_in.id))
            .cloned();
        let sign_up = caller
            .sign_up()
            .filter(|sign_up| browser.client.sign_up_id == Some(sign_up.id) && now < sign_up.abandon_at())
            .cloned();
        browser.sessions.retain(|session| time_left(now, &caller.request.policy, session).is_some());
        Self { caller, browser: Some(browser), user: None, sign_in, sign_up }
    }

    /// An unknown client.
    pub const fn nobody(caller: BrowserContext) -> Self {
        Self { caller, browser: None, user: None, sign_in: None, sign_up: None }
    }

    /// As [`Self::new`] after overdue sessions were closed, or [`Self::nobody`] if the client is
    /// unknown.
    pub fn settled(caller: BrowserContext, browser: Option<ClientWithSessions>) -> Self {
        match browser {
            Some(browser) => Self::new(caller, browser),
            None => Self::nobody(caller),
        }
    }

    /// Adds a user whose session did not exist when the client was loaded.
    #[must_use]
    pub fn with_user(mut self, user: User) -> Self {
        self.user = Some(user);
        self
    }
}

/// The reason of a refusal: one of the enums of this crate.
pub trait Reason {}

/// A use case failed because of the reason `R`, or because of the store.
#[derive(Debug)]
pub enum Failure<R> {
    /// Refused, with the client if the response shows it.
    Refused(R, Option<Box<Shown>>),
    /// The store failed, or conflicts did not end.
    Storage(CommitError),
}

impl<R> Failure<R> {
    /// Refused, with the client.
    pub fn shown(reason: R, shown: Shown) -> Self {
        Self::Refused(reason, Some(Box::new(shown)))
    }

    /// Converts the reason.
    pub fn map<S>(self, convert: impl FnOnce(R) -> S) -> Failure<S> {
        match self {
            Self::Refused(reason, shown) => Failure::Refused(convert(reason), shown),
            Self::Storage(error) => Failure::Storage(error),
        }
    }
}

impl<R: Reason> From<R> for Failure<R> {
    fn from(reason: R) -> Self {
        Self::Refused(reason, None)
    }
}

impl<R> From<CommitError> for Failure<R> {
    fn from(error: CommitError) -> Self {
        Self::Storage(error)
    }
}

impl<R> From<StoreError> for Failure<R> {
    fn from(error: StoreError) -> Self {
        Self::Storage(error.into())
    }
}

impl<R> MaybeConflict for Failure<R> {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Storage(CommitError::Conflict))
    }
}
