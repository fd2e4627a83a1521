//! Signing in: name somebody, prove it, get a session.

pub mod codes;
mod complete;
mod password;
pub mod reset;
pub mod ticket;
mod veil;

pub(in crate::fapi) use complete::refuse_banned;
pub use complete::{Proof, SignInEffect, complete};
pub use password::{prove as prove_password, refuse_locked};

use axum::{
    extract::{Path, State},
    response::Response,
};
use sojourn_core::{
    client::ClientWithSessions,
    email::Email,
    id::{EmailAddressId, SignInId},
    sign_in::{SignIn, Strategy},
    user::User,
};
use sojourn_store::{Engine as _, Write};

use super::{
    admission::{already_signed_in, session_exists},
    answer::{View, refuse_caller},
};
use crate::{
    app::{App, AttemptError},
    auth::{BrowserContext, BrowserCredentials},
    wire::{self, ApiError, ApiResult, ErrorCode, Params},
};

/// Begins to sign in: with nothing, with an identifier, with an identifier and
/// a password at once, or with a ticket.
#[utoipa::path(post, path = "/v1/client/sign_ins", tag = "Sign-ins", responses((status = 200, description = "The attempt and the client"), (status = 400, description = "Somebody is signed in already"), (status = 422, description = "A parameter is not accepted")))]
pub async fn create_sign_in(
    State(app): State<App>,
    parts: BrowserCredentials,
    params: Params,
) -> ApiResult<Response> {
    app.rate_limits().creation(&parts.visit.device.ip_address)?;
    if params.flag("transfer")? == Some(true) {
        return Err(ApiError::param(ErrorCode::FormParamValueInvalid, "transfer").why(
            "There is nothing to transfer: no verification of this browser says that it is transferable.",
        ));
    }
    let strategy = params.text("strategy")?;
    let ticket = params.text("ticket")?;
    if strategy.as_deref() == Some(Strategy::Ticket.as_str()) || ticket.is_some() {
        let ticket = ticket.ok_or_else(|| ApiError::param(ErrorCode::FormParamMissing, "ticket"))?;
        return ticket::sign_in(&app, &parts, &ticket).await;
    }
    let password = params.text("password")?;
    let Some(identifier) = params.text("identifier")? else {
        if password.is_some() {
            return Err(
                ApiError::param(ErrorCode::FormParamMissing, "identifier").why("Say whose password it is.")
            );
        }
        return begin(&app, &parts, None).await;
    };
    let hides = parts.visit.settings.instance.hides_accounts();
    let (email, user) = find_user(&app, hides, &identifier).await?;
    let Some(password) = password else { return begin(&app, &parts, Some((email, user))).await };
    refuse_second(&app, &parts, user.as_ref()).await?;
    let user = prove(&app, &parts, hides, user, &password).await?;
    let along = password::renewal(&app, &user, &password).await;
    let proof = Proof { user, strategy: Strategy::Password, sign_in: None, identifier: Some(email) };
    complete(&app, &parts, proof, along).await
}

/// Whoever it is by the password.
async fn prove(
    app: &App,
    parts: &BrowserCredentials,
    hides: bool,
    user: Option<User>,
    password: &str,
) -> ApiResult<User> {
    if hides {
        return veil::prove(app, parts, user, password).await;
    }
    let user = user.ok_or_else(out_of_order)?;
    password::prove(app, parts, &user, password).await?;
    Ok(user)
}

/// The attempt, as long as it is this browser's.
#[utoipa::path(get, path = "/v1/client/sign_ins/{sign_in_id}", tag = "Sign-ins", responses((status = 200, description = "The attempt"), (status = 404, description = "Not this browser's")))]
pub async fn get_sign_in(
    State(app): State<App>,
    parts: BrowserCredentials,
    Path(id): Path<String>,
) -> ApiResult<Response> {
    app.retry_on_conflict(|| async {
        let caller = parts.load(&app).await?;
        let (sign_in, user) = own_sign_in(&app, &caller, &id).await?;
        Ok(View::nobody(&app, &caller).answer(&serde_json::json!({
            "response": wire::sign_in::sign_in(caller.visit.now(), &sign_in, user.as_ref()), "client": null,
        })))
    })
    .await
}

/// Proves the first factor by password or code.
#[utoipa::path(post, path = "/v1/client/sign_ins/{sign_in_id}/attempt_first_factor", tag = "Sign-ins", responses((status = 200, description = "The attempt and the client"), (status = 403, description = "The account is locked or banned"), (status = 422, description = "Not proved")))]
pub async fn attempt_first_factor(
    State(app): State<App>,
    parts: BrowserCredentials,
    Path(id): Path<String>,
    params: Params,
) -> ApiResult<Response> {
    let visit = &parts.visit;
    app.rate_limits().attempt(&visit.device.ip_address, "answer")?;
    let strategy = strategy(&params)?;
    let caller = parts.load(&app).await?;
    let (sign_in, user) = own_sign_in(&app, &caller, &id).await?;
    let hides = sign_in.veil.is_some();
    if user.is_none() && !hides {
        return Err(out_of_order());
    }
    match strategy {
        Strategy::Password => {
            if sign_in.status != sojourn_core::sign_in::SignInStatus::NeedsFirstFactor
                || !sign_in.is_open(visit.now())
            {
                return Err(out_of_order());
            }
            let password = params.required("password")?;
            let user = prove(&app, &parts, hides, user, &password).await?;
            let along = password::renewal(&app, &user, &password).await;
            let proof = Proof { user, strategy, sign_in: Some(sign_in.id), identifier: None };
            complete(&app, &parts, proof, along).await
        }
        Strategy::EmailCode | Strategy::ResetPasswordEmailCode => {
            codes::attempt(&app, &parts, sign_in.id, strategy, &params.required("code")?).await
        }
        Strategy::Ticket => ticket::sign_in(&app, &parts, &params.required("ticket")?).await,
    }
}

