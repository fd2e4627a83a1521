//! Sign-in: identify the account, verify a factor, start a session.

mod code;
mod complete;
mod enumeration_protection;
mod password;
mod reset;
mod ticket;

pub use code::{answer_code, send_code};
pub use password::{answer_password, with_password};
pub use reset::reset_password;
pub use ticket::with_ticket;
pub(crate) use ticket::{GoodTicket, examine};

use sojourn_core::{
    client::{ClientWithSessions, SignInRefused, close_overdue},
    email::Email,
    id::{EmailAddressId, SignInId},
    sign_in::{SignIn, Strategy},
    user::User,
};
use sojourn_metrics::SIGN_INS;
use sojourn_store::{Engine as _, Write};

use crate::{
    browser::{BrowserContext, RequestContext},
    factors::AuthError,
    instance::Service,
    outcome::{Failure, Shown},
    sessions::refuse,
};

/// An attempt after a step, and the client.
#[derive(Clone, Debug)]
pub struct SignInOutcome {
    pub shown: Shown,
    pub sign_in: SignIn,
    /// The account of the attempt, if any.
    pub user: Option<User>,
}

pub type SignInResult = Result<SignInOutcome, Failure<AuthError>>;

/// Counts the answer to a factor for the metrics.
fn counted(strategy: Strategy, result: SignInResult) -> SignInResult {
    let outcome = match &result {
        Ok(_) => "verified",
        Err(Failure::Refused(
            AuthError::Locked { .. }
            | AuthError::Banned
            | AuthError::RateLimited(_)
            | AuthError::Passwords(_)
            | AuthError::NotAdmitted(_),
            _,
        ))
        | Err(Failure::Storage(_)) => "refused",
        Err(Failure::Refused(..)) => "failed",
    };
    SIGN_INS.inc_labelled(&[strategy.as_str(), outcome]);
    result
}

/// Creates an attempt, with or without the e-mail address `identifier`. A reload of the page
/// continues it.
///
/// # Errors
/// [`AuthError`].
pub async fn begin(service: &Service, request: &RequestContext, identifier: Option<&str>) -> SignInResult {
    let named = match identifier {
        Some(identifier) => Some(find_user(service, request, identifier).await?),
        None => None,
    };
    let user = named.as_ref().and_then(|(_, user)| user.as_ref());
    refuse_second(service, request, user).await?;
    service
        .retry_on_conflict(|| async {
            let mut caller = BrowserContext::load(service, request).await?;
            let Ok((browser, is_noted)) = caller.browser_for_attempt(service) else {
                return refuse(service, caller, AuthError::SignedOut).await;
            };
            let at = caller.request.at;
            let id = SignInId::generate(at.now, &mut service.random());
            let mut sign_in = SignIn::new(id, browser.client.id, at.now);
            match (&named, user) {
                (Some((email, _)), _) if caller.request.settings.instance.hides_accounts() => {
                    let shown_as = EmailAddressId::generate(at.now, &mut service.random());
                    sign_in.identify_hidden(email.clone(), user.map(|user| user.id), shown_as);
                }
                (Some((email, _)), Some(user)) => sign_in.identify(email.clone(), user.id),
                _ => {}
            }
            let mut step = close_overdue(at, &caller.request.policy, &browser);
            if is_noted {
                caller.note_request(service, &mut step);
                step.browser.client.sign_in_id = Some(sign_in.id);
                step.browser.client.changed(at.now);
                step.client_changed = true;
            }
            let changes = service.changes(at).browser(&step).write(Write::SignIn(sign_in.clone()));
            service.commit(changes).await?;
            Ok(outcome(caller, Some(step.browser), sign_in, user.cloned()))
        })
        .await
}

/// The attempt, if it belongs to this client.
///
/// # Errors
/// [`AuthError::NoSignIn`], [`AuthError::SignedOut`].
pub async fn read(service: &Service, request: &RequestContext, id: Option<SignInId>) -> SignInResult {
    service
        .retry_on_conflict(|| async {
            let caller = BrowserContext::load(service, request).await?;
            let (caller, sign_in) = own_sign_in(service, caller, id).await?;
            let user = user_of(service, &sign_in).await?;
            Ok(SignInOutcome { shown: Shown::nobody(caller), sign_in, user })
        })
        .await
}

/// An unfinished attempt, shown with its account and the client.
fn outcome(
    caller: BrowserContext,
    browser: Option<ClientWithSessions>,
    sign_in: SignIn,
    user: Option<User>,
) -> SignInOutcome {
    let mut shown = Shown::settled(caller, browser);
    shown.sign_in = Some(sign_in.clone());
    shown.user.clone_from(&user);
    SignInOutcome { shown, sign_in, user }
}

/// Refuses what the last step would refuse, before the user types a password: a second account in
/// single-session mode, or an account that is already signed in here (D7).
///
/// # Errors
/// [`AuthError::NotAdmitted`].
pub(crate) async fn refuse_second(
    service: &Service,
    request: &RequestContext,
    user: Option<&User>,
) -> Result<(), Failure<AuthError>> {
    service
        .retry_on_conflict(|| async {
            let caller = BrowserContext::load(service, request).await?;
            let Some(step) = caller.close_overdue() else { return Ok(()) };
            let open = &step.browser.sessions;
            let same = open.iter().find(|session| user.is_some_and(|user| user.id == session.user_id));
            let refused = if !caller.request.policy.current().multi_session && !open.is_empty() {
                SignInRefused::SessionExists
            } else if let Some(same) = same {
                SignInRefused::AlreadySignedIn(same.id)
            } else {
                return Ok(());
            };
            caller.commit_step(service, &step).await?;
            let shown = Shown::new(caller, step.browser);
            Err(Failure::shown(AuthError::NotAdmitted(refused), shown))
        })
        .await
}

/// The account with the identifier. A missing account is an error, unless enumeration protection
/// hides it.
async fn find_user(
    service: &Service,
    request: &RequestContext,
    identifier: &str,
) -> Result<(Email, Option<User>), Failure<AuthError>> {
    let email = Email::parse(identifier).map_err(|_| AuthError::IdentifierInvalid)?;
    let user = service.store().user_by_email(service.instance_id(), &email).await?;
    if user.is_none() && !request.settings.instance.hides_accounts() {
        return Err(AuthError::IdentifierUnknown.into());
    }
    Ok((email, user))
}

/// An attempt of the requesting client.
async fn own_sign_in(
    service: &Service,
    caller: BrowserContext,
    id: Option<SignInId>,
) -> Result<(BrowserContext, SignIn), Failure<AuthError>> {
    if caller.browser().is_err() && caller.repeat.is_none() {
        return refuse(service, caller, AuthError::SignedOut).await;
    }
    let id = id.ok_or(AuthError::NoSignIn)?;
    let sign_in = service.store().sign_in(service.instance_id(), id).await?.ok_or(AuthError::NoSignIn)?;
    match caller.may_continue(sign_in.client_id, sign_in.created_at, sign_in.created_session_id) {
        Ok(true) => Ok((caller, sign_in)),
        Ok(false) if caller.browser().is_err() => refuse(service, caller, AuthError::SignedOut).await,
        Ok(false) => Err(AuthError::NoSignIn.into()),
        Err(_) => refuse(service, caller, AuthError::SignedOut).await,
    }
}

async fn user_of(service: &Service, sign_in: &SignIn) -> Result<Option<User>, Failure<AuthError>> {
    match sign_in.user_id {
        Some(id) => Ok(service.store().user(service.instance_id(), id).await?),
        None => Ok(None),
    }
}
