//! The test clock (decision 7): lets days pass for sessions and codes while
//! tokens and cookies stay on the wall clock, so that unmodified SDKs go on
//! verifying.

use std::time::Duration;

use axum::Json;
use sojourn_api as api;
use sojourn_core::{session::Session, test_clock::ClockRefusal, time::Timestamp};
use sojourn_service::{Failure, clock::ClockMove};

use super::only_development;
use crate::{
    app::App,
    auth::ApplicationServer,
    wire::{ApiError, ApiResult, ErrorCode, Params, millis},
};

/// The session clock.
#[utoipa::path(get, path = "/dev/clock", responses((status = 200, body = api::Clock)))]
pub async fn get_clock(app: ApplicationServer) -> ApiResult<Json<api::Clock>> {
    only_development(&app)?;
    Ok(answer(&app, None))
}

/// Stops the session clock.
#[utoipa::path(post, path = "/dev/clock/freeze", responses((status = 200, body = api::Clock)))]
pub async fn freeze_clock(app: ApplicationServer) -> ApiResult<Json<api::Clock>> {
    moved(&app, ClockMove::Freeze, "").await
}

/// Lets the session clock go on from where it stands.
#[utoipa::path(post, path = "/dev/clock/resume", responses((status = 200, body = api::Clock)))]
pub async fn resume_clock(app: ApplicationServer) -> ApiResult<Json<api::Clock>> {
    moved(&app, ClockMove::Resume, "").await
}

/// Back to the clock on the wall. Revives nothing: what is over stays over, and
/// open sessions keep the time they have left, because their times are moved
/// along. Unfinished sign-ins, codes and tickets are void.
#[utoipa::path(post, path = "/dev/clock/reset", responses((status = 200, body = api::Clock)))]
pub async fn reset_clock(app: ApplicationServer) -> ApiResult<Json<api::Clock>> {
    moved(&app, ClockMove::Reset, "").await
}

/// Lets `seconds` pass, and answers when everything that makes due has happened.
#[utoipa::path(
    post, path = "/dev/clock/advance",
    request_body = api::AdvanceClock,
    responses((status = 200, body = api::Clock)),
    extensions(("x-error-codes" = json!(["form_param_missing", "form_param_value_invalid"]))),
)]
pub async fn advance_clock(app: ApplicationServer, params: Params) -> ApiResult<Json<api::Clock>> {
    let seconds =
        params.number("seconds")?.ok_or_else(|| missing("seconds", "how many seconds shall pass"))?;
    moved(&app, ClockMove::Advance(Duration::from_secs(seconds)), "seconds").await
}

/// Moves the session clock forward to `now`, in milliseconds, and answers when
/// everything that makes due has happened.
#[utoipa::path(
    post, path = "/dev/clock/set",
    request_body = api::SetClock,
    responses((status = 200, body = api::Clock)),
    extensions(("x-error-codes" = json!(["form_param_missing", "form_param_value_invalid"]))),
)]
pub async fn set_clock(app: ApplicationServer, params: Params) -> ApiResult<Json<api::Clock>> {
    let to = params.number("now")?.ok_or_else(|| missing("now", "the time in milliseconds since 1970"))?;
    let to = Timestamp::from_millis(i64::try_from(to).unwrap_or(i64::MAX));
    moved(&app, ClockMove::Set(to), "now").await
}

/// `name` is the parameter that says how far.
async fn moved(app: &ApplicationServer, by: ClockMove, name: &str) -> ApiResult<Json<api::Clock>> {
    only_development(app)?;
    let closed = app.move_test_clock(app.context(), by).await.map_err(|failure| match failure {
        Failure::Refused(refusal, _) => refused(refusal, name),
        Failure::Storage(error) => error.into(),
    })?;
    Ok(answer(app, closed.as_deref()))
}

fn answer(app: &App, closed: Option<&[Session]>) -> Json<api::Clock> {
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