/// Stores a new attempt; it is what a reload of the page continues.
async fn begin(
    app: &App,
    parts: &BrowserCredentials,
    named: Option<(Email, Option<User>)>,
) -> ApiResult<Response> {
    let user = named.as_ref().and_then(|(_, user)| user.as_ref());
    refuse_second(app, parts, user).await?;
    app.retry_on_conflict(|| async {
        let mut caller = parts.load(app).await?;
        let Ok(browser) = caller.browser_or_new(app) else { return refuse_caller(app, &caller).await };
        let now = caller.visit.now();
        let mut sign_in = SignIn::new(SignInId::generate(now, &mut app.random()), browser.client.id, now);
        match (&named, user) {
            (Some((email, _)), _) if caller.visit.settings.instance.hides_accounts() => {
                let veil = EmailAddressId::generate(now, &mut app.random());
                sign_in.identify_veiled(email.clone(), user.map(|user| user.id), veil);
            }
            (Some((email, _)), Some(user)) => sign_in.identify(email.clone(), user.id),
            _ => {}
        }
        let mut step = sojourn_core::client::close_overdue(caller.visit.at, &caller.visit.policy, &browser);
        caller.note_visit(&mut step);
        step.browser.client.sign_in_id = Some(sign_in.id);
        step.browser.client.changed(now);
        step.client_changed = true;
        app.commit(app.changes(caller.visit.at).browser(&step).write(Write::SignIn(sign_in.clone()))).await?;
        let mut view = View::new(app, &caller, &step.browser).with_sign_in(&sign_in);
        if let Some(user) = user {
            view = view.with_user(user);
        }
        Ok(view.changed(&wire::sign_in::sign_in(now, &sign_in, user)))
    })
    .await
}

/// Refuses early what `admit` would refuse at the end, so that nobody types a
/// password for nothing: a second account in single-session mode, or an account
/// that is signed in here already (D7).
pub(super) async fn refuse_second(
    app: &App,
    parts: &BrowserCredentials,
    user: Option<&User>,
) -> ApiResult<()> {
    app.retry_on_conflict(|| async {
        let caller = parts.load(app).await?;
        let Some(step) = caller.close_overdue() else { return Ok(()) };
        let open = &step.browser.sessions;
        let same = open.iter().find(|session| user.is_some_and(|user| user.id == session.user_id));
        let error = if !caller.visit.policy.current().multi_session && !open.is_empty() {
            session_exists()
        } else if let Some(same) = same {
            already_signed_in(same.id)
        } else {
            return Ok(());
        };
        caller.commit_step(app, &step).await?;
        Err(View::new(app, &caller, &step.browser).refuse(error).into())
    })
    .await
}

/// The account that is named; that there is none is told, unless accounts hide.
async fn find_user(app: &App, hides: bool, identifier: &str) -> ApiResult<(Email, Option<User>)> {
    let unknown = || {
        ApiError::param(ErrorCode::FormIdentifierNotFound, "identifier")
            .why("There is no account with this e-mail address. Check it, or sign up.")
    };
    let email = Email::parse(identifier).map_err(|_| {
        ApiError::param(ErrorCode::FormParamFormatInvalid, "identifier")
            .message("Identifier is invalid.")
            .why("Enter an e-mail address such as name@example.com.")
    })?;
    let user = app.store().user_by_email(app.instance_id(), &email).await?;
    if user.is_none() && !hides { Err(unknown()) } else { Ok((email, user)) }
}

/// An attempt of the calling browser, still open, with its account.
pub(super) async fn own_sign_in(
    app: &App,
    caller: &BrowserContext,
    id: &str,
) -> Result<(SignIn, Option<User>), AttemptError> {
    let Ok(browser) = caller.browser() else { return refuse_caller(app, caller).await };
    let missing = || ApiError::not_found("sign-in attempt of this browser");
    let id: SignInId = id.parse().map_err(|_| missing())?;
    let sign_in = app.store().sign_in(app.instance_id(), id).await?.ok_or_else(missing)?;
    if !belongs(&sign_in, browser) {
        return Err(missing().into());
    }
    let user = match sign_in.user_id {
        Some(id) => app.store().user(app.instance_id(), id).await?,
        None => None,
    };
    Ok((sign_in, user))
}

fn belongs(sign_in: &SignIn, browser: &ClientWithSessions) -> bool {
    sign_in.client_id == browser.client.id
}

fn strategy(params: &Params) -> ApiResult<Strategy> {
    let word = params.required("strategy")?;
    Strategy::from_word(&word).ok_or_else(|| {
        ApiError::param(ErrorCode::FormParamValueInvalid, "strategy").why(format!(
            "{word} is not a strategy of this instance. Use password, email_code, reset_password_email_code or ticket."
        ))
    })
}

/// The refusal of a step that is not next.
pub(super) fn out_of_order() -> ApiError {
    ApiError::new(ErrorCode::SignInOutOfOrder)
        .why("The attempt is not at this step. Read it again, or begin anew.")
}

impl From<AttemptError> for ApiError {
    fn from(error: AttemptError) -> Self {
        match error {
            AttemptError::Conflict => sojourn_store::CommitError::Conflict.into(),
            AttemptError::Refused(error) => error,
        }
    }
}
