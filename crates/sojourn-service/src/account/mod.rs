//! The account of the signed-in user, by the session that the request names.

mod email;
mod password;
mod sessions;

pub use email::{add_email, answer_email_code, remove_email, send_email_code};
pub use password::{change_password, put_password, remove_password};
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

/// Which account a request means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// The account of the client's active session.
    Active,
    /// The account of this session; `None` if the id is not valid.
    Session(Option<SessionId>),
}

/// Why an operation on the account is refused.
#[derive(Debug)]
pub enum AccountError {
    /// The session is over, or belongs to another client.
    SignedOut(SignedOut),
    /// An impersonation session requested what only the account owner may do (SES-21).
    OwnerOnly,
    NoSession,
    /// The change of an address is refused.
    Email(EmailRefusal),
    /// The change of the account is refused.
    User(UserError),
    /// The user may not delete the account.
    DeletionDisabled,
    /// The account has no password.
    NoPassword,
    /// The password is the only way to sign in.
    LastWayIn,
    /// The request does not have the current password.
    CurrentPasswordMissing,
    CurrentPasswordIncorrect,
    /// A verification failed, as at sign-in.
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

/// The account after an operation, and the client.
#[derive(Clone, Debug)]
pub struct AccountOutcome {
    pub shown: Shown,
    pub user: User,
}

pub type AccountResult = Result<AccountOutcome, Failure<AccountError>>;

/// The loaded account of a request.
#[derive(Debug)]
pub(crate) struct Me {
    pub(crate) caller: BrowserContext,
    pub(crate) step: ClientStep,
    pub(crate) session: Session,
    pub(crate) user: User,
}

/// Loads the account. The session in the request must belong to this client.
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

/// As [`me`], but refuses impersonation sessions.
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

/// Refuses impersonation sessions: only the account owner may change credentials, other sessions,
/// and the account's existence (SES-21).
const fn refuse_actor(session: &Session) -> Result<(), AccountError> {
    if session.impersonation.is_none() { Ok(()) } else { Err(AccountError::OwnerOnly) }
}

/// The account of the request.
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

/// Changes the account as its owner; `decide` makes the change.
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

/// Changes names, unsafe metadata, or the primary address. The browser may write no other field of
/// the account (AUZ-05).
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

/// Deletes the account. Its sessions on all clients end in the same commit; other accounts of this
/// client stay signed in (SES-06).
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
