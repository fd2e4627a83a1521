//! The signed-in account, by the session that the request names.

mod email;
mod password;
mod sessions;

pub use email::{add_email, answer_email_code, remove_email, send_email_code};
pub use password::{change_password, remove_password};
pub use sessions::{list_sessions, revoke_session};

use sojourn_core::{
    client::ClientStep,
    id::{SessionId, UserId},
    session::{EndedBy, Session},
    time::Timestamp,
    user::{EmailRefusal, User},
};

use crate::{
    browser::{BrowserContext, RequestContext},
    factors::AuthError,
    instance::Service,
    outcome::{Failure, Reason, Shown},
    sessions::{SignedOut, read_client, refuse, refuse_session},
    users::{self, UserError, UserPatch},
};

/// Whose account is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// That of the browser's active session.
    Active,
    /// That of this session; `None` where the id is none.
    Session(Option<SessionId>),
}

/// Why an account stays as it is.
#[derive(Debug)]
pub enum AccountError {
    /// The session is over, or not this browser's.
    SignedOut(SignedOut),
    /// Somebody acts as the account, and this is for its owner only (SES-21).
    OwnerOnly,
    /// The account has no such session.
    NoSession,
    /// An address is not accepted.
    Email(EmailRefusal),
    /// What would change cannot be so.
    User(UserError),
    /// Its owner may not delete it.
    DeletionDisabled,
    /// The account has no password.
    NoPassword,
    /// The password is the only way into the account.
    LastWayIn,
    /// The password of now was not given.
    CurrentPasswordMissing,
    /// The password of now is wrong.
    CurrentPasswordIncorrect,
    /// As at sign-in.
    Auth(AuthError),
}

impl Reason for AccountError {}

impl From<AuthError> for AccountError {
    fn from(error: AuthError) -> Self {
        Self::Auth(error)
    }
}

impl From<AuthError> for Failure<AccountError> {
    fn from(error: AuthError) -> Self {
        Self::Refused(error.into(), None)
    }
}

/// An account after a step, and the browser as it is then.
#[derive(Clone, Debug)]
pub struct AccountOutcome {
    /// The browser.
    pub shown: Shown,
    /// The account.
    pub user: User,
}

/// What a step of an account returns.
pub type AccountResult = Result<AccountOutcome, Failure<AccountError>>;

/// The account of a request, loaded.
#[derive(Debug)]
pub(crate) struct Me {
    pub(crate) caller: BrowserContext,
    pub(crate) step: ClientStep,
    pub(crate) session: Session,
    pub(crate) user: User,
}

/// Whose account it is: the session named has to be this browser's.
async fn me(service: &Service, request: &RequestContext, named: Named) -> Result<Me, Failure<AccountError>> {
    let caller = BrowserContext::load(service, request).await?;
    let signed_out = || AccountError::SignedOut(SignedOut::default());
    if caller.browser().is_err() {
        return refuse(service, caller, signed_out()).await;
    }
    let Some(step) = caller.close_overdue() else { return refuse(service, caller, signed_out()).await };
    let session = match named {
        Named::Session(id) => step.browser.sessions.iter().find(|session| Some(session.id) == id),
        Named::Active => step.browser.active_session(),
    };
    let found = session.and_then(|session| Some((session.clone(), caller.user_of(session)?.clone())));
    match (found, named) {
        (Some((session, user)), _) => Ok(Me { caller, step, session, user }),
        (None, Named::Session(Some(id))) => {
            let refused = refuse_session(service, caller, id).await;
            refused.map_err(|failure: Failure<SignedOut>| failure.map(AccountError::SignedOut))
        }
        (None, _) => refuse(service, caller, signed_out()).await,
    }
}

/// As [`me`], for what only the account's owner may do.
async fn owner(
    service: &Service,
    request: &RequestContext,
    named: Named,
) -> Result<Me, Failure<AccountError>> {
    let me = me(service, request, named).await?;
    if let Err(refused) = refuse_actor(&me.session) {
        me.caller.commit_step(service, &me.step).await?;
        return Err(refused.into());
    }
    Ok(me)
}

/// Refuses who only acts as the account: its credentials, its sessions elsewhere
/// and its existence are its owner's alone (SES-21).
const fn refuse_actor(session: &Session) -> Result<(), AccountError> {
    if session.impersonation.is_none() { Ok(()) } else { Err(AccountError::OwnerOnly) }
}

/// The account.
///
/// # Errors
/// [`AccountError::SignedOut`].
pub async fn read(service: &Service, request: &RequestContext, named: Named) -> AccountResult {
    service
        .retry_on_conflict(|| async {
            let Me { caller, step, user, .. } = me(service, request, named).await?;
            caller.commit_step(service, &step).await?;
            Ok(AccountOutcome { shown: Shown::new(caller, step.browser), user })
        })
        .await
}

/// Changes the account as its owner: `decide` says to what.
async fn change_as_owner(
    service: &Service,
    request: &RequestContext,
    named: Named,
    decide: impl Fn(Timestamp, &mut User) -> Result<(), AccountError>,
) -> AccountResult {
    service
        .retry_on_conflict(|| async {
            let me = owner(service, request, named).await?;
            let mut user = me.user.clone();
            decide(me.caller.request.now(), &mut user)?;
            store(service, me, user).await
        })
        .await
}

async fn store(service: &Service, me: Me, user: User) -> AccountResult {
    let Me { caller, step, .. } = me;
    let changes = service.changes(caller.request.at).browser(&step);
    service.commit(users::changed(changes, &user)).await?;
    Ok(AccountOutcome { shown: Shown::new(caller, step.browser).with_user(user.clone()), user })
}

/// Changes names, unsafe metadata, and which address is the primary one: nothing else
/// of an account is the browser's to write (AUZ-05).
///
/// # Errors
/// [`AccountError`].
pub async fn change_profile(
    service: &Service,
    request: &RequestContext,
    named: Named,
    patch: &UserPatch,
) -> AccountResult {
    service
        .retry_on_conflict(|| async {
            let me = me(service, request, named).await?;
            let mut user = me.user.clone();
            if patch.primary_email.is_some() {
                refuse_actor(&me.session)?;
            }
            patch.apply(&mut user, me.caller.request.now()).map_err(AccountError::User)?;
            user.changed(me.caller.request.now());
            store(service, me, user).await
        })
        .await
}

/// Deletes the account. Its sessions end in the same commit, here and in all other
/// browsers; other accounts of this browser stay signed in (SES-06).
///
/// # Errors
/// [`AccountError::OwnerOnly`], [`AccountError::DeletionDisabled`],
/// [`AccountError::SignedOut`].
pub async fn delete(
    service: &Service,
    request: &RequestContext,
    named: Named,
) -> Result<(Shown, UserId), Failure<AccountError>> {
    let user_id = service
        .retry_on_conflict(|| async {
            let Me { caller, user, .. } = owner(service, request, named).await?;
            if !user.delete_self_enabled {
                return Err(AccountError::DeletionDisabled.into());
            }
            service.commit(users::deleted(service, caller.request.at, &user, EndedBy::User).await?).await?;
            Ok::<_, Failure<AccountError>>(user.id)
        })
        .await?;
    Ok((read_client(service, request).await?, user_id))
}
