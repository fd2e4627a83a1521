//! The reason why this browser is signed out, on the sign-in page: only for the client cookie's
//! holder, and only until a user signs in.

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

/// The sentence about the end, in parts around the time. The page's script formats the time in the
/// browser's time zone and language.
#[derive(Debug, Clone)]
pub struct EndedNotice {
    pub opening: &'static str,
    /// The time for the script.
    pub iso: String,
    /// The time without the script: in UTC, with the date unless it is today.
    pub utc: String,
    /// The rest of the sentence.
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

/// The notice for the client that requests the sign-in page. There is none if a user is signed in
/// on the client, if the user caused the last end, or for a rotated secret.
///
/// # Errors
/// The store fails.
pub async fn last_end(app: &App, parts: &BrowserCredentials) -> ApiResult<Option<EndedNotice>> {
    let last = sessions::last_end(app, &parts.request).await?;
    Ok(last.and_then(|session| {
        let closing = session.closed.filter(|closing| closing.is_news(parts.request.now()))?;
        EndedNotice::new(parts.request.now(), &session, &closing)
    }))
}
