//! The user's e-mail addresses: add, verify, remove. The rules are in [`sojourn_core::user`].

use sojourn_core::{
    event::Event,
    factor::SentCode,
    id::{ClientId, EmailAddressId},
    user::EmailRefusal,
};
use sojourn_store::{Engine as _, Write};

use super::{AccountError, AccountOutcome, AccountResult, Me, Named, change_as_owner, owner, store};
use crate::{
    browser::RequestContext,
    factors::{
        AuthError,
        codes::{gets_mail, hash_code, mail_code, new_code},
        refuse_locked,
    },
    instance::Service,
    mail::CodePurpose,
    outcome::{Failure, Shown},
    sign_up::{free_email, unless_hidden},
};

/// Adds an address. It identifies nobody until it is verified.
///
/// # Errors
/// [`AccountError`].
pub async fn add_email(
    service: &Service,
    request: &RequestContext,
    named: Named,
    text: &str,
) -> Result<(AccountOutcome, EmailAddressId), Failure<AccountError>> {
    let id = EmailAddressId::generate(request.now(), &mut service.random());
    let added = service.retry_on_conflict(|| async {
        let me = owner(service, request, named).await?;
        let email = free_email(service, &me.caller.request.settings, text).await;
        let email = email.map_err(|failure| failure.map(AccountError::Auth))?;
        let mut user = me.user.clone();
        user.add_unverified_email(id, email, me.caller.request.now()).map_err(AccountError::Email)?;
        store(service, me, user).await
    });
    Ok((added.await?, id))
}

/// Removes an address. The primary address cannot be removed; the user must make another one
/// primary first.
///
/// # Errors
/// [`AccountError`].
pub async fn remove_email(
    service: &Service,
    request: &RequestContext,
    named: Named,
    id: Option<EmailAddressId>,
) -> AccountResult {
    change_as_owner(service, request, named, |now, user| {
        let id = id.ok_or(AccountError::Email(EmailRefusal::Unknown))?;
        user.remove_email(id, now).map_err(AccountError::Email)
    })
    .await
}

/// Sends a code to an unverified address.
///
/// # Errors
/// [`AccountError`].
pub async fn send_email_code(
    service: &Service,
    request: &RequestContext,
    named: Named,
    id: EmailAddressId,
) -> AccountResult {
    let Me { user, .. } = owner(service, request, named).await?;
    // Per account, not per address: otherwise removing and adding the address would reset the
    // limit.
    count_request(service, request, &format!("prepare {}", user.id))?;
    service
        .retry_on_conflict(|| async {
            let Me { caller, step, mut user, .. } = owner(service, request, named).await?;
            let (at, settings) = (caller.request.at, &caller.request.settings);
            let email = user.email(id).ok_or(AccountError::Email(EmailRefusal::Unknown))?.email.clone();
            let owner = service.store().user_by_email(service.instance_id(), &email).await?;
            let is_taken = owner.is_some_and(|owner| owner.id != user.id);
            if is_taken && !settings.instance.hides_accounts() {
                return Err(AuthError::EmailTaken.into());
            }
            let (sent, mail) = if is_taken {
                // The owner of the address gets no mail either; otherwise a signed-in user could
                // send mail to strangers.
                gets_mail(service, settings, &email)?;
                (SentCode::unanswerable(at.now, email), Vec::new())
            } else {
                let code = new_code(service, settings, &email);
                let mail = mail_code(
                    service,
                    &caller.request,
                    &email,
                    user.locale.as_deref(),
                    CodePurpose::NewAddress,
                    &code,
                )?;
                let hash = hash_code(service, &attempt(id, step.browser.client.id), &code);
                (SentCode::new(at.now, email, Some(id), hash), mail)
            };
            user.send_email_code(id, sent).map_err(AccountError::Email)?;
            user.changed(at.now);
            let mut changes = service.changes(at).browser(&step).write(Write::User(user.clone()));
            changes.writes.extend(mail);
            service.commit(changes).await?;
            Ok(AccountOutcome { shown: Shown::new(caller, step.browser).with_user(user.clone()), user })
        })
        .await
}

/// Verifies the code. Every answer is counted in a durable write before the response.
///
/// # Errors
/// [`AccountError`].
pub async fn answer_email_code(
    service: &Service,
    request: &RequestContext,
    named: Named,
    id: EmailAddressId,
    answer: &str,
) -> AccountResult {
    let Me { user, .. } = owner(service, request, named).await?;
    count_request(service, request, &format!("attempt {}", user.id))?;
    service
        .retry_on_conflict(|| async {
            let Me { caller, step, mut user, .. } = owner(service, request, named).await?;
            let at = caller.request.at;
            refuse_locked(at.now, &user)?;
            let hash = hash_code(service, &attempt(id, step.browser.client.id), answer);
            let result = user.answer_email_code(at.now, id, &hash);
            let mut changes = service.changes(at).browser(&step).write(Write::User(user.clone()));
            if result.is_ok() {
                changes = changes.event(Event::UserUpdated(user.id));
            }
            // The commit fails if another account has verified the address meanwhile.
            let committed = service.commit(changes).await;
            committed.map_err(|error| unless_hidden::<AccountError>(&caller.request.settings, error))?;
            result.map_err(AccountError::Email)?;
            Ok(AccountOutcome { shown: Shown::new(caller, step.browser).with_user(user.clone()), user })
        })
        .await
}

fn count_request(service: &Service, request: &RequestContext, what: &str) -> Result<(), AuthError> {
    let counted = service.rate_limits().attempt(&request.device.ip_address, what);
    counted.map_err(AuthError::RateLimited)
}

/// The values that a code's hash is bound to: the address, and the client that requested the code
/// (AUT-08).
fn attempt(id: EmailAddressId, client: ClientId) -> String {
    format!("{id} {client}")
}
