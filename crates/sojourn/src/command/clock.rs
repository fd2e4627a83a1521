//! `sojourn clock`: changes the session clock of a development instance.

use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde_json::{Value, json};
use sojourn_core::settings::parse_duration;

use super::ServerArguments;
use crate::{
    client::Client,
    failure::{Exit, Failure},
    output,
};

#[derive(Debug, Subcommand)]
pub enum ClockCommand {
    /// Print the session clock
    Show(ClockArguments),
    /// Stop it
    Freeze(ClockArguments),
    /// Let it go on from where it stands
    Resume(ClockArguments),
    /// Let time pass: 31m, 7d, 90 (seconds)
    Advance {
        /// How long
        span: String,
        #[command(flatten)]
        arguments: ClockArguments,
    },
    /// Move it forward to a point in time: 2027-01-31T09:00:00Z, or milliseconds since 1970
    Set {
        /// When
        time: String,
        #[command(flatten)]
        arguments: ClockArguments,
    },
    /// Back to real time; what is over stays over
    Reset(ClockArguments),
}

#[derive(Debug, Args)]
pub struct ClockArguments {
    /// As one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

impl ClockCommand {
    const fn arguments(&self) -> &ClockArguments {
        match self {
            Self::Show(arguments)
            | Self::Freeze(arguments)
            | Self::Resume(arguments)
            | Self::Reset(arguments) => arguments,
            Self::Advance { arguments, .. } | Self::Set { arguments, .. } => arguments,
        }
    }

    pub const fn json(&self) -> bool {
        self.arguments().json
    }
}

pub async fn run(command: &ClockCommand) -> Result<(), Failure> {
    let client = Client::find(&command.arguments().server)?;
    let answer = match command {
        ClockCommand::Show(_) => client.get("/dev/clock", &[]).await,
        ClockCommand::Freeze(_) => client.post("/dev/clock/freeze", &json!({})).await,
        ClockCommand::Resume(_) => client.post("/dev/clock/resume", &json!({})).await,
        ClockCommand::Reset(_) => client.post("/dev/clock/reset", &json!({})).await,
        ClockCommand::Advance { span, .. } => {
            let body = json!({"seconds": seconds(span)?});
            client.post("/dev/clock/advance", &body).await
        }
        ClockCommand::Set { time, .. } => client.post("/dev/clock/set", &json!({"now": millis(time)?})).await,
    };
    let answer = answer.map_err(|refused| refused.while_doing("the session clock was not moved"))?;
    if command.json() {
        return output::line(&answer.to_string());
    }
    for line in account(&answer) {
        output::line(&line)?;
    }
    Ok(())
}

fn seconds(span: &str) -> Result<u64, Failure> {
    parse_duration(span).map_err(|why| {
        Failure::new(Exit::Usage, "duration_invalid", "the session clock was not moved")
            .because(why)
            .next("sojourn clock advance 31m, or 1h30m (units: d, h, m, s)")
    })
}

fn millis(time: &str) -> Result<i64, Failure> {
    let read =
        || time.parse::<i64>().ok().or_else(|| time.parse::<Timestamp>().ok().map(Timestamp::as_millisecond));
    read().ok_or_else(|| {
        Failure::new(Exit::Usage, "time_invalid", "the session clock was not moved")
            .because(format!("\"{time}\" is not a point in time"))
            .next("sojourn clock set 2027-01-31T09:00:00Z, or milliseconds since 1970")
    })
}

/// The new time, and the effects of the change.
fn account(answer: &Value) -> Vec<String> {
    let offset = SignedDuration::from_millis(answer["offset_ms"].as_i64().unwrap_or(0));
    let apart = match offset.signum() {
        0 => "on real time".to_owned(),
        1 => format!("{offset:#} ahead of real time"),
        _ => format!("{:#} behind real time", offset.abs()),
    };
    let frozen = if answer["frozen"] == true { ", standing still" } else { "" };
    let mut lines = vec![format!("{}  {apart}{frozen}", shown(&answer["now"]))];
    let effects = answer["effects"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    for effect in effects {
        let kind = effect["type"].as_str().unwrap_or_default();
        *counts.entry(kind.trim_start_matches("session.")).or_default() += 1;
    }
    if !counts.is_empty() {
        let told = counts.iter().map(|(kind, count)| {
            let noun = if *count == 1 { "session" } else { "sessions" };
            format!("{count} {noun} {kind}")
        });
        lines.push(told.collect::<Vec<_>>().join(", "));
        for effect in effects {
            let (id, kind) = (effect["session_id"].as_str().unwrap_or_default(), &effect["type"]);
            lines.push(format!("  {}  {id}  {}", shown(&effect["at"]), kind.as_str().unwrap_or_default()));
        }
    }
    lines
}

fn shown(millis: &Value) -> String {
    let time = millis.as_i64().and_then(|millis| Timestamp::from_millisecond(millis).ok());
    time.map_or_else(String::new, |time| {
        time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_where_the_clock_stands_and_what_happened() {
        let answer = json!({
            "object": "clock", "now": 1_767_227_460_000_i64, "frozen": true, "offset_ms": 1_860_000,
            "effects": [
                {"type": "session.abandoned", "session_id": "sess_1", "at": 1_767_227_400_000_i64},
                {"type": "session.abandoned", "session_id": "sess_2", "at": 1_767_227_400_000_i64},
                {"type": "session.expired", "session_id": "sess_3", "at": 1_767_227_460_000_i64},
            ],
        });
        let lines = account(&answer);
        assert_eq!(lines[0], "2026-01-01 00:31:00 UTC  31m ahead of real time, standing still");
        assert_eq!(lines[1], "2 sessions abandoned, 1 session expired");
        assert_eq!(lines.len(), 5);
    }

    #[test]
    fn times_are_read_as_people_and_programs_write_them() {
        assert_eq!(millis("2026-01-01T00:31:00Z").expect("a time"), 1_767_227_460_000);
        assert_eq!(millis("1767227460000").expect("a time"), 1_767_227_460_000);
        assert_eq!(millis("tomorrow").expect_err("none").code, "time_invalid");
    }
}
