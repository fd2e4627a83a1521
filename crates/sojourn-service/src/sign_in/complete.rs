//! The last step of every sign-in: it starts the session, rotates the client secret and completes
//! the attempt in one commit, for all strategies.

use sojourn_core::{
    email::Email,
    event::Event,
    id::{ClientId, SignInId},
    impersonation::Impersonation,
    session::{EndReason, EndedBy, Ending},
    settings::NotifyNewDevice,
    sign_in::{SignIn, Strategy},
    user::{PasswordHash, User},
};
use sojourn_store::{Engine as _, Expect, SessionFilter, Write};

use super::{SignInOutcome, SignInResult, own_sign_in, password::is_repeated, ticket::examine};
use crate::{
    browser::{BrowserContext, RequestContext},
    factors::{AuthError, refuse_banned},
    instance::Service,
    mail::{Message, Occasion},
    outcome::{Failure, Shown},
    sessions::{refuse_start, revoke, start_session},
};

/// A verified user.
#[derive(Clone, Debug)]
pub(super) struct Proof {
    /// The user at the time of the verification.
    pub(super) user: User,
    pub(super) strategy: Strategy,
    /// The attempt of the verification; `None` creates a new attempt.
    pub(super) sign_in: Option<SignInId>,
    /// The identifier for a new attempt.
    pub(super) identifier: Option<Email>,
}

/// An additional change in the commit of a sign-in.
#[derive(Clone, Debug)]
pub(super) enum SignInEffect {
    Nothing,
    /// Replaces the password hash by one with our parameters (AUT-03).
    RenewedHash(PasswordHash),
    /// Uses the ticket that verified the user.
    Ticket {
        text: String,
        /// Set for an actor token.
        impersonation: Option<Impersonation>,
    },
    /// Sets a new password.
    NewPassword {
        hash: PasswordHash,
        /// Whether the account's other sessions end (SES-16).
        ends_others: bool,
    },
}

impl SignInEffect {
    fn impersonation(&self) -> Option<Impersonation> {
        match self {
            Self::Ticket { impersonation, .. } => impersonation.clone(),
            Self::Nothing | Self::RenewedHash(_) | Self::NewPassword { .. } => None,
        }
    }
}

