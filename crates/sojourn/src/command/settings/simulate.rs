//! `sojourn settings simulate`: when and why a user has to sign in again.

use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value, json};
use sojourn_core::environment::Environment;
use sojourn_core::lifetime::{Lifetime, LifetimeError};
use sojourn_core::settings::{Change, RefusalReason, Settings, format_duration, parse_duration};
use sojourn_core::simulation::{Cause, Habit, HabitError, Scenario, SignIn, simulate as play, visits};
use sojourn_core::time::{Timestamp, days};

use super::remote::Remote;
use crate::command::ServerArguments;
use crate::failure::{Exit, Failure};
use crate::output;

/// Midnight before a Monday: simulated days have no date, only a number and a weekday.
const START: Timestamp = Timestamp::from_secs(1_767_571_200);
const OFFICE: &str = "mon-fri 9:00-17:00";

#[derive(Debug, Args)]
pub struct SimulateArguments {
    /// Inactivity timeout, such as 30m, or off [else: as it is in force]
    #[arg(long, value_name = "DURATION", value_parser = limit)]
    inactivity: Option<Switchable>,
    /// Maximum lifetime, such as 7d, or off [else: as it is in force]
    #[arg(long, value_name = "DURATION", value_parser = limit)]
    maximum: Option<Switchable>,
    /// When the application is open: "mon-fri 9:00-17:00", "sat,sun 20:00", "daily 22:00-2:00"
    #[arg(long, value_name = "PATTERN", value_parser = habit)]
    visits: Vec<Habit>,
    /// Open it briefly, again and again, such as 12h
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    every: Option<Duration>,
    /// Days on which it is not opened at all, such as 8-21; day 1 is a Monday
    #[arg(long, value_name = "DAY-DAY", value_parser = away)]
    away: Vec<(u64, u64)>,
    /// Clear the browser's cookies at the beginning of this day
    #[arg(long, value_name = "DAY", value_parser = clap::value_parser!(u64).range(1..=3650))]
    clear_cookies: Vec<u64>,
    /// Use a private window each time
    #[arg(long)]
    private: bool,
    /// Use Safari, in an application on another host whose sign-in stays on its page
    #[arg(long)]
    safari: bool,
    /// For so many days
    #[arg(long, default_value_t = 28, value_parser = clap::value_parser!(u64).range(1..=3650))]
    days: u64,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

/// A limit in text form: a duration or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Switchable(Option<u64>);

fn limit(text: &str) -> Result<Switchable, String> {
    match text {
        "off" => Ok(Switchable(None)),
        _ => duration(text).map(|span| Switchable(Some(span.as_secs()))),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map(Duration::from_secs)
}

fn habit(text: &str) -> Result<Habit, HabitError> {
    text.parse()
}

fn away(text: &str) -> Result<(u64, u64), String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.trim().parse(), last.trim().parse()) {
        (Ok(first), Ok(last)) if 1 <= first && first <= last => Ok((first, last)),
        _ => Err(format!("\"{text}\" is not a range of days such as 8-21")),
    }
}

pub async fn simulate(arguments: &SimulateArguments) -> Result<(), Failure> {
    let settings = settings(arguments).await?;
    let token_lifetime = Duration::from_secs(settings.token.lifetime.into());
    let scenario = scenario(arguments, settings.session.lifetime(), token_lifetime);
    let sign_ins = play(&scenario);
    if arguments.json {
        return output::line(&as_json(arguments, &settings, &sign_ins).to_string());
    }
    for warning in settings.warnings() {
        output::note(&format!("warning: {}", warning.message));
    }
    output::line(&as_table(&sign_ins))?;
    output::note(&summary(arguments, settings.session.lifetime(), &sign_ins));
    Ok(())
}

