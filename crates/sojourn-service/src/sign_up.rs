//! Sign-up: enter the fields, verify the address, get an account and a session.

use serde_json::{Map, Value};
use sojourn_core::{
    client::{GRACE, close_overdue},
    email::Email,
    factor::{CodeRefusal, SentCode},
    id::{ClientId, EmailAddressId, SignUpId, UserId},
    password::Password,
    settings::Settings,
    sign_in::Strategy,
    sign_up::{SignUp, SignUpFields},
    user::User,
};
use sojourn_store::{CommitError, Engine as _, Expect, Write};

use crate::{
    browser::{BrowserContext, RequestContext},
    factors::{
        AuthError,
        codes::{hash_code, mail_code, mail_notice, new_code},
        password::prove_password,
        refuse_banned,
    },
    instance::Service,
    mail::{CodePurpose, Notice},
    outcome::{Failure, Shown},
    sessions::{refuse, refuse_start, start_session},
    sign_in::{GoodTicket, examine, refuse_second},
    users,
};

/// The fields that the user entered.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// The e-mail address as typed.
    pub email: Option<String>,
    pub password: Option<Password>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    /// Metadata that the browser may write.
    pub unsafe_metadata: Map<String, Value>,
    /// Whether the user accepted the terms of service.
    pub legal_accepted: bool,
    pub locale: Option<String>,
}

/// An attempt after a step, and the client.
#[derive(Clone, Debug)]
pub struct SignUpOutcome {
    pub shown: Shown,
    pub sign_up: SignUp,
}

pub type SignUpResult = Result<SignUpOutcome, Failure<AuthError>>;

/// Creates an attempt. It is complete at once if nothing must be verified.
///
/// # Errors
/// [`AuthError`].
pub async fn create(service: &Service, request: &RequestContext, given: Given) -> SignUpResult {
    if let Some(user) = account_of_lost_answer(service, request, &given).await? {
        return sign_in_again(service, request, user, None, Strategy::Password).await;
    }
    refuse_second(service, request, None).await?;
    let fields = fields(service, request, given).await?;
    change(service, request, None, fields).await
}

/// The attempt, if it belongs to this client.
///
/// # Errors
/// [`AuthError::NoSignUp`], [`AuthError::SignedOut`].
pub async fn read(service: &Service, request: &RequestContext, id: Option<SignUpId>) -> SignUpResult {
    let caller = BrowserContext::load(service, request).await?;
    let (caller, sign_up) = own_sign_up(service, caller, id).await?;
    Ok(SignUpOutcome { shown: Shown::nobody(caller), sign_up })
}

/// Adds fields to an attempt. It is complete when nothing is missing.
///
/// # Errors
/// [`AuthError`].
pub async fn update(
    service: &Service,
    request: &RequestContext,
    id: Option<SignUpId>,
    given: Given,
) -> SignUpResult {
    let fields = fields(service, request, given).await?;
    change(service, request, Some(id), fields).await
}

/// Sends a code to the address of the attempt.
///
/// # Errors
/// [`AuthError`].
pub async fn send_code(service: &Service, request: &RequestContext, id: Option<SignUpId>) -> SignUpResult {
    service
        .retry_on_conflict(|| async {
            let caller = BrowserContext::load(service, request).await?;
            let (caller, mut sign_up) = own_sign_up(service, caller, id).await?;
            if sign_up.created_user_id.is_some() {
                return Err(AuthError::NoSignUp.into());
            }
            let (at, settings) = (caller.request.at, &caller.request.settings);
            let email = sign_up.fields.email.clone().ok_or(AuthError::EmailMissing)?;
            let locale = sign_up.fields.locale.clone();
            let (request, locale) = (&caller.request, locale.as_deref());
            let (sent, mail) = if is_secretly_taken(service, settings, &email).await? {
                let mail = mail_notice(service, request, &email, locale, Notice::AccountExists)?;
                (SentCode::unanswerable(at.now, email), mail)
            } else {
                let code = new_code(service, settings, &email);
                let mail = mail_code(service, request, &email, locale, CodePurpose::SignUp, &code)?;
                let hash = hash_code(service, &sign_up.id.to_string(), &code);
                (SentCode::new(at.now, email, None, hash), mail)
            };
            sign_up.code = Some(sent);
            let step = caller.close_overdue();
            let mut changes = service.changes(at).write(Write::SignUp(sign_up.clone()));
            if let Some(step) = &step {
                changes = changes.browser(step);
            }
            changes.writes.extend(mail);
            service.commit(changes).await?;
            Ok(outcome(Shown::settled(caller, step.map(|step| step.browser)), sign_up))
        })
        .await
}

