//! Patterns of use in text form: `mon-fri 9:00-17:00`.

use std::{str::FromStr, time::Duration};

use super::UsagePeriod;
use crate::time::{Timestamp, days, minutes};

/// The length of a visit for which only the start is given.
const BRIEF: Duration = minutes(1);
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// A repeating pattern of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// At the same time on some days of the week.
    Weekly {
        /// Monday first.
        days: [bool; 7],
        /// Since midnight.
        from: Duration,
        /// Since midnight of the same day; more than 24 hours extend into the next day.
        until: Duration,
    },
    /// A short visit at this interval.
    Every(Duration),
}

/// The text is not a pattern of use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a pattern such as \"mon-fri 9:00-17:00\", \"sat,sun 20:00\" or \"daily 22:00-2:00\"")]
pub struct HabitError(pub String);

impl FromStr for Habit {
    type Err = HabitError;

    /// Parses days, a space, and one time or two: `mon-fri 9:00-17:00`, `sat,sun 20:00`. A visit
    /// whose end is before its start ends on the next day.
    fn from_str(text: &str) -> Result<Self, HabitError> {
        let error = || HabitError(text.to_owned());
        let lower = text.trim().to_ascii_lowercase();
        let (days, times) = lower.split_once(char::is_whitespace).ok_or_else(error)?;
        let days = days_of(days).ok_or_else(error)?;
        let times = times.trim();
        let (from, until) = match times.split_once('-') {
            Some((from, until)) => (time(from).ok_or_else(error)?, time(until).ok_or_else(error)?),
            None => {
                let from = time(times).ok_or_else(error)?;
                (from, from + BRIEF)
            }
        };
        let until = if until <= from { until + self::days(1) } else { until };
        Ok(Self::Weekly { days, from, until })
    }
}

/// Parses `daily`, `mon`, `mon-fri`, `fri-mon`, or several of them separated by commas.
fn days_of(text: &str) -> Option<[bool; 7]> {
    let mut found = [text == "daily"; 7];
    if text == "daily" {
        return Some(found);
    }
    let day = |name: &str| DAYS.iter().position(|day| *day == name);
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        let length = (last + 7 - first) % 7;
        (0..=length).for_each(|n| found[(first + n) % 7] = true);
    }
    Some(found)
}

/// Parses `9`, `9:30` or `24:00`.
fn time(text: &str) -> Option<Duration> {
    let (hours, rest) = text.trim().split_once(':').unwrap_or((text.trim(), "0"));
    let (hours, rest): (u64, u64) = (hours.parse().ok()?, rest.parse().ok()?);
    let total = hours.checked_mul(60)?.checked_add(rest)?;
    (rest < 60 && total <= 24 * 60).then(|| minutes(total))
}

/// The visits from `start`, which must be midnight before a Monday, to `end`: sorted, and merged if
/// they overlap.
pub fn visits(habits: &[Habit], start: Timestamp, end: Timestamp) -> Vec<UsagePeriod> {
    let mut all = Vec::new();
    for habit in habits {
        match *habit {
            Habit::Every(span) => {
                // With an interval of zero the loop would not end.
                let span = span.max(BRIEF);
                let mut from = start;
                while from < end {
                    all.push(UsagePeriod { from, until: from + BRIEF });
                    from = from + span;
                }
            }
            Habit::Weekly { days: on, from, until } => {
                let mut midnight = start;
                for day in on.into_iter().cycle() {
                    if midnight >= end {
                        break;
                    }
                    if day && midnight + from < end {
                        all.push(UsagePeriod { from: midnight + from, until: midnight + until });
                    }
                    midnight = midnight + days(1);
                }
            }
        }
    }
    all.sort_unstable();
    let mut joined: Vec<UsagePeriod> = Vec::new();
    for visit in all {
        let visit = UsagePeriod { until: visit.until.min(end), ..visit };
        match joined.last_mut().filter(|last| visit.from <= last.until) {
            Some(last) => last.until = last.until.max(visit.until),
            None => joined.push(visit),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONDAY: Timestamp = Timestamp::from_secs(1_767_571_200);

    fn hours(habits: &[&str], length: u64) -> Vec<(u64, u64)> {
        let habits: Vec<Habit> = habits.iter().map(|text| text.parse().expect("a habit")).collect();
        let hour = |at: Timestamp| at.since(MONDAY).as_secs() / 3600;
        let visits = visits(&habits, MONDAY, MONDAY + days(length));
        visits.iter().map(|visit| (hour(visit.from), hour(visit.until))).collect()
    }

    #[test]
    fn habits_are_read_as_people_write_them() {
        assert_eq!(hours(&["Mon-Fri 9:00-17:00"], 8)[3..], [(81, 89), (105, 113), (177, 185)]);
        assert_eq!(hours(&["sat,sun 20:00"], 7), [(140, 140), (164, 164)]);
        assert_eq!(hours(&["fri-mon 8-9"], 7), [(8, 9), (104, 105), (128, 129), (152, 153)]);
        assert_eq!(hours(&["daily 22:00-2:00"], 2), [(22, 26), (46, 48)], "cut where the time is over");
        assert_eq!(hours(&["mon 9-12", "mon 11-13", "mon 8-9"], 1), [(8, 13)], "joined");
        assert_eq!(hours(&["daily 0:00-24:00"], 3), [(0, 72)]);
        for wrong in ["", "mon", "9-17", "mun 9-17", "mon 25:00", "mon 9:60", "mon-fri 9-", "mon 24:01"] {
            assert_eq!(wrong.parse::<Habit>(), Err(HabitError(wrong.to_owned())), "{wrong}");
        }
    }

    #[test]
    fn a_repeating_habit_starts_immediately() {
        let visits = visits(&[Habit::Every(minutes(720))], MONDAY, MONDAY + days(1));
        assert_eq!(
            visits.iter().map(|visit| visit.from).collect::<Vec<_>>(),
            [MONDAY, MONDAY + minutes(720)]
        );
        assert_eq!(super::visits(&[Habit::Every(Duration::ZERO)], MONDAY, MONDAY + minutes(5)).len(), 1);
    }
}
