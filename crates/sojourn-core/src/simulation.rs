//! Simulates a pattern of use and reports when and why a user has to sign in again. It uses the
//! same rule as real sessions, plus the cookie limits of browsers.

mod habit;

use std::{fmt, time::Duration};

pub use self::habit::{Habit, HabitError, visits};
use crate::{
    activity::{Activity, ActivitySource},
    id::{ClientId, Randomness, SessionId, UserId},
    lifetime::{BROWSER_LIMIT, Lifetime, WEBKIT_FETCH_LIMIT},
    policy::{Policy, PolicyVersion},
    session::{Device, EndReason, Refusal, Session, SessionInput, transition},
    time::{Timestamp, days, seconds},
};

/// The server renews the client cookie of an active browser at this interval.
const COOKIE_RENEWED_AFTER: Duration = days(1);

/// A period in which the application is open and visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsagePeriod {
    pub from: Timestamp,
    /// The application is closed, or the machine sleeps.
    pub until: Timestamp,
}

/// A pattern of use under certain settings.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub lifetime: Lifetime,
    /// Session token lifetime, greater than zero. An open application requests a new token at this
    /// interval, which is activity.
    pub token_lifetime: Duration,
    /// Sorted and without overlaps, as [`visits`] returns them.
    pub visits: Vec<UsagePeriod>,
    /// The times at which the user clears the browser's cookies.
    pub cleared: Vec<Timestamp>,
    /// Whether each visit uses a private window, which deletes its cookies when it is closed.
    pub private: bool,
    /// Whether the browser is Safari, the page has another host than the server, and no navigation
    /// to the server follows a sign-in.
    pub safari: bool,
}

/// Why the user has to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    FirstVisit,
    /// The maximum lifetime was reached (S4).
    MaximumLifetime,
    /// The inactivity timeout was reached (S3).
    InactivityTimeout,
    /// The cookie reached the browsers' maximum age of 400 days (S7).
    CookieExpired,
    /// The cookie reached Safari's maximum age of 7 days (S7).
    SafariCookieExpired,
    /// The user cleared the cookies (S7).
    CookiesCleared,
    /// The private window was closed (S7).
    PrivateWindowClosed,
}

impl Cause {
    /// A stable identifier.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirstVisit => "first_visit",
            Self::MaximumLifetime => "maximum_lifetime",
            Self::InactivityTimeout => "inactivity_timeout",
            Self::CookieExpired => "cookie_expired",
            Self::SafariCookieExpired => "safari_cookie_expired",
            Self::CookiesCleared => "cookies_cleared",
            Self::PrivateWindowClosed => "private_window_closed",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FirstVisit => "first visit",
            Self::MaximumLifetime => "maximum lifetime",
            Self::InactivityTimeout => "inactivity timeout",
            Self::CookieExpired => "browsers keep no cookie longer than 400 days",
            Self::SafariCookieExpired => "Safari kept the cookie for 7 days only",
            Self::CookiesCleared => "cookies were cleared",
            Self::PrivateWindowClosed => "the private window was closed",
        })
    }
}

/// A sign-in that the user has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// When the user opens the application and has to sign in.
    pub at: Timestamp,
    pub cause: Cause,
    /// When the cause took effect.
    pub since: Timestamp,
    /// The user's last activity before; `None` at the first visit.
    pub last_active_at: Option<Timestamp>,
}

/// Simulates the scenario and returns every sign-in.
pub fn simulate(scenario: &Scenario) -> Vec<SignIn> {
    let mut sign_ins = Vec::new();
    let Some(first) = scenario.visits.first() else { return sign_ins };
    let policy = Policy::new(PolicyVersion {
        version: 1,
        in_force_from: first.from,
        lifetime: scenario.lifetime,
        multi_session: false,
        activity: Activity::default(),
        ends_all: false,
    });
    // With a lifetime of zero the loop below would not end.
    let step = scenario.token_lifetime.max(seconds(1));
    let mut browser: Option<Browser> = None;
    for visit in &scenario.visits {
        let mut now = visit.from;
        let mut source = ActivitySource::PageLoad;
        loop {
            let lost = browser.as_mut().map(|browser| browser.ask(now, &policy, scenario, source));
            let sign_in = match (lost, &browser) {
                (None, _) => {
                    Some(SignIn { at: now, cause: Cause::FirstVisit, since: now, last_active_at: None })
                }
                (Some(Some((since, cause))), Some(browser)) => {
                    let last_active_at = Some(browser.session.last_active_at);
                    Some(SignIn { at: now, cause, since, last_active_at })
                }
                _ => None,
            };
            if let Some(sign_in) = sign_in {
                sign_ins.push(sign_in);
                browser = Some(Browser::signed_in(now));
            }
            (now, source) = (now + step, ActivitySource::Token { hidden: false });
            if now >= visit.until {
                break;
            }
        }
        if let Some(browser) = browser.as_mut().filter(|_| scenario.private) {
            browser.window_closed_at = Some(visit.until);
        }
    }
    sign_ins
}

