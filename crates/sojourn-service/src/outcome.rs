//! What a use case of a browser returns: the browser as it is then, or why not.

use sojourn_core::{
    claims::time_left, client::ClientWithSessions, sign_in::SignIn, sign_up::SignUp, user::User,
};
use sojourn_store::{CommitError, StoreError};

use crate::{browser::BrowserContext, error::MaybeConflict};

/// A browser after a use case, as an answer shows it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The request, and who asked.
    pub caller: BrowserContext,
    /// The client with its open sessions; `None` when it is not known.
    pub browser: Option<ClientWithSessions>,
    /// A user whose session was not there when the browser was loaded.
    pub user: Option<User>,
    /// The unfinished attempt to sign in.
    pub sign_in: Option<SignIn>,
    /// The unfinished attempt to sign up.
    pub sign_up: Option<SignUp>,
}

impl Shown {
    /// The browser after a decision, so that all its sessions are open. A session
    /// in its last second is not shown any more, because there is no token for it:
    /// the browser would ask for one again and again.
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

    /// A browser that is not known.
    pub const fn nobody(caller: BrowserContext) -> Self {
        Self { caller, browser: None, user: None, sign_in: None, sign_up: None }
    }

    /// As [`Self::new`], with what was found on the way closed already; nobody
    /// where the browser is not known.
    pub fn settled(caller: BrowserContext, browser: Option<ClientWithSessions>) -> Self {
        match browser {
            Some(browser) => Self::new(caller, browser),
            None => Self::nobody(caller),
        }
    }

    /// With a user whose session was not there when the browser was loaded.
    #[must_use]
    pub fn with_user(mut self, user: User) -> Self {
        self.user = Some(user);
        self
    }
}

/// Why a use case refuses: one of the enums of this crate.
pub trait Reason {}

/// A use case did not succeed, for the reason `R` or because of the store.
#[derive(Debug)]
pub enum Failure<R> {
    /// Refused, with the browser as it is then where the answer shows it.
    Refused(R, Option<Box<Shown>>),
    /// The store failed, or others change the same rows all the time.
    Storage(CommitError),
}

impl<R> Failure<R> {
    /// Refused, with the browser as it is now.
    pub fn shown(reason: R, shown: Shown) -> Self {
        Self::Refused(reason, Some(Box::new(shown)))
    }

    /// The same for the reason that `convert` makes of it.
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
