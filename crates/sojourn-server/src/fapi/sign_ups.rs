//! Signing up: say who one is, prove the address, get an account and a session.

use axum::{
    extract::{Path, State},
    response::Response,
};
use sojourn_core::{
    email::Email,
    event::Event,
    factor::{CodeRefusal, SentCode},
    id::{EmailAddressId, SignUpId, UserId},
    settings::Settings,
    sign_in::Strategy,
    sign_up::{SignUp, SignUpFields},
    user::PasswordHash,
};
use sojourn_service::mail::{CodePurpose, Notice};
use sojourn_store::{CommitError, Engine as _, Expect, Write};

use super::{
    admission::{refuse_sign_in, start_session},
    answer::{View, refuse_caller},
    sign_ins::{
        codes::{code_refused, hash_code, mail_code, mail_notice, new_code},
        refuse_banned,
        ticket::{GoodTicket, examine},
    },
};
use crate::{
    app::{App, AttemptError},
    auth::{BrowserContext, BrowserCredentials},
    error::chosen_password,
    fapi::sign_ins,
    wire::{self, ApiError, ApiResult, ErrorCode, Params, params::within_metadata_limit},
};

/// Begins to sign up; complete at once when nothing has to be proved.
#[utoipa::path(post, path = "/v1/client/sign_ups", tag = "Sign-ups", responses((status = 200, description = "The attempt and the client"), (status = 400, description = "Somebody is signed in already"), (status = 422, description = "A parameter is not accepted")))]
pub async fn create_sign_up(
    State(app): State<App>,
    parts: BrowserCredentials,
    params: Params,
) -> ApiResult<Response> {
    app.rate_limits().creation(&parts.visit.device.ip_address)?;
    if params.text("strategy")?.as_deref() == Some("ticket") || params.has("ticket") {
        return with_ticket(&app, &parts, &params.required("ticket")?).await;
    }
    sign_ins::refuse_second(&app, &parts, None).await?;
    let fields = fields(&app, &parts, &params).await?;
    change(&app, &parts, None, fields).await
}

/// The attempt, as long as it is this browser's.
#[utoipa::path(get, path = "/v1/client/sign_ups/{sign_up_id}", tag = "Sign-ups", responses((status = 200, description = "The attempt"), (status = 404, description = "Not this browser's")))]
pub async fn get_sign_up(
    State(app): State<App>,
    parts: BrowserCredentials,
    Path(id): Path<String>,
) -> ApiResult<Response> {
    let caller = parts.load(&app).await?;
    let sign_up = own_sign_up(&app, &caller, &id).await?;
    let object = wire::sign_up::sign_up(caller.visit.now(), &sign_up, verify_email(&caller));
    Ok(View::nobody(&app, &caller).answer(&serde_json::json!({"response": object, "client": null})))
}

/// Adds to an attempt; complete when nothing is missing any more.
#[utoipa::path(patch, path = "/v1/client/sign_ups/{sign_up_id}", tag = "Sign-ups", responses((status = 200, description = "The attempt and the client"), (status = 422, description = "A parameter is not accepted")))]
pub async fn update_sign_up(
    State(app): State<App>,
    parts: BrowserCredentials,
    Path(id): Path<String>,
    params: Params,
) -> ApiResult<Response> {
    app.rate_limits().attempt(&parts.visit.device.ip_address, "answer")?;
    let fields = fields(&app, &parts, &params).await?;
    change(&app, &parts, Some(&id), fields).await
}

/// Sends a code to the address.
#[utoipa::path(post, path = "/v1/client/sign_ups/{sign_up_id}/prepare_verification", tag = "Sign-ups", responses((status = 200, description = "The attempt and the client"), (status = 422, description = "No code can be sent")))]
pub async fn prepare_verification(
    State(app): State<App>,
    parts: BrowserCredentials,
    Path(id): Path<String>,
    params: Params,
) -> ApiResult<Response> {
    app.rate_limits().attempt(&parts.visit.device.ip_address, "prepare")?;
    only_email_code(&params)?;
    app.retry_on_conflict(|| async {
        let caller = parts.load(&app).await?;
        let mut sign_up = own_sign_up(&app, &caller, &id).await?;
        let (now, settings) = (caller.visit.now(), &caller.visit.settings);
        let email = sign_up.fields.email.clone();
        let email = email.ok_or_else(|| ApiError::param(ErrorCode::FormParamMissing, "email_address"))?;
        let (sent, mail) = if is_taken(&app, settings, &email).await? {
            let mail = mail_notice(&app, settings, &email, Notice::AccountExists, now)?;
            (SentCode::unanswerable(now, email), mail)
        } else {
            let code = new_code(&app, settings, &email);
            let mail = mail_code(&app, settings, &email, CodePurpose::SignUp, &code, now)?;
            let hash = hash_code(&app, &sign_up.id.to_string(), &code);
            (SentCode::new(now, email, None, hash), mail)
        };
        sign_up.code = Some(sent);
        let Some(step) = caller.close_overdue() else { return refuse_caller(&app, &caller).await };
        let mut changes = app.changes(caller.visit.at).browser(&step).write(Write::SignUp(sign_up.clone()));
        changes.writes.extend(mail);
        app.commit(changes).await?;
        let view = View::new(&app, &caller, &step.browser).with_sign_up(&sign_up);
        Ok(view.changed(&wire::sign_up::sign_up(now, &sign_up, verify_email(&caller))))
    })
    .await
}