/// A browser with a session and, as long as it keeps it, the cookie.
struct Browser {
    session: Session,
    cookie_set_at: Timestamp,
    window_closed_at: Option<Timestamp>,
}

impl Browser {
    fn signed_in(now: Timestamp) -> Self {
        let session = Session {
            id: SessionId::generate(now, &mut Nothing),
            client_id: ClientId::generate(now, &mut Nothing),
            user_id: UserId::generate(now, &mut Nothing),
            created_at: now,
            updated_at: now,
            last_active_at: now,
            settings_version: 1,
            first_factor_verified_at: now,
            device: Device::default(),
            impersonation: None,
            closed: None,
        };
        Self { session, cookie_set_at: now, window_closed_at: None }
    }

    /// Sends a request. Returns when and why the browser lost its session, if it did.
    fn ask(
        &mut self,
        now: Timestamp,
        policy: &Policy,
        scenario: &Scenario,
        source: ActivitySource,
    ) -> Option<(Timestamp, Cause)> {
        let over = match transition(now, policy, &self.session, SessionInput::Activity(source)) {
            Ok(step) => {
                self.session = step.session;
                None
            }
            Err(Refusal::AlreadyClosed { closing, .. }) => Some((
                closing.at,
                match closing.reason {
                    EndReason::MaximumLifetime => Cause::MaximumLifetime,
                    _ => Cause::InactivityTimeout,
                },
            )),
        };
        // Without a cookie the request does not reach the session, even if the session is open.
        let cleared = scenario.cleared.iter().filter(|at| **at >= self.cookie_set_at).min();
        let (kept_for, cookie_lost) = match scenario.safari {
            true => (WEBKIT_FETCH_LIMIT, Cause::SafariCookieExpired),
            false => (BROWSER_LIMIT, Cause::CookieExpired),
        };
        let lost = [
            over,
            Some((self.cookie_set_at + kept_for, cookie_lost)),
            cleared.map(|at| (*at, Cause::CookiesCleared)),
            self.window_closed_at.map(|at| (at, Cause::PrivateWindowClosed)),
        ];
        // Several causes can apply; the earliest one signed the user out.
        let lost = lost.into_iter().flatten().filter(|(at, _)| *at <= now).min();
        if lost.is_none() && now.since(self.cookie_set_at) >= COOKIE_RENEWED_AFTER {
            self.cookie_set_at = now;
        }
        lost
    }
}

/// Constant bytes: the ids of a simulation identify nothing.
struct Nothing;

impl Randomness for Nothing {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::minutes;

    /// Midnight before a Monday.
    const MONDAY: Timestamp = Timestamp::from_secs(1_767_571_200);

    fn scenario(lifetime: Lifetime, habits: &[&str], length: Duration) -> Scenario {
        let habits: Vec<Habit> = habits.iter().map(|text| text.parse().expect("a habit")).collect();
        Scenario {
            lifetime,
            token_lifetime: minutes(1),
            visits: visits(&habits, MONDAY, MONDAY + length),
            cleared: Vec::new(),
            private: false,
            safari: false,
        }
    }

    /// Hours after midnight of the first Monday, and the cause.
    fn told(scenario: &Scenario) -> Vec<(f64, Cause)> {
        let hours = |at: Timestamp| at.since(MONDAY).as_secs_f64() / 3600.0;
        simulate(scenario).iter().map(|one| (hours(one.at), one.cause)).collect()
    }

    #[test]
    fn s4_seven_days_and_office_hours_mean_one_sign_in_a_week() {
        let office = scenario(Lifetime::Maximum(days(7)), &["mon-fri 9:00-17:00"], days(28));
        assert_eq!(
            told(&office),
            [
                (9.0, Cause::FirstVisit),
                (9.0 + 168.0, Cause::MaximumLifetime),
                (9.0 + 336.0, Cause::MaximumLifetime),
                (9.0 + 504.0, Cause::MaximumLifetime),
            ]
        );
    }

