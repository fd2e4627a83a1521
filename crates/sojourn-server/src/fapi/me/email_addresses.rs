//! The account's e-mail addresses: add one, prove it, take one away. The rules
//! are in [`sojourn_core::user`].

use axum::{
    extract::{Path, RawQuery, State},
    response::Response,
};
use serde_json::Value;
use sojourn_core::{
    client::ClientStep,
    event::Event,
    factor::SentCode,
    id::{ClientId, EmailAddressId},
    user::{EmailRefusal, MAX_EMAIL_ADDRESSES, User},
};
use sojourn_service::mail::CodePurpose;
use sojourn_store::{Engine as _, Write};

use super::{me, owner, store_user};
use crate::{
    app::{App, AttemptError},
    auth::{BrowserContext, BrowserCredentials},
    fapi::{
        answer::View,
        sign_ins::{
            codes::{code_refused, gets_mail, hash_code, mail_code, new_code},
            refuse_locked,
        },
        sign_ups::{free_email, only_email_code, unless_hidden},
    },
    wire::{
        ApiError, ApiResult, ErrorCode, Params,
        user::{deleted, email_address as object},
    },
};

/// The addresses of the account.
#[utoipa::path(get, path = "/v1/me/email_addresses", tag = "Me", responses((status = 200, description = "E-mail addresses"), (status = 401, description = "Not signed in")))]
pub async fn list_email_addresses(
    State(app): State<App>,
    parts: BrowserCredentials,
    RawQuery(query): RawQuery,
) -> ApiResult<Response> {
    app.retry_on_conflict(|| async {
        let caller = parts.load(&app).await?;
        let (step, _, user) = me(&app, &caller, query.as_deref()).await?;
        caller.commit_step(&app, &step).await?;
        let objects: Vec<Value> =
            user.email_addresses.iter().map(|address| object(address, caller.visit.now())).collect();
        Ok(View::new(&app, &caller, &step.browser).read(&objects.into()))
    })
    .await
}

/// Adds an address. It names nobody until it is proved.
#[utoipa::path(post, path = "/v1/me/email_addresses", tag = "Me", responses((status = 200, description = "The address and the client"), (status = 401, description = "Not signed in"), (status = 403, description = "Somebody acts as the account"), (status = 422, description = "The address is not accepted")))]
pub async fn create_email_address(
    State(app): State<App>,
    parts: BrowserCredentials,
    RawQuery(query): RawQuery,
    params: Params,
) -> ApiResult<Response> {
    app.rate_limits().creation(&parts.visit.device.ip_address)?;
    let text = params.required("email_address")?;
    app.retry_on_conflict(|| async {
        let caller = parts.load(&app).await?;
        let (step, _, mut user) = owner(&app, &caller, query.as_deref()).await?;
        let now = caller.visit.now();
        let id = EmailAddressId::generate(now, &mut app.random());
        let email = free_email(&app, &caller.visit.settings, &text).await?;
        user.add_unverified_email(id, email, now)
            .map_err(|refusal| refused(refusal, "email_address", no_address))?;
        store_user(&app, &caller, &step, &user).await?;
        shown(&app, &caller, &step, &user, id)
    })
    .await
}

