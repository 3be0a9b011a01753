//! Times and durations as people say them.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};

use crate::Zone;

/// Tells times by a patient's clock to somebody to whom one day goes without saying.
#[derive(Clone, Copy)]
pub(super) struct Calendar {
    zone: Zone,
    today: NaiveDate,
}

impl Calendar {
    /// The day of this time.
    pub(super) fn of(at: DateTime<Utc>) -> Calendar {
        Calendar::within(Zone::PATIENTS, at)
    }

    /// The day of this time where a rule says that the patient lives.
    pub(super) fn within(zone: Zone, at: DateTime<Utc>) -> Calendar {
        let today = zone.date(at);
        Calendar { zone, today }
    }

    /// "08:05 GMT", or "08:05 GMT on 19 November".
    pub(super) fn time(self, at: DateTime<Utc>) -> String {
        let time = self.zone.clock(at);
        match self.zone.date(at) {
            date if date == self.today => time,
            date => format!("{time} on {}", self.day(date)),
        }
    }

    /// "19 November", or "19 November 2025" in another year.
    pub(super) fn day(self, date: NaiveDate) -> String {
        let form = if date.year() == self.today.year() {
            "%-d %B"
        } else {
            "%-d %B %Y"
        };
        date.format(form).to_string()
    }

    /// "08:05 GMT", or "19 November" of another day.
    pub(super) fn time_or_day(self, at: DateTime<Utc>) -> String {
        match self.zone.date(at) {
            date if date == self.today => self.time(at),
            date => self.day(date),
        }
    }

    /// "from 08:05 to 08:40 GMT".
    pub(super) fn span(self, from: DateTime<Utc>, to: DateTime<Utc>) -> String {
        let (from, to) = (self.time(from), self.time(to));
        match (from.split_once(' '), to.split_once(' ')) {
            // One name is enough, unless clocks were changed between or a day has to be told.
            (Some((clock, name)), Some((_, same))) if name == same && !name.contains(' ') => {
                format!("from {clock} to {to}")
            }
            _ => format!("from {from} to {to}"),
        }
    }
}

/// "35 minutes", "2 hours 15 minutes", "3 days 4 hours": nothing smaller than a minute where there is one.
pub(super) fn duration(duration: TimeDelta) -> String {
    let of = |n: i64, unit: &str| match n {
        1 => format!("1 {unit}"),
        _ => format!("{n} {unit}s"),
    };
    let (whole, unit, rest, part) = match duration {
        _ if duration < TimeDelta::minutes(1) => return of(duration.num_seconds().max(0), "second"),
        _ if duration < TimeDelta::hours(1) => return of(duration.num_minutes(), "minute"),
        _ if duration < TimeDelta::days(2) => (
            duration.num_hours(),
            "hour",
            duration.num_minutes() % 60,
            "minute",
        ),
        _ => (duration.num_days(), "day", duration.num_hours() % 24, "hour"),
    };
    match rest {
        0 => of(whole, unit),
        rest => format!("{} {}", of(whole, unit), of(rest, part)),
    }
}

/// [`duration`] of seconds.
pub(super) fn seconds(seconds: u32) -> String {
    duration(TimeDelta::seconds(i64::from(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn times_are_those_of_the_patients_clock() {
        let night = Calendar::of(at("2026-07-01T23:30:00Z"));
        let midnight = at("2026-07-01T23:00:00Z");
        assert_eq!(night.time(midnight), "00:00 BST");
        assert_eq!(
            night.time(midnight - TimeDelta::minutes(1)),
            "23:59 BST on 1 July"
        );
        assert_eq!(
            night.span(midnight, at("2026-07-01T23:30:00Z")),
            "from 00:00 to 00:30 BST"
        );
        // The night in which clocks go back.
        let (from, to) = (at("2026-10-25T00:30:00Z"), at("2026-10-25T02:30:00Z"));
        assert_eq!(Calendar::of(to).span(from, to), "from 01:30 BST to 02:30 GMT");
    }
}