/// Takes an answer to the code; complete when nothing else is missing.
#[utoipa::path(post, path = "/v1/client/sign_ups/{sign_up_id}/attempt_verification", tag = "Sign-ups", responses((status = 200, description = "The attempt and the client"), (status = 422, description = "Not proved")))]
pub async fn attempt_verification(
    State(app): State<App>,
    parts: BrowserCredentials,
    Path(id): Path<String>,
    params: Params,
) -> ApiResult<Response> {
    app.rate_limits().attempt(&parts.visit.device.ip_address, "answer")?;
    only_email_code(&params)?;
    let answer = params.required("code")?;
    let now = parts.visit.now();
    let result = app
        .retry_on_conflict(|| async {
            let caller = parts.load(&app).await?;
            let mut sign_up = own_sign_up(&app, &caller, &id).await?;
            let hash = hash_code(&app, &sign_up.id.to_string(), answer.trim());
            let before = sign_up.clone();
            let result = sign_up.answer_code(now, &hash);
            if sign_up != before {
                app.commit(app.changes(parts.visit.at).write(Write::SignUp(sign_up))).await?;
            }
            Ok(result)
        })
        .await?;
    result.map_err(code_refused)?;
    change(&app, &parts, Some(&id), SignUpFields::default()).await
}

/// Stores what was given, and makes account and session as soon as it is enough.
async fn change(
    app: &App,
    parts: &BrowserCredentials,
    id: Option<&str>,
    fields: SignUpFields,
) -> ApiResult<Response> {
    app.retry_on_conflict(|| async {
        let mut caller = parts.load(app).await?;
        let now = caller.visit.now();
        let begun = match id {
            Some(id) => Some(own_sign_up(app, &caller, id).await?),
            None => None,
        };
        let Ok(browser) = caller.browser_or_new(app) else { return refuse_caller(app, &caller).await };
        let mut sign_up = begun.unwrap_or_else(|| {
            SignUp::new(SignUpId::generate(now, &mut app.random()), browser.client.id, now)
        });
        sign_up.update(fields.clone());
        if !sign_up.is_ready(now, verify_email(&caller)) {
            let mut step =
                sojourn_core::client::close_overdue(caller.visit.at, &caller.visit.policy, &browser);
            caller.note_visit(&mut step);
            step.browser.client.sign_up_id = Some(sign_up.id);
            step.browser.client.changed(now);
            step.client_changed = true;
            app.commit(app.changes(caller.visit.at).browser(&step).write(Write::SignUp(sign_up.clone())))
                .await?;
            let view = View::new(app, &caller, &step.browser).with_sign_up(&sign_up);
            return Ok(view.changed(&wire::sign_up::sign_up(now, &sign_up, verify_email(&caller))));
        }
        let user_id = UserId::generate(now, &mut app.random());
        let strategy = if sign_up.email_verified { "email_code" } else { "password" };
        let (step, session_id) = match start_session(app, &mut caller, &browser, user_id, strategy, None) {
            Ok(welcomed) => welcomed,
            Err(turned) => return refuse_sign_in(app, parts, turned).await,
        };
        let email_id = EmailAddressId::generate(now, &mut app.random());
        let user = sign_up.complete(now, user_id, email_id, session_id);
        let changes = app
            .changes(caller.visit.at)
            .expect(Expect::Settings(caller.visit.settings.version))
            .write(Write::User(user.clone()))
            .event(Event::UserCreated(user_id))
            .browser(&step)
            .write(Write::SignUp(sign_up.clone()));
        app.commit(changes).await.map_err(|error| unless_hidden(&caller.visit.settings, error))?;
        let view = View::new(app, &caller, &step.browser).with_user(&user);
        Ok(view.changed(&wire::sign_up::sign_up(now, &sign_up, verify_email(&caller))))
    })
    .await
}

/// Whether somebody has the address who is not to be told of to others. Who has
/// it where accounts do not hide was told when the address was given.
async fn is_taken(app: &App, settings: &Settings, email: &Email) -> ApiResult<bool> {
    let hides = settings.instance.hides_accounts();
    Ok(hides && app.store().user_by_email(app.instance_id(), email).await?.is_some())
}

/// An address that was proved but is somebody else's since: where accounts hide,
/// its code is as good as used.
pub(super) fn unless_hidden(settings: &Settings, error: CommitError) -> AttemptError {
    match error {
        CommitError::Taken("email_address") if settings.instance.hides_accounts() => {
            code_refused(CodeRefusal::Spent).into()
        }
        error => error.into(),
    }
}