/// The given limits; the others are the ones in force.
async fn settings(arguments: &SimulateArguments) -> Result<Settings, Failure> {
    let mut settings = Settings::initial(START);
    if arguments.inactivity.is_none() || arguments.maximum.is_none() {
        let (_, config) = Remote::find(&arguments.server).await?.config().await?;
        let unreadable = |error: serde_json::Error| {
            Failure::new(Exit::Other, "unexpected_answer", "cannot read the settings")
                .because(error.to_string())
                .next("check that the address is a sojourn server of this version")
        };
        let part = |name: &str| config.get(name).cloned().unwrap_or_default();
        settings.session = serde_json::from_value(part("session_settings")).map_err(unreadable)?;
        settings.token = serde_json::from_value(part("session")).map_err(unreadable)?;
    }
    let mut session = Map::new();
    for (name, given) in
        [("inactivity_timeout", arguments.inactivity), ("maximum_lifetime", arguments.maximum)]
    {
        let limit = given.map(|Switchable(seconds)| match seconds {
            Some(seconds) => json!({"enabled": true, "duration_seconds": seconds}),
            None => json!({"enabled": false}),
        });
        session.extend(limit.map(|limit| (name.to_owned(), limit)));
    }
    let changed = Change::read("session_settings", &session)
        .and_then(|change| settings.with(&change, Environment::Development));
    changed.map_err(|refusal| {
        let (code, why) = match refusal.why {
            RefusalReason::NeitherLimit => {
                ("session_lifetime_required", LifetimeError::NeitherEnabled.to_string())
            }
            _ => ("form_param_value_invalid", refusal.to_string()),
        };
        Failure::new(Exit::Rejected, code, "these limits cannot be in force")
            .because(why)
            .next("sojourn settings simulate --inactivity 30m --maximum 7d")
    })
}

fn scenario(arguments: &SimulateArguments, lifetime: Lifetime, token_lifetime: Duration) -> Scenario {
    let mut habits = arguments.visits.clone();
    habits.extend(arguments.every.map(Habit::Every));
    if habits.is_empty() {
        habits.extend(OFFICE.parse::<Habit>());
    }
    let mut visits = visits(&habits, START, START + days(arguments.days));
    let beginning = |day: u64| START + days(day - 1);
    for (first, last) in &arguments.away {
        visits.retain(|visit| visit.from < beginning(*first) || visit.from >= beginning(last + 1));
    }
    let cleared = arguments.clear_cookies.iter().map(|day| beginning(*day)).collect();
    let (private, safari) = (arguments.private, arguments.safari);
    Scenario { lifetime, token_lifetime, visits, cleared, private, safari }
}

/// The parts of `day 3, Wed 09:00:00`.
fn moment(at: Timestamp) -> (u64, String) {
    const NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let seconds = at.since(START).as_secs();
    let (day, rest) = (seconds / 86_400, seconds % 86_400);
    let name = NAMES[(day % 7) as usize];
    (day + 1, format!("{name} {:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60))
}

fn as_table(sign_ins: &[SignIn]) -> String {
    let shown = |at: Timestamp| {
        let (day, time) = moment(at);
        format!("{time} (day {day})")
    };
    let rows: Vec<Vec<String>> = sign_ins
        .iter()
        .map(|one| {
            let (day, time) = moment(one.at);
            let since = if one.cause == Cause::FirstVisit { String::new() } else { shown(one.since) };
            let seen = one.last_active_at.map(shown).unwrap_or_default();
            vec![day.to_string(), time, one.cause.to_string(), since, seen]
        })
        .collect();
    output::table(&["DAY", "SIGNS IN", "BECAUSE", "OVER SINCE", "LAST ACTIVE"], &rows)
}

fn summary(arguments: &SimulateArguments, lifetime: Lifetime, sign_ins: &[SignIn]) -> String {
    let span = |span: Option<Duration>| match span {
        None => "off".to_owned(),
        Some(span) => format_duration(span.as_secs()),
    };
    format!(
        "inactivity timeout {}, maximum lifetime {}: {} sign-ins in {} days",
        span(lifetime.inactivity()),
        span(lifetime.maximum()),
        sign_ins.len(),
        arguments.days
    )
}

fn as_json(arguments: &SimulateArguments, settings: &Settings, sign_ins: &[SignIn]) -> Value {
    let lifetime = settings.session.lifetime();
    let offset = |at: Timestamp| at.since(START).as_secs();
    let told: Vec<Value> = sign_ins
        .iter()
        .map(|one| {
            json!({
                "day": moment(one.at).0,
                "at_seconds": offset(one.at),
                "cause": one.cause.as_str(),
                "over_since_seconds": offset(one.since),
                "last_active_seconds": one.last_active_at.map(offset),
            })
        })
        .collect();
    json!({
        "object": "settings_simulation",
        "inactivity_timeout_seconds": lifetime.inactivity().map(|span| span.as_secs()),
        "maximum_lifetime_seconds": lifetime.maximum().map(|span| span.as_secs()),
        "token_lifetime_seconds": settings.token.lifetime,
        "days": arguments.days,
        "sign_ins": told,
        "warnings": settings.warnings(),
    })
}
