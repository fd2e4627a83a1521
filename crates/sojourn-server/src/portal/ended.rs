//! Why this browser is signed out, told on the sign-in page: only to the holder
//! of the client cookie, and only until somebody signs in.

use jiff::tz::TimeZone;
use sojourn_core::{
    session::{Closing, Session},
    time::Timestamp,
};
use sojourn_service::sessions;

use crate::{
    app::App,
    auth::BrowserCredentials,
    wire::{ApiResult, session_end},
};

/// The sentence about the end, around the time. The page's script puts the time
/// into the browser's zone and language.
#[derive(Debug, Clone)]
pub struct EndedNotice {
    /// How it begins.
    pub opening: &'static str,
    /// The time for the script.
    pub iso: String,
    /// The time without it: in UTC, with the day unless it is today there.
    pub utc: String,
    /// How it goes on.
    pub because: String,
}

impl EndedNotice {
    fn new(now: Timestamp, session: &Session, closing: &Closing) -> Option<Self> {
        let [at, now] = [closing.at, now].map(|time| {
            let time = jiff::Timestamp::from_millisecond(time.as_millis()).ok()?;
            Some(time.to_zoned(TimeZone::UTC))
        });
        let (at, now) = (at?, now?);
        let format = if at.date() == now.date() { "%H:%M UTC" } else { "%H:%M UTC on %-d %B" };
        Some(Self {
            opening: session_end::SIGNED_OUT,
            iso: at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            utc: at.strftime(format).to_string(),
            because: session_end::because(session, closing),
        })
    }
}

/// What to tell the browser that asks for the sign-in page: nothing while
/// somebody is signed in there, or when the last one left by themselves. A
/// secret that was rotated away gets to know nothing.
///
/// # Errors
/// The store does not answer.
pub async fn last_end(app: &App, parts: &BrowserCredentials) -> ApiResult<Option<EndedNotice>> {
    let last = sessions::last_end(app, &parts.request).await?;
    Ok(last.and_then(|session| {
        let closing = session.closed.filter(|closing| closing.is_news(parts.request.now()))?;
        EndedNotice::new(parts.request.now(), &session, &closing)
    }))
}