    #[test]
    fn s3_half_an_hour_means_a_sign_in_morning_and_after_lunch() {
        let lifetime = Lifetime::Inactivity(minutes(30));
        let day = scenario(lifetime, &["mon-fri 9:00-12:00", "mon-fri 13:00-17:00"], days(2));
        let sign_ins = simulate(&day);
        let hours: Vec<_> = told(&day).iter().map(|(at, _)| *at).collect();
        assert_eq!(hours, [9.0, 13.0, 33.0, 37.0]);
        let after_lunch = sign_ins[1];
        assert_eq!(after_lunch.last_active_at, Some(MONDAY + minutes(11 * 60 + 59)));
        assert_eq!(after_lunch.since, MONDAY + minutes(12 * 60 + 29));
    }

    #[test]
    fn s3_a_weekend_outlasts_one_idle_day_but_not_three() {
        let office = |timeout| scenario(Lifetime::Inactivity(timeout), &["mon-fri 9:00-17:00"], days(21));
        let mondays =
            [(9.0, Cause::FirstVisit), (177.0, Cause::InactivityTimeout), (345.0, Cause::InactivityTimeout)];
        assert_eq!(told(&office(days(1))), mondays);
        assert_eq!(told(&office(days(3))), mondays[..1]);
    }

    #[test]
    fn s5_the_earlier_of_both_limits_is_the_cause() {
        let lifetime = Lifetime::Both { inactivity: days(1), maximum: days(2) };
        let week = scenario(lifetime, &["mon-fri 9:00-17:00"], days(8));
        let causes: Vec<_> = told(&week).iter().map(|(_, cause)| *cause).collect();
        use Cause::{FirstVisit, InactivityTimeout, MaximumLifetime};
        // Monday, Wednesday, Friday; the weekend is longer than a day.
        assert_eq!(causes, [FirstVisit, MaximumLifetime, MaximumLifetime, InactivityTimeout]);
    }

    #[test]
    fn s4_a_session_ends_in_mid_work_at_the_next_refresh() {
        let lifetime = Lifetime::Maximum(minutes(90));
        let open = scenario(lifetime, &["mon 9:00-12:30"], days(1));
        assert_eq!(told(&open).iter().map(|(at, _)| *at).collect::<Vec<_>>(), [9.0, 10.5, 12.0]);
    }

    #[test]
    fn s3_a_timeout_shorter_than_a_token_ends_active_work() {
        let lifetime = Lifetime::Inactivity(seconds(45));
        let busy = scenario(lifetime, &["mon 9:00-9:05"], days(1));
        assert_eq!(told(&busy).len(), 5);
    }

    #[test]
    fn s7_only_400_days_of_absence_lose_the_cookie() {
        let lifetime = Lifetime::Maximum(days(3000));
        let away = Scenario {
            visits: visits(&[Habit::Every(days(400))], MONDAY, MONDAY + days(801)),
            ..scenario(lifetime, &[], days(1))
        };
        assert_eq!(told(&away)[1..], [(9600.0, Cause::CookieExpired), (19_200.0, Cause::CookieExpired)]);
        let returns = Scenario {
            visits: visits(&[Habit::Every(days(399))], MONDAY, MONDAY + days(1600)),
            ..away.clone()
        };
        assert_eq!(told(&returns), [(0.0, Cause::FirstVisit)]);
    }

    #[test]
    fn s7_safari_forgets_after_a_week_away_and_not_while_in_use() {
        let in_use =
            Scenario { safari: true, ..scenario(Lifetime::Maximum(days(90)), &["mon 9:00-9:10"], days(29)) };
        // The cookie expires from Monday to Monday, but not from day to day.
        let mondays = [177.0, 345.0, 513.0, 681.0].map(|at| (at, Cause::SafariCookieExpired));
        assert_eq!(told(&in_use)[1..], mondays);
        let daily = scenario(Lifetime::Maximum(days(90)), &["mon-fri 9:00-9:10"], days(29));
        assert_eq!(told(&Scenario { safari: true, ..daily }).len(), 1);
    }

    #[test]
    fn s7_cleared_cookies_or_a_closed_private_window_sign_out() {
        let plain = scenario(Lifetime::DEFAULT, &["daily 10:00-10:10"], days(4));
        assert_eq!(told(&plain).len(), 1);
        let cleared = Scenario { cleared: vec![MONDAY + days(1)], ..plain.clone() };
        assert_eq!(told(&cleared)[1..], [(34.0, Cause::CookiesCleared)]);
        let private = Scenario { private: true, ..plain };
        let causes: Vec<_> = told(&private).iter().map(|(_, cause)| *cause).collect();
        assert_eq!(causes[1..], [Cause::PrivateWindowClosed; 3]);
    }
}
