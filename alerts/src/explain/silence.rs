use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::Metric;

use super::About;
use super::time::{Calendar, duration, seconds};
use crate::kinds::Silence;

/// "No glucose reading for 6 hours, expected every 3 hours; the last at 05:10 GMT"
pub(super) fn sentence(kind: &Silence, about: &About<'_>) -> Option<String> {
    let last = about.latest.at;
    let silent = match about.cleared_at {
        Some(cleared_at) => cleared_at - last,
        None => about
            .latest
            .figure
            .map_or(kind.limit(), whole_seconds)
            .max(kind.limit()),
    };
    // The day that goes without saying is that of whoever misses the readings.
    let calendar = Calendar::of(last.checked_add_signed(silent)?);
    let when = match about.cleared_at {
        Some(cleared_at) => calendar.span(last, cleared_at),
        None if was_never_measured(about) => {
            format!("none since the rule began at {}", calendar.time(last))
        }
        None => format!("the last at {}", calendar.time(last)),
    };
    Some(format!(
        "No {} for {}, expected every {}; {when}",
        reading(kind.metric),
        duration(silent),
        seconds(kind.expected_every_seconds)
    ))
}

/// Whether there was no reading before: the detail says so, and the episode keeps the beginning of the rule.
fn was_never_measured(about: &About<'_>) -> bool {
    let last_at: Option<Option<DateTime<Utc>>> = about.detail("last_at");
    last_at == Some(None)
}

fn whole_seconds(figure: f64) -> TimeDelta {
    // A cast of what is no number is 0, and of what is too much the most.
    #[expect(clippy::cast_possible_truncation, reason = "see above")]
    TimeDelta::try_seconds(figure as i64).unwrap_or_default()
}

fn reading(metric: Metric) -> &'static str {
    match metric {
        Metric::HeartRate => "heart rate reading",
        Metric::Spo2 => "oxygen saturation reading",
        Metric::RespiratoryRate => "respiratory rate reading",
        Metric::BodyTemperature => "temperature reading",
        Metric::Systolic | Metric::Diastolic => "blood pressure reading",
        Metric::Glucose => "glucose reading",
        Metric::Steps => "count of steps",
        Metric::BodyWeight => "weight reading",
        Metric::Consciousness => "level of consciousness",
        Metric::SupplementalOxygen => "record of supplemental oxygen",
        Metric::IrregularPulse => "pulse reading",
    }
}