/// A ticket on the sign-up page. The account behind a sign-in token exists, so
/// there is nothing left to ask: the attempt is complete, and signs in.
async fn with_ticket(app: &App, parts: &BrowserCredentials, ticket: &str) -> ApiResult<Response> {
    let GoodTicket { user, impersonation, .. } = examine(app, parts, ticket).await?;
    if impersonation.is_some() {
        return Err(ApiError::new(ErrorCode::ActorTokenNotInSignIn)
            .why("Who acts as an account signs in. Open the link on the sign-in page."));
    }
    sign_ins::refuse_second(app, parts, Some(&user)).await?;
    app.retry_on_conflict(|| async {
        let mut caller = parts.load(app).await?;
        let now = caller.visit.now();
        let GoodTicket { mut user, spend, .. } = examine(app, parts, ticket).await?;
        refuse_banned(&user)?;
        let Ok(browser) = caller.browser_or_new(app) else { return refuse_caller(app, &caller).await };
        let strategy = Strategy::Ticket.as_str();
        let (step, session_id) = match start_session(app, &mut caller, &browser, user.id, strategy, None) {
            Ok(welcomed) => welcomed,
            Err(turned) => return refuse_sign_in(app, parts, turned).await,
        };
        user.signed_in(now);
        let mut sign_up = SignUp::new(SignUpId::generate(now, &mut app.random()), browser.client.id, now);
        sign_up.fields.email = user.primary_email().map(|address| address.email.clone());
        sign_up.created_user_id = Some(user.id);
        sign_up.created_session_id = Some(session_id);
        let changes = app
            .changes(caller.visit.at)
            .expect(Expect::Settings(caller.visit.settings.version))
            .write(spend)
            .write(Write::User(user.clone()))
            .browser(&step)
            .write(Write::SignUp(sign_up.clone()));
        app.commit(changes).await?;
        let view = View::new(app, &caller, &step.browser).with_user(&user);
        Ok(view.changed(&wire::sign_up::sign_up(now, &sign_up, verify_email(&caller))))
    })
    .await
}

fn verify_email(caller: &BrowserContext) -> bool {
    caller.visit.settings.instance.verifies_at_sign_up()
}

/// The fields that a browser may set; everything else is ignored (AUZ-05).
async fn fields(app: &App, parts: &BrowserCredentials, params: &Params) -> ApiResult<SignUpFields> {
    let email = match params.text("email_address")? {
        Some(text) => Some(free_email(app, &parts.visit.settings, &text).await?),
        None => None,
    };
    let password_hash: Option<PasswordHash> = match params.text("password")? {
        Some(_) => Some(app.passwords().hash(chosen_password(params, "password")?).await?),
        None => None,
    };
    let accepted = params.flag("legal_accepted")? == Some(true);
    let unsafe_metadata = params.object("unsafe_metadata")?.unwrap_or_default();
    within_metadata_limit("unsafe_metadata", &unsafe_metadata)?;
    Ok(SignUpFields {
        email,
        password_hash,
        first_name: params.text("first_name")?,
        last_name: params.text("last_name")?,
        unsafe_metadata,
        legal_accepted_at: accepted.then_some(parts.visit.now()),
        locale: params.text("locale")?,
    })
}

/// An address that nobody has yet, or of which that is not told. That it is
/// still free when the account is made is a condition of that commit.
pub(super) async fn free_email(app: &App, settings: &Settings, text: &str) -> ApiResult<Email> {
    let email = Email::parse(text).map_err(|_| {
        ApiError::param(ErrorCode::FormParamFormatInvalid, "email_address")
            .message("Email address must be a valid email address.")
            .why("Enter an e-mail address such as name@example.com.")
    })?;
    let hides = settings.instance.hides_accounts();
    if !hides && app.store().user_by_email(app.instance_id(), &email).await?.is_some() {
        return Err(ApiError::param(ErrorCode::FormIdentifierExists, "email_address"));
    }
    Ok(email)
}

async fn own_sign_up(app: &App, caller: &BrowserContext, id: &str) -> Result<SignUp, AttemptError> {
    let Ok(browser) = caller.browser() else { return refuse_caller(app, caller).await };
    let missing = || ApiError::not_found("sign-up attempt of this browser");
    let id: SignUpId = id.parse().map_err(|_| missing())?;
    let sign_up = app.store().sign_up(app.instance_id(), id).await?.ok_or_else(missing)?;
    let is_open = sign_up.created_user_id.is_none() && caller.visit.now() < sign_up.abandon_at();
    if sign_up.client_id != browser.client.id || !is_open {
        return Err(missing().into());
    }
    Ok(sign_up)
}

pub(super) fn only_email_code(params: &Params) -> ApiResult<()> {
    match params.required("strategy")?.as_str() {
        "email_code" => Ok(()),
        _ => Err(ApiError::param(ErrorCode::FormParamValueInvalid, "strategy")
            .why("An address is proved by email_code on this instance.")),
    }
}
