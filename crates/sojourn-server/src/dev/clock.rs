//! The test clock (decision 7): lets days pass for sessions and codes while
//! tokens and cookies stay on the wall clock, so that unmodified SDKs go on
//! verifying.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use sojourn_api as api;
use sojourn_core::{
    session::Session,
    test_clock::{ClockRefusal, TestClock},
    time::{Moment, Timestamp},
};
use sojourn_service::jobs::{purge, sweep};

use super::only_development;
use crate::{
    app::App,
    app::AttemptError,
    auth::ApplicationServer,
    wire::{ApiError, ApiResult, ErrorCode, Params, millis},
};

/// The session clock.
#[utoipa::path(
    get,
    path = "/dev/clock",
    tag = "Development",
    responses((status = 200, description = "The clock", body = api::Clock)),
)]
pub async fn get_clock(State(app): State<App>, _: ApplicationServer) -> ApiResult<Response> {
    only_development(&app)?;
    Ok(answer(&app, None))
}

/// Stops the session clock.
#[utoipa::path(
    post,
    path = "/dev/clock/freeze",
    tag = "Development",
    responses((status = 200, description = "The clock", body = api::Clock)),
)]
pub async fn freeze_clock(State(app): State<App>, _: ApplicationServer) -> ApiResult<Response> {
    moved(&app, |clock, wall| Ok(clock.freeze(wall))).await?;
    Ok(answer(&app, None))
}

/// Lets the session clock go on from where it stands.
#[utoipa::path(
    post,
    path = "/dev/clock/resume",
    tag = "Development",
    responses((status = 200, description = "The clock", body = api::Clock)),
)]
pub async fn resume_clock(State(app): State<App>, _: ApplicationServer) -> ApiResult<Response> {
    moved(&app, |clock, wall| Ok(clock.resume(wall))).await?;
    Ok(answer(&app, None))
}

/// Back to the clock on the wall. Revives nothing: what is over stays over, and
/// open sessions keep the time they have left, because their times are moved
/// along. Unfinished sign-ins, codes and tickets are void.
#[utoipa::path(
    post,
    path = "/dev/clock/reset",
    tag = "Development",
    responses((status = 200, description = "The clock", body = api::Clock)),
)]
pub async fn reset_clock(State(app): State<App>, _: ApplicationServer) -> ApiResult<Response> {
    only_development(&app)?;
    // What is due by the clock as it is now is recorded with the time it was due at.
    let closed = sweep_now(&app).await?;
    app.reset_test_clock().await?;
    Ok(answer(&app, Some(&closed)))
}

/// Lets `seconds` pass, and answers when everything that makes due has happened.
#[utoipa::path(
    post,
    path = "/dev/clock/advance",
    tag = "Development",
    request_body = api::AdvanceClock,
    responses((status = 200, description = "The clock, and what happened", body = api::Clock)),
    extensions(("x-error-codes" = json!([
        "form_param_missing", "form_param_type_invalid", "form_param_value_invalid",
    ]))),
)]
pub async fn advance_clock(
    State(app): State<App>,
    _: ApplicationServer,
    params: Params,
) -> ApiResult<Response> {
    let seconds =
        params.number("seconds")?.ok_or_else(|| missing("seconds", "how many seconds shall pass"))?;
    let span = Duration::from_secs(seconds);
    moved(&app, |clock, wall| clock.advance(wall, span).map_err(|refusal| refused(refusal, "seconds")))
        .await?;
    Ok(answer(&app, Some(&sweep_now(&app).await?)))
}

/// Moves the session clock forward to `now`, in milliseconds, and answers when
/// everything that makes due has happened.
#[utoipa::path(
    post,
    path = "/dev/clock/set",
    tag = "Development",
    request_body = api::SetClock,
    responses((status = 200, description = "The clock, and what happened", body = api::Clock)),
    extensions(("x-error-codes" = json!([
        "form_param_missing", "form_param_type_invalid", "form_param_value_invalid",
    ]))),
)]
pub async fn set_clock(State(app): State<App>, _: ApplicationServer, params: Params) -> ApiResult<Response> {
    let to = params.number("now")?.ok_or_else(|| missing("now", "the time in milliseconds since 1970"))?;
    let to = Timestamp::from_millis(i64::try_from(to).unwrap_or(i64::MAX));
    moved(&app, |clock, wall| clock.set(wall, to).map_err(|refusal| refused(refusal, "now"))).await?;
    Ok(answer(&app, Some(&sweep_now(&app).await?)))
}

/// Stores the clock that `decide` makes of the one that is stored.
async fn moved(app: &App, decide: impl Fn(TestClock, Timestamp) -> ApiResult<TestClock>) -> ApiResult<()> {
    only_development(app)?;
    let moved = app.move_test_clock(|clock, Moment { wall, .. }| Ok((decide(clock, wall)?, None))).await;
    moved.map_err(AttemptError::into_refusal)
}

/// Does everything that is due now, and gives back whose sessions ended.
async fn sweep_now(app: &App) -> ApiResult<Vec<Session>> {
    let at = app.moment();
    let mut closed = sweep::pass(app, at, true).await?.closed;
    purge(app, at).await?;
    closed.sort_by_key(|session| (session.closed.map(|closing| closing.at), session.id));
    Ok(closed)
}

fn answer(app: &App, closed: Option<&[Session]>) -> Response {
    let (clock, at) = (app.test_clock(), app.moment());
    let effect = |session: &Session| {
        let closing = session.closed?;
        let kind = format!("session.{}", closing.status.as_str());
        Some(api::ClockEffect { kind, session_id: session.id.to_string(), at: millis(closing.at) })
    };
    Json(api::Clock {
        object: api::Kind::default(),
        now: millis(at.now),
        frozen: clock.frozen_at.is_some(),
        offset_ms: at.now.as_millis() - at.wall.as_millis(),
        effects: closed.map(|closed| closed.iter().filter_map(effect).collect()),
    })
    .into_response()
}

fn missing(name: &str, what: &str) -> ApiError {
    ApiError::param(ErrorCode::FormParamMissing, name).why(format!("{name} has to say {what}."))
}

fn refused(refusal: ClockRefusal, name: &str) -> ApiError {
    ApiError::param(ErrorCode::FormParamValueInvalid, name).why(match refusal {
        ClockRefusal::Backwards => {
            "The clock goes forward only, because what is over stays over. POST /dev/clock/reset returns to the time on the wall."
        }
        ClockRefusal::TooFar => "The clock can be at most a hundred years ahead.",
    })
}