/// Signs the user in and applies `effect`, atomically.
pub(super) async fn complete(
    service: &Service,
    request: &RequestContext,
    proof: Proof,
    effect: SignInEffect,
) -> SignInResult {
    service
        .retry_on_conflict(|| async {
            let mut caller = BrowserContext::load(service, request).await?;
            let at = caller.request.at;
            let mut user = current(service, &proof).await?;
            refuse_banned(&user)?;
            let mut begun = None;
            if let Some(id) = proof.sign_in {
                let (own, sign_in) = own_sign_in(service, caller, Some(id)).await?;
                (caller, begun) = (own, Some(sign_in));
            }
            let by_code = matches!(proof.strategy, Strategy::EmailCode | Strategy::ResetPasswordEmailCode);
            if let Some(sign_in) = &begun {
                let is_at_this_step = sign_in.is_open(at.now) || is_repeated(&caller, sign_in);
                if !is_at_this_step || (by_code && !sign_in.speaks_for(&user)) {
                    return Err(AuthError::OutOfOrder.into());
                }
            }
            // Examined again after a conflict: a concurrent request may have used the ticket.
            let spend = match &effect {
                SignInEffect::Ticket { text, .. } => examine(service, &caller, text).await?.spend,
                _ => None,
            };
            let impersonation = effect.impersonation();
            let acts_for_another = impersonation.is_some();
            let strategy = proof.strategy.as_str();
            let started = match start_session(service, &mut caller, user.id, strategy, impersonation) {
                Ok(started) => started,
                Err(why) => return refuse_start(service, request, why, AuthError::from).await,
            };
            let mut sign_in = begun.unwrap_or_else(|| {
                let id = SignInId::generate(at.now, &mut service.random());
                let mut sign_in = SignIn::new(id, started.client_id(), at.now);
                let primary = || user.primary_email().map(|address| address.email.clone());
                if let Some(email) = proof.identifier.clone().or_else(primary) {
                    sign_in.identify(email, user.id);
                }
                sign_in
            });
            let proved = by_code.then(|| sign_in.proved_address()).flatten();
            sign_in.client_id = started.client_id();
            sign_in.complete(proof.strategy, started.session_id);
            // Fails if the settings changed meanwhile: "sign everybody out" must not miss a sign-in
            // that was decided before it (decision 16).
            let settings = Expect::Settings(caller.request.settings.version);
            let mut changes = started.write(service.changes(at).expect(settings));
            changes.writes.extend(spend);
            if !acts_for_another {
                changes.writes.extend(new_device_notice(service, &caller, &user, started.client_id()).await?);
            }
            // An actor is not the account owner: an impersonation neither updates the last sign-in
            // nor resets the lockout (SES-21).
            match acts_for_another {
                true => changes = changes.expect(Expect::User(user.id, user.version)),
                false => user.signed_in(at.now),
            }
            if proved.is_some_and(|address| user.prove_email(address)) {
                changes = changes.event(Event::UserUpdated(user.id));
            }
            match &effect {
                SignInEffect::Nothing | SignInEffect::Ticket { .. } => {}
                SignInEffect::RenewedHash(hash) => user.renew_hash(hash.clone()),
                SignInEffect::NewPassword { hash, ends_others } => {
                    user.set_password(hash.clone(), at.now);
                    if *ends_others {
                        let ending = Ending::revoked(EndReason::PasswordChanged, EndedBy::User);
                        changes = revoke::of_user(service, changes, user.id, None, ending).await?;
                    }
                }
            }
            if !acts_for_another {
                changes = changes.write(Write::User(user.clone()));
            }
            service.commit(changes.write(Write::SignIn(sign_in.clone()))).await?;
            let shown = Shown::new(caller, started.step.browser).with_user(user.clone());
            Ok(SignInOutcome { shown, sign_in, user: Some(user) })
        })
        .await
}

/// The mail about a sign-in from a browser that has no session of the account, open or ended.
/// Who never signed in before has no other device, and signing in never depends on mail.
async fn new_device_notice(
    service: &Service,
    caller: &BrowserContext,
    user: &User,
    client_id: ClientId,
) -> Result<Vec<Write>, Failure<AuthError>> {
    let request = &caller.request;
    let is_on = match request.settings.instance.mail.notify_new_device {
        NotifyNewDevice::Always => true,
        NotifyNewDevice::InProduction => !service.is_development(),
        NotifyNewDevice::Never => false,
    };
    let address = user.primary_email().filter(|address| address.verified_by.is_some());
    let Some(address) = address.filter(|_| is_on && user.last_sign_in_at.is_some()) else {
        return Ok(Vec::new());
    };
    let filter = SessionFilter {
        client_id: Some(client_id),
        user_id: Some(user.id),
        limit: 1,
        ..SessionFilter::default()
    };
    if !service.store().session_page(service.instance_id(), filter).await?.is_empty() {
        return Ok(Vec::new());
    }
    let occasion = Occasion::of(request, &address.email, user.locale.as_deref());
    let mail = service.mailer().is_ready().and_then(|()| {
        service.mailer().write(&occasion, Message::NewDevice(&request.device), &mut service.random())
    });
    Ok(mail.unwrap_or_else(|error| {
        tracing::warn!(%error, user_id = %user.id, "a user is not told of a sign-in from a new browser");
        Vec::new()
    }))
}

/// The current user, if the verification is still valid: it is not if the password was changed
/// meanwhile.
async fn current(service: &Service, proof: &Proof) -> Result<User, Failure<AuthError>> {
    let user = service.store().user(service.instance_id(), proof.user.id).await?;
    let user = user.ok_or(AuthError::OutOfOrder)?;
    if proof.strategy == Strategy::Password && !user.has_password_of(&proof.user) {
        return Err(AuthError::PasswordIncorrect.into());
    }
    Ok(user)
}