/// Verifies the code. The attempt is complete when nothing else is missing.
///
/// # Errors
/// [`AuthError`].
pub async fn answer_code(
    service: &Service,
    request: &RequestContext,
    id: Option<SignUpId>,
    answer: &str,
) -> SignUpResult {
    let (sign_up, result) = service
        .retry_on_conflict(|| async {
            let caller = BrowserContext::load(service, request).await?;
            let (_, mut sign_up) = own_sign_up(service, caller, id).await?;
            let hash = hash_code(service, &sign_up.id.to_string(), answer);
            let before = sign_up.clone();
            let result = match sign_up.created_user_id {
                Some(_) => sign_up.repeat_code(request.now(), &hash),
                None => sign_up.answer_code(request.now(), &hash),
            };
            if sign_up != before {
                service.commit(service.changes(request.at).write(Write::SignUp(sign_up.clone()))).await?;
            }
            Ok::<_, Failure<AuthError>>((sign_up, result))
        })
        .await?;
    result.map_err(AuthError::Code)?;
    let Some(user_id) = sign_up.created_user_id else {
        return change(service, request, Some(id), SignUpFields::default()).await;
    };
    let user = service.store().user(service.instance_id(), user_id).await?.ok_or(AuthError::NoSignUp)?;
    sign_in_again(service, request, user, Some(sign_up.id), Strategy::EmailCode).await
}

/// A ticket on the sign-up page. The user of a sign-in token exists, so no fields are needed: the
/// attempt is complete and signs the user in.
///
/// # Errors
/// [`AuthError`].
pub async fn with_ticket(service: &Service, request: &RequestContext, ticket: &str) -> SignUpResult {
    let caller = BrowserContext::load(service, request).await?;
    let GoodTicket { user, impersonation, .. } = examine(service, &caller, ticket).await?;
    if impersonation.is_some() {
        return Err(AuthError::ActorSignsUp.into());
    }
    refuse_second(service, request, Some(&user)).await?;
    service
        .retry_on_conflict(|| async {
            let caller = BrowserContext::load(service, request).await?;
            let GoodTicket { user, spend, .. } = examine(service, &caller, ticket).await?;
            let sign_up = new_sign_up(service, &caller);
            sign_in_existing(service, request, caller, user, sign_up, Strategy::Ticket, spend).await
        })
        .await
}

