//! A moment, as pages show it: by the clock of the patients, which a script sets to the reader's where that differs.

use std::fmt::{self, Display, Formatter};
use std::sync::LazyLock;

use askama::filters::HtmlSafe;
use chrono::{DateTime, SecondsFormat, Utc};
use homeward_alerts::Zone;

use crate::request::PATIENTS_ZONE;

/// The patients' zone.
pub(super) static ZONE: LazyLock<Zone> =
    LazyLock::new(|| Zone::named(PATIENTS_ZONE).expect("the zone database has the patients' zone"));

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

    /// The same as plain text.
    pub(crate) fn text(self) -> String {
        let format = match self.form {
            Form::Long => "%-d %B %Y, %H:%M",
            Form::Short => "%-d %b, %H:%M",
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
        };
        let text = self.text();
        write!(f, "<time datetime=\"{at}\" data-form=\"{form}\">{text}</time>")
    }
}

/// Nothing of it was typed by anybody.
impl HtmlSafe for Moment {}

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
}