/// One address of the account.
#[utoipa::path(get, path = "/v1/me/email_addresses/{email_address_id}", tag = "Me", responses((status = 200, description = "The address"), (status = 401, description = "Not signed in"), (status = 404, description = "Not an address of this account")))]
pub async fn get_email_address(
    State(app): State<App>,
    parts: BrowserCredentials,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> ApiResult<Response> {
    app.retry_on_conflict(|| async {
        let caller = parts.load(&app).await?;
        let (step, _, user) = me(&app, &caller, query.as_deref()).await?;
        caller.commit_step(&app, &step).await?;
        let address = id.parse().ok().and_then(|id| user.email(id)).ok_or_else(no_address)?;
        let view = View::new(&app, &caller, &step.browser);
        Ok(view.read(&object(address, caller.visit.now())))
    })
    .await
}

/// Takes an address away. The primary one stays: another has to take its place first.
#[utoipa::path(delete, path = "/v1/me/email_addresses/{email_address_id}", tag = "Me", responses((status = 200, description = "It is gone"), (status = 401, description = "Not signed in"), (status = 403, description = "Somebody acts as the account"), (status = 404, description = "Not an address of this account"), (status = 422, description = "It is the primary address")))]
pub async fn delete_email_address(
    State(app): State<App>,
    parts: BrowserCredentials,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> ApiResult<Response> {
    app.retry_on_conflict(|| async {
        let caller = parts.load(&app).await?;
        let (step, _, mut user) = owner(&app, &caller, query.as_deref()).await?;
        user.remove_email(parsed(&id)?, caller.visit.now())
            .map_err(|refusal| refused(refusal, "email_address", no_address))?;
        store_user(&app, &caller, &step, &user).await?;
        let view = View::new(&app, &caller, &step.browser).with_user(&user);
        Ok(view.changed(&deleted("email_address", &id)))
    })
    .await
}

/// Sends a code to an address that is not proved yet.
#[utoipa::path(post, path = "/v1/me/email_addresses/{email_address_id}/prepare_verification", tag = "Me", responses((status = 200, description = "The address and the client"), (status = 401, description = "Not signed in"), (status = 403, description = "Somebody acts as the account"), (status = 422, description = "No code can be sent")))]
pub async fn prepare_email_address(
    State(app): State<App>,
    parts: BrowserCredentials,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    params: Params,
) -> ApiResult<Response> {
    only_email_code(&params)?;
    let id = parsed(&id)?;
    let caller = parts.load(&app).await?;
    let (_, _, user) = owner(&app, &caller, query.as_deref()).await?;
    // By account, not by address: removing one and adding it anew is no fresh start.
    app.rate_limits().attempt(&parts.visit.device.ip_address, &format!("prepare {}", user.id))?;
    app.retry_on_conflict(|| async {
        let caller = parts.load(&app).await?;
        let (step, _, mut user) = owner(&app, &caller, query.as_deref()).await?;
        let (now, settings) = (caller.visit.now(), &caller.visit.settings);
        let email = user.email(id).ok_or_else(no_address)?.email.clone();
        let owner = app.store().user_by_email(app.instance_id(), &email).await?;
        let is_taken = owner.is_some_and(|owner| owner.id != user.id);
        if is_taken && !settings.instance.hides_accounts() {
            return Err(ApiError::param(ErrorCode::FormIdentifierExists, "email_address").into());
        }
        let (sent, mail) = if is_taken {
            // Its owner is not told either: whoever is signed in here would write to strangers.
            gets_mail(&app, settings, &email)?;
            (SentCode::unanswerable(now, email), None)
        } else {
            let code = new_code(&app, settings, &email);
            let mail = mail_code(&app, settings, &email, CodePurpose::NewAddress, &code, now)?;
            let hash = hash_code(&app, &attempt(id, step.browser.client.id), &code);
            (SentCode::new(now, email, Some(id), hash), mail)
        };
        user.send_email_code(id, sent).map_err(|refusal| refused(refusal, "email_address", no_address))?;
        user.changed(now);
        let mut changes = app.changes(caller.visit.at).browser(&step).write(Write::User(user.clone()));
        changes.writes.extend(mail);
        app.commit(changes).await?;
        shown(&app, &caller, &step, &user, id)
    })
    .await
}

/// Takes an answer to the code. Each counts, in a durable write, before it is told.
#[utoipa::path(post, path = "/v1/me/email_addresses/{email_address_id}/attempt_verification", tag = "Me", responses((status = 200, description = "The address and the client"), (status = 401, description = "Not signed in"), (status = 403, description = "The account is locked, or somebody acts as it"), (status = 422, description = "Not proved")))]
pub async fn attempt_email_address(
    State(app): State<App>,
    parts: BrowserCredentials,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    params: Params,
) -> ApiResult<Response> {
    let id = parsed(&id)?;
    let answer = params.required("code")?;
    let caller = parts.load(&app).await?;
    let (_, _, user) = owner(&app, &caller, query.as_deref()).await?;
    app.rate_limits().attempt(&parts.visit.device.ip_address, &format!("attempt {}", user.id))?;
    app.retry_on_conflict(|| async {
        let caller = parts.load(&app).await?;
        let (step, _, mut user) = owner(&app, &caller, query.as_deref()).await?;
        let now = caller.visit.now();
        refuse_locked(now, &user)?;
        let hash = hash_code(&app, &attempt(id, step.browser.client.id), answer.trim());
        let result = user.answer_email_code(now, id, &hash);
        let mut changes = app.changes(caller.visit.at).browser(&step).write(Write::User(user.clone()));
        if result.is_ok() {
            changes = changes.event(Event::UserUpdated(user.id));
        }
        // That nobody else proved the address is a condition of this commit.
        app.commit(changes).await.map_err(|error| unless_hidden(&caller.visit.settings, error))?;
        result.map_err(|refusal| refused(refusal, "email_address", no_address))?;
        shown(&app, &caller, &step, &user, id)
    })
    .await
}

/// What a code's hash is bound to: the address, and the browser that asked (AUT-08).
fn attempt(id: EmailAddressId, client: ClientId) -> String {
    format!("{id} {client}")
}

fn parsed(id: &str) -> ApiResult<EmailAddressId> {
    id.parse().map_err(|_| no_address())
}

fn no_address() -> ApiError {
    ApiError::not_found("e-mail address of this account")
}

fn shown(
    app: &App,
    caller: &BrowserContext,
    step: &ClientStep,
    user: &User,
    id: EmailAddressId,
) -> Result<Response, AttemptError> {
    let address = user.email(id).ok_or_else(no_address)?;
    let view = View::new(app, caller, &step.browser).with_user(user);
    Ok(view.changed(&object(address, caller.visit.now())))
}

/// Why the addresses stay as they are, in words; `missing` where there is none
/// of this id.
pub(super) fn refused(refusal: EmailRefusal, name: &str, missing: impl Fn() -> ApiError) -> ApiError {
    match refusal {
        EmailRefusal::Unknown => missing(),
        EmailRefusal::Present => ApiError::param(ErrorCode::FormIdentifierExists, name)
            .message("This address is in the account already.")
            .why("This address is in your account already. Verify it there."),
        EmailRefusal::TooMany => {
            let text = format!("An account may have {MAX_EMAIL_ADDRESSES} e-mail addresses.");
            ApiError::param(ErrorCode::FormParamValueInvalid, name)
                .why(format!("{text} Remove one to add another."))
                .message(text)
        }
        EmailRefusal::Unverified => ApiError::param(ErrorCode::FormParamValueInvalid, name)
            .message("The address is not verified.")
            .why("Only a verified address can be the primary one. Verify it first."),
        EmailRefusal::Verified => ApiError::new(ErrorCode::VerificationAlreadyVerified)
            .why("The address is verified already. There is nothing left to do."),
        EmailRefusal::Primary => ApiError::new(ErrorCode::IdentificationDeletionFailed).why(
            "The primary address cannot be removed. Make another verified address the primary one first.",
        ),
        EmailRefusal::Code(Some(refusal)) => code_refused(refusal),
        EmailRefusal::Code(None) => {
            ApiError::new(ErrorCode::VerificationMissing).why("Ask for a code first.")
        }
    }
}