/// Stores the fields, and creates the account and the session when all are valid.
async fn change(
    service: &Service,
    request: &RequestContext,
    id: Option<Option<SignUpId>>,
    fields: SignUpFields,
) -> SignUpResult {
    service
        .retry_on_conflict(|| async {
            let mut caller = BrowserContext::load(service, request).await?;
            let at = caller.request.at;
            let mut begun = None;
            if let Some(id) = id {
                let (own, sign_up) = own_sign_up(service, caller, id).await?;
                if sign_up.created_user_id.is_some() {
                    return Err(AuthError::NoSignUp.into());
                }
                (caller, begun) = (own, Some(sign_up));
            }
            let mut sign_up = begun.unwrap_or_else(|| new_sign_up(service, &caller));
            sign_up.update(fields.clone());
            let settings = caller.request.settings.clone();
            if !sign_up.is_ready(at.now, settings.instance.verifies_at_sign_up()) {
                let Ok((browser, is_noted)) = caller.browser_for_attempt(service) else {
                    return refuse(service, caller, AuthError::SignedOut).await;
                };
                sign_up.client_id = browser.client.id;
                let mut step = close_overdue(at, &caller.request.policy, &browser);
                if is_noted {
                    caller.note_request(service, &mut step);
                    step.browser.client.sign_up_id = Some(sign_up.id);
                    step.browser.client.changed(at.now);
                    step.client_changed = true;
                }
                let changes = service.changes(at).browser(&step).write(Write::SignUp(sign_up.clone()));
                service.commit(changes).await?;
                return Ok(outcome(Shown::new(caller, step.browser), sign_up));
            }
            let user_id = UserId::generate(at.now, &mut service.random());
            let strategy = if sign_up.email_verified { "email_code" } else { "password" };
            let started = match start_session(service, &mut caller, user_id, strategy, None) {
                Ok(started) => started,
                Err(why) => return refuse_start(service, request, why, AuthError::from).await,
            };
            let email_id = EmailAddressId::generate(at.now, &mut service.random());
            sign_up.client_id = started.client_id();
            let user = sign_up.complete(at.now, user_id, email_id, started.session_id);
            // The settings must be unchanged, as at a sign-in (decision 16).
            let changes = service.changes(at).expect(Expect::Settings(settings.version));
            let changes = users::created(changes, &user);
            let changes = started.write(changes).write(Write::SignUp(sign_up.clone()));
            service.commit(changes).await.map_err(|error| unless_hidden(&settings, error))?;
            Ok(SignUpOutcome { shown: Shown::new(caller, started.step.browser).with_user(user), sign_up })
        })
        .await
}

/// Signs in a user who verified the account of a lost response again.
async fn sign_in_again(
    service: &Service,
    request: &RequestContext,
    user: User,
    id: Option<SignUpId>,
    strategy: Strategy,
) -> SignUpResult {
    service
        .retry_on_conflict(|| async {
            let mut caller = BrowserContext::load(service, request).await?;
            let user = service.store().user(service.instance_id(), user.id).await?;
            let user = user.ok_or(AuthError::NoSignUp)?;
            let mut sign_up = None;
            if let Some(id) = id {
                let (own, begun) = own_sign_up(service, caller, Some(id)).await?;
                (caller, sign_up) = (own, Some(begun));
            }
            let sign_up = sign_up.unwrap_or_else(|| new_sign_up(service, &caller));
            sign_in_existing(service, request, caller, user, sign_up, strategy, None).await
        })
        .await
}

/// Signs in an existing account, and completes the attempt with it.
async fn sign_in_existing(
    service: &Service,
    request: &RequestContext,
    mut caller: BrowserContext,
    mut user: User,
    mut sign_up: SignUp,
    strategy: Strategy,
    spend: Option<Write>,
) -> SignUpResult {
    let at = caller.request.at;
    refuse_banned(&user)?;
    let started = match start_session(service, &mut caller, user.id, strategy.as_str(), None) {
        Ok(started) => started,
        Err(why) => return refuse_start(service, request, why, AuthError::from).await,
    };
    user.signed_in(at.now);
    sign_up.client_id = started.client_id();
    sign_up.fields.email = user.primary_email().map(|address| address.email.clone());
    sign_up.created_user_id = Some(user.id);
    sign_up.created_session_id = Some(started.session_id);
    let changes = service
        .changes(at)
        .expect(Expect::Settings(caller.request.settings.version))
        .write(Write::User(user.clone()))
        .write(Write::SignUp(sign_up.clone()));
    let mut changes = started.write(changes);
    changes.writes.extend(spend);
    service.commit(changes).await?;
    Ok(SignUpOutcome { shown: Shown::new(caller, started.step.browser).with_user(user), sign_up })
}

/// The account that the lost response to the same sign-up created, if the request has its password.
async fn account_of_lost_answer(
    service: &Service,
    request: &RequestContext,
    given: &Given,
) -> Result<Option<User>, Failure<AuthError>> {
    let caller = BrowserContext::load(service, request).await?;
    let (Some(repeat), Some(email), Some(password)) = (caller.lost_answer(), &given.email, &given.password)
    else {
        return Ok(None);
    };
    let Ok(email) = Email::parse(email) else { return Ok(None) };
    let user = service.store().user_by_email(service.instance_id(), &email).await?;
    let rotated_at = repeat.rotation.rotated_at;
    let is_new = |user: &User| user.created_at <= rotated_at && rotated_at <= user.created_at + GRACE;
    let Some(user) = user.filter(|user| repeat.is_all_of(user.id) && is_new(user)) else { return Ok(None) };
    prove_password(service, request.at, &user, password.clone()).await?;
    Ok(Some(user))
}

