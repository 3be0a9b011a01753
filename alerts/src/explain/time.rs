//! Times and durations as people say them.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};

/// Tells times to somebody to whom one day goes without saying.
#[derive(Clone, Copy)]
pub(super) struct Calendar(NaiveDate);

impl Calendar {
    /// The day of this time.
    pub(super) fn of(at: DateTime<Utc>) -> Calendar {
        Calendar(at.date_naive())
    }

    /// The day.
    pub(super) fn on(date: NaiveDate) -> Calendar {
        Calendar(date)
    }

    /// "08:05 UTC", or "08:05 UTC on 19 November".
    pub(super) fn time(self, at: DateTime<Utc>) -> String {
        let time = at.format("%H:%M UTC");
        if at.date_naive() == self.0 {
            time.to_string()
        } else {
            format!("{time} on {}", self.day(at.date_naive()))
        }
    }

    /// "19 November", or "19 November 2025" in another year.
    pub(super) fn day(self, date: NaiveDate) -> String {
        let form = if date.year() == self.0.year() {
            "%-d %B"
        } else {
            "%-d %B %Y"
        };
        date.format(form).to_string()
    }

    /// "08:05 UTC", or "19 November" of another day.
    pub(super) fn time_or_day(self, at: DateTime<Utc>) -> String {
        if at.date_naive() == self.0 {
            self.time(at)
        } else {
            self.day(at.date_naive())
        }
    }

    /// "from 08:05 to 08:40 UTC".
    pub(super) fn span(self, from: DateTime<Utc>, to: DateTime<Utc>) -> String {
        if from.date_naive() == self.0 && to.date_naive() == self.0 {
            format!("from {} to {}", from.format("%H:%M"), self.time(to))
        } else {
            format!("from {} to {}", self.time(from), self.time(to))
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
