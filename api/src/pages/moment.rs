//! A moment, as pages show it: by the clock of the patients, which a script sets to the reader's where that differs.

use std::fmt::{self, Display, Formatter};

use askama::filters::HtmlSafe;
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use homeward_alerts::Zone;

/// The clock by which pages tell times.
pub(super) const ZONE: Zone = Zone::PATIENTS;

/// `{{ moment }}` shows `26 November 2026, 06:12`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Moment {
    at: DateTime<Utc>,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Form {
    Long,
    Short,
    Clock,
}

impl Moment {
    pub(crate) fn new(at: DateTime<Utc>) -> Moment {
        Moment { at, form: Form::Long }
    }

    /// Without the year, for what is not long ago: `26 Nov, 06:12`.
    pub(crate) fn short(at: DateTime<Utc>) -> Moment {
        Moment {
            at,
            form: Form::Short,
        }
    }

    /// Where its day stands above: `06:12`. A reader elsewhere is told the day too.
    pub(crate) fn clock(at: DateTime<Utc>) -> Moment {
        Moment {
            at,
            form: Form::Clock,
        }
    }

    /// The same as plain text.
    pub(crate) fn text(self) -> String {
        let format = match self.form {
            Form::Long => "%-d %B %Y, %H:%M",
            Form::Short => "%-d %b, %H:%M",
            Form::Clock => "%H:%M",
        };
        ZONE.local(self.at).format(format).to_string()
    }
}

impl Display for Moment {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let at = self.at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let form = match self.form {
            Form::Long => "long",
            Form::Short => "short",
            Form::Clock => "clock",
        };
        let text = self.text();
        write!(f, "<time datetime=\"{at}\" data-form=\"{form}\">{text}</time>")
    }
}

/// Nothing of it was typed by anybody.
impl HtmlSafe for Moment {}

/// The day that a field says; `None` where it is left out.
fn day_of(text: &str) -> Result<Option<NaiveDate>, &'static str> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse()
        .map(Some)
        .map_err(|_| "expected a day, as 2026-11-26")
}

/// When the day began that a field says, by the clock of the patients.
pub(super) fn beginning_of(text: &str) -> Result<Option<DateTime<Utc>>, &'static str> {
    Ok(day_of(text)?.map(|day| ZONE.beginning(day)))
}

/// When the day is over that a field says, by the clock of the patients.
pub(super) fn end_of(text: &str) -> Result<Option<DateTime<Utc>>, &'static str> {
    let after = |day: NaiveDate| day.succ_opt().map(|next| ZONE.beginning(next));
    day_of(text)?
        .map(|day| after(day).ok_or("there is no day after that"))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_by_the_clock_of_the_patients() {
        let summer: DateTime<Utc> = "2026-07-01T23:30:00Z".parse().unwrap();
        assert_eq!(Moment::new(summer).text(), "2 July 2026, 00:30");
        assert_eq!(
            Moment::short(summer).to_string(),
            "<time datetime=\"2026-07-01T23:30:00Z\" data-form=\"short\">2 Jul, 00:30</time>"
        );
    }

    #[test]
    fn a_day_is_one_of_the_patients_calendar() {
        let at = |text: &str| Ok(Some(text.parse::<DateTime<Utc>>().unwrap()));
        assert_eq!(beginning_of("2026-07-01"), at("2026-06-30T23:00:00Z"));
        // The day on which clocks go back has 25 hours.
        assert_eq!(beginning_of("2026-10-25"), at("2026-10-24T23:00:00Z"));
        assert_eq!(end_of("2026-10-25"), at("2026-10-26T00:00:00Z"));
        assert_eq!((beginning_of(""), end_of("")), (Ok(None), Ok(None)));
        for wrong in ["tomorrow", "2026-02-30", "+262142-12-31"] {
            assert!(end_of(wrong).is_err(), "{wrong}");
        }
    }
}
