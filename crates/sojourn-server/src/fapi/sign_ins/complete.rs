//! The last step of every sign-in: the account is admitted, the client secret
//! rotates, the attempt is complete. One commit, whatever the strategy.

use axum::response::Response;
use sojourn_core::{
    email::Email,
    event::Event,
    id::SignInId,
    impersonation::Impersonation,
    session::{EndReason, EndedBy, Ending},
    sign_in::{SignIn, Strategy},
    user::{PasswordHash, User},
};
use sojourn_service::sessions::revoke;
use sojourn_store::{Engine as _, Expect, Write};

use super::{out_of_order, own_sign_in, ticket::examine};
use crate::{
    app::App,
    auth::BrowserCredentials,
    fapi::{
        admission::{refuse_sign_in, start_session},
        answer::{View, refuse_caller},
    },
    wire::{self, ApiError, ApiResult, ErrorCode},
};

/// Somebody proved to be `user`.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The account as it was when it was proved.
    pub user: User,
    /// How.
    pub strategy: Strategy,
    /// The attempt it was proved in; a new one is made otherwise.
    pub sign_in: Option<SignInId>,
    /// The identifier of a new attempt.
    pub identifier: Option<Email>,
}

/// What happens in the same commit as a sign-in.
#[derive(Clone, Debug)]
pub enum SignInEffect {
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
pub async fn complete(
    app: &App,
    parts: &BrowserCredentials,
    proof: Proof,
    along: SignInEffect,
) -> ApiResult<Response> {
    app.retry_on_conflict(|| async {
        let mut caller = parts.load(app).await?;
        let now = caller.visit.now();
        let mut user = current(app, &proof).await?;
        refuse_banned(&user)?;
        let begun = match proof.sign_in {
            Some(id) => Some(own_sign_in(app, &caller, &id.to_string()).await?.0),
            None => None,
        };
        let by_code = matches!(proof.strategy, Strategy::EmailCode | Strategy::ResetPasswordEmailCode);
        let holds = |sign_in: &SignIn| sign_in.is_open(now) && (!by_code || sign_in.speaks_for(&user));
        if begun.as_ref().is_some_and(|sign_in| !holds(sign_in)) {
            return Err(out_of_order().into());
        }
        let Ok(browser) = caller.browser_or_new(app) else { return refuse_caller(app, &caller).await };
        let mut sign_in = begun.unwrap_or_else(|| {
            let mut sign_in = SignIn::new(SignInId::generate(now, &mut app.random()), browser.client.id, now);
            let primary = || user.primary_email().map(|address| address.email.clone());
            if let Some(email) = proof.identifier.clone().or_else(primary) {
                sign_in.identify(email, user.id);
            }
            sign_in
        });
        let strategy = proof.strategy.as_str();
        let impersonation = along.impersonation();
        let acts_for_another = impersonation.is_some();
        let (step, session_id) =
            match start_session(app, &mut caller, &browser, user.id, strategy, impersonation) {
                Ok(welcomed) => welcomed,
                Err(turned) => return refuse_sign_in(app, parts, turned).await,
            };
        let proved = by_code.then(|| sign_in.proved_address()).flatten();
        sign_in.complete(proof.strategy, session_id);
        let mut changes = app
            .changes(caller.visit.at)
            .expect(Expect::Settings(caller.visit.settings.version))
            .browser(&step);
        // Who acts as the account is not its owner: that is neither its last
        // sign-in, nor does it forgive wrong answers (SES-21).
        match acts_for_another {
            true => changes = changes.expect(Expect::User(user.id, user.version)),
            false => user.signed_in(now),
        }
        if proved.is_some_and(|address| user.prove_email(address)) {
            changes = changes.event(Event::UserUpdated(user.id));
        }
        match &along {
            SignInEffect::Nothing => {}
            SignInEffect::RenewedHash(hash) => user.renew_hash(hash.clone()),
            // Looked at again each time: who lost a race finds it used.
            SignInEffect::Ticket { text, .. } => changes.writes.push(examine(app, parts, text).await?.spend),
            SignInEffect::NewPassword { hash, ends_others } => {
                user.set_password(hash.clone(), now);
                if *ends_others {
                    let ending = Ending::revoked(EndReason::PasswordChanged, EndedBy::User);
                    changes = revoke::of_user(app, changes, user.id, None, ending).await?;
                }
            }
        }
        if !acts_for_another {
            changes = changes.write(Write::User(user.clone()));
        }
        app.commit(changes.write(Write::SignIn(sign_in.clone()))).await?;
        let view = View::new(app, &caller, &step.browser).with_user(&user);
        Ok(view.changed(&wire::sign_in::sign_in(now, &sign_in, Some(&user))))
    })
    .await
}

/// The account as it is now, if what was proved still holds: a password that
/// was changed in the meantime proves nothing.
async fn current(app: &App, proof: &Proof) -> ApiResult<User> {
    let user = app.store().user(app.instance_id(), proof.user.id).await?;
    let user = user.ok_or_else(out_of_order)?;
    if proof.strategy == Strategy::Password && !user.has_password_of(&proof.user) {
        return Err(ApiError::param(ErrorCode::FormPasswordIncorrect, "password"));
    }
    Ok(user)
}

/// Refuses accounts that may not sign in, whatever they prove. A lock is
/// judged where answers are booked, before they are looked at.
///
/// # Errors
/// `user_banned`.
pub(in crate::fapi) fn refuse_banned(user: &User) -> ApiResult<()> {
    if user.banned {
        return Err(ApiError::new(ErrorCode::UserBanned)
            .why("This account may not sign in. Ask the people who run the application."));
    }
    Ok(())
}
