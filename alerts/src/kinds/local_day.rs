use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::{Serialize, Serializer};

/// The time zone in which a patient's days begin and end, by its IANA name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Zone(Tz);

impl Zone {
    /// Where patients live, unless a rule or a request says otherwise.
    pub const PATIENTS: Zone = Zone(Tz::Europe__London);

    /// The zone of this name, such as `Europe/London`.
    pub fn named(name: &str) -> Option<Zone> {
        name.parse().ok().map(Zone)
    }

    /// What the patient's calendar and clock showed.
    pub fn local(self, at: DateTime<Utc>) -> NaiveDateTime {
        at.with_timezone(&self.0).naive_local()
    }

    /// What the patient's clock showed, with the name of its time: "08:05 GMT".
    pub fn clock(self, at: DateTime<Utc>) -> String {
        at.with_timezone(&self.0).format("%H:%M %Z").to_string()
    }

    /// The date that the patient's calendar showed.
    pub fn date(self, at: DateTime<Utc>) -> NaiveDate {
        self.local(at).date()
    }

    /// When a date of the patient's calendar began.
    pub fn beginning(self, date: NaiveDate) -> DateTime<Utc> {
        let midnight = date.and_time(NaiveTime::MIN);
        // Where clocks went forward at midnight, the day began an hour later by them.
        let earliest = |time: NaiveDateTime| time.and_local_timezone(self.0).earliest();
        let began = earliest(midnight).or_else(|| earliest(midnight + TimeDelta::hours(1)));
        began.map_or_else(|| midnight.and_utc(), |began| began.with_timezone(&Utc))
    }

    /// The time that the patient's clock showed.
    pub(crate) fn time(self, at: DateTime<Utc>) -> NaiveTime {
        self.local(at).time()
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.0.name())
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_of_the_zone() {
        for (zone, date, began) in [
            ("Europe/London", "2026-11-22", "2026-11-22T00:00:00Z"),
            ("Europe/London", "2026-07-01", "2026-06-30T23:00:00Z"),
            // Clocks went forward at midnight.
            ("Africa/Cairo", "2024-04-26", "2024-04-25T22:00:00Z"),
        ] {
            let zone = Zone::named(zone).unwrap();
            let date: NaiveDate = date.parse().unwrap();
            let began: DateTime<Utc> = began.parse().unwrap();
            assert_eq!(zone.beginning(date), began, "{zone} {date}");
            assert_eq!(zone.date(began), date);
        }
    }
}