/// An attempt without a client yet: an unknown browser gets its client with the response.
fn new_sign_up(service: &Service, caller: &BrowserContext) -> SignUp {
    let now = caller.request.now();
    let nobody = ClientId::generate(now, &mut service.random());
    SignUp::new(SignUpId::generate(now, &mut service.random()), nobody, now)
}

fn outcome(mut shown: Shown, sign_up: SignUp) -> SignUpOutcome {
    shown.sign_up = Some(sign_up.clone());
    SignUpOutcome { shown, sign_up }
}

/// Whether another account has the address and enumeration protection hides this. Without the
/// protection, the request that set the address was refused.
async fn is_secretly_taken(
    service: &Service,
    settings: &Settings,
    email: &Email,
) -> Result<bool, Failure<AuthError>> {
    let hides = settings.instance.hides_accounts();
    Ok(hides && service.store().user_by_email(service.instance_id(), email).await?.is_some())
}

/// Maps an address that another account verified meanwhile: with enumeration protection the code is
/// reported as used.
pub(crate) fn unless_hidden<R: From<AuthError>>(settings: &Settings, error: CommitError) -> Failure<R> {
    match error {
        CommitError::Taken("email_address") if settings.instance.hides_accounts() => {
            Failure::Refused(AuthError::Code(CodeRefusal::Spent).into(), None)
        }
        error => error.into(),
    }
}

async fn fields(
    service: &Service,
    request: &RequestContext,
    given: Given,
) -> Result<SignUpFields, Failure<AuthError>> {
    let email = match &given.email {
        Some(text) => Some(free_email(service, &request.settings, text).await?),
        None => None,
    };
    let password_hash = match given.password {
        Some(password) => Some(service.passwords().hash(password).await.map_err(AuthError::from)?),
        None => None,
    };
    Ok(SignUpFields {
        email,
        password_hash,
        first_name: given.first_name,
        last_name: given.last_name,
        unsafe_metadata: given.unsafe_metadata,
        legal_accepted_at: given.legal_accepted.then_some(request.now()),
        locale: given.locale,
    })
}

/// Parses an address and checks that it is free, unless enumeration protection hides this. The
/// commit that creates the account checks it again.
pub(crate) async fn free_email(
    service: &Service,
    settings: &Settings,
    text: &str,
) -> Result<Email, Failure<AuthError>> {
    let email = Email::parse(text).map_err(|_| AuthError::EmailInvalid)?;
    let hides = settings.instance.hides_accounts();
    if !hides && service.store().user_by_email(service.instance_id(), &email).await?.is_some() {
        return Err(AuthError::EmailTaken.into());
    }
    Ok(email)
}

/// An open attempt of the requesting client, or the one that the lost response completed.
async fn own_sign_up(
    service: &Service,
    caller: BrowserContext,
    id: Option<SignUpId>,
) -> Result<(BrowserContext, SignUp), Failure<AuthError>> {
    if caller.browser().is_err() && caller.repeat.is_none() {
        return refuse(service, caller, AuthError::SignedOut).await;
    }
    let id = id.ok_or(AuthError::NoSignUp)?;
    let sign_up = service.store().sign_up(service.instance_id(), id).await?.ok_or(AuthError::NoSignUp)?;
    let completed = sign_up.created_session_id;
    let is_repeated = caller.lost_answer().is_some_and(|repeat| repeat.opened(completed));
    let is_open = sign_up.created_user_id.is_none() && caller.request.now() < sign_up.abandon_at();
    match caller.may_continue(sign_up.client_id, sign_up.created_at, completed) {
        Ok(true) if is_open || is_repeated => Ok((caller, sign_up)),
        Ok(_) => Err(AuthError::NoSignUp.into()),
        Err(_) => refuse(service, caller, AuthError::SignedOut).await,
    }
}
