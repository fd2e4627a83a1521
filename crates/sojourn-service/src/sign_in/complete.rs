//! The last step of every sign-in: the account is admitted, the client secret
//! rotates, the attempt is complete. One commit, whatever the strategy.

use sojourn_core::{
    email::Email,
    event::Event,
    id::SignInId,
    impersonation::Impersonation,
    session::{EndReason, EndedBy, Ending},
    sign_in::{SignIn, Strategy},
    user::{PasswordHash, User},
};
use sojourn_store::{Engine as _, Expect, Write};

use super::{SignInOutcome, SignInResult, own_sign_in, password::is_repeated, ticket::examine};
use crate::{
    browser::{BrowserContext, RequestContext},
    factors::{AuthError, refuse_banned},
    instance::Service,
    outcome::{Failure, Shown},
    sessions::{refuse_start, revoke, start_session},
};

/// Somebody proved to be `user`.
#[derive(Clone, Debug)]
pub(super) struct Proof {
    /// The account as it was when it was proved.
    pub(super) user: User,
    /// How.
    pub(super) strategy: Strategy,
    /// The attempt it was proved in; a new one is made otherwise.
    pub(super) sign_in: Option<SignInId>,
    /// The identifier of a new attempt.
    pub(super) identifier: Option<Email>,
}

/// What happens in the same commit as a sign-in.
#[derive(Clone, Debug)]
pub(super) enum SignInEffect {
    /// Nothing else.
    Nothing,
    /// The password's hash is replaced by one of ours (AUT-03).
    RenewedHash(PasswordHash),
    /// The ticket that proved it is spent.
    Ticket {
        /// Its text.
        text: String,
        /// Who acts as the account, if the ticket is theirs.
        impersonation: Option<Impersonation>,
    },
    /// A new password is set.
    NewPassword {
        /// Its hash.
        hash: PasswordHash,
        /// Whether the account's sessions elsewhere end (SES-16).
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

/// Signs the account in, and does what goes along with it: both or neither.
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
            // Looked at again each time: who lost a race finds it used.
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
            let settings = Expect::Settings(caller.request.settings.version);
            let mut changes = started.write(service.changes(at).expect(settings));
            changes.writes.extend(spend);
            // Who acts as the account is not its owner: that is neither its last
            // sign-in, nor does it forgive wrong answers (SES-21).
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

/// The account as it is now, if what was proved still holds: a password that was
/// changed in the meantime proves nothing.
async fn current(service: &Service, proof: &Proof) -> Result<User, Failure<AuthError>> {
    let user = service.store().user(service.instance_id(), proof.user.id).await?;
    let user = user.ok_or(AuthError::OutOfOrder)?;
    if proof.strategy == Strategy::Password && !user.has_password_of(&proof.user) {
        return Err(AuthError::PasswordIncorrect.into());
    }
    Ok(user)
}
