//! The latest value of everything that is measured of a patient, which a script renews while the page is looked at.

use homeward_alerts::{metric_in_words, reading_in_words};
use homeward_record::Metric;
use homeward_store::history::StoredReading;

use crate::pages::Moment;

/// One line: what, how much, and when. Blood pressure is one line of two numbers.
pub(super) struct Value {
    pub(super) what: &'static str,
    /// The numbers, with the metric by which the script finds each.
    pub(super) numbers: Vec<(Metric, String)>,
    pub(super) unit: &'static str,
    pub(super) at: Moment,
}

/// The lines, of the latest reading of each metric.
pub(super) fn values(latest: &[StoredReading]) -> Vec<Value> {
    latest
        .iter()
        .filter_map(|reading| value(reading, latest))
        .collect()
}

fn value(reading: &StoredReading, latest: &[StoredReading]) -> Option<Value> {
    let number = |reading: &StoredReading| (reading.metric, number(reading.metric, reading.value));
    let mut numbers = vec![number(reading)];
    let what = match reading.metric {
        Metric::Systolic => {
            let diastolic = latest.iter().find(|other| other.metric == Metric::Diastolic);
            numbers.extend(diastolic.map(number));
            "Blood pressure"
        }
        // Told with the systolic, if there is one.
        Metric::Diastolic if latest.iter().any(|other| other.metric == Metric::Systolic) => return None,
        metric => metric_in_words(metric).0,
    };
    Some(Value {
        what,
        numbers,
        unit: metric_in_words(reading.metric).1,
        at: Moment::short(reading.at),
    })
}

/// The number of a reading as one says it, without its unit; of a scale without a unit what it stands for.
pub(crate) fn number(metric: Metric, value: f64) -> String {
    let (_, text) = reading_in_words(metric, value);
    let unit = metric_in_words(metric).1;
    text.strip_suffix(unit)
        .map_or(text.as_str(), str::trim_end)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use homeward_record::{Context, DeviceId};

    use super::*;
    use crate::testing::now;

    #[test]
    fn blood_pressure_is_one_line() {
        let reading = |metric, value| StoredReading {
            metric,
            at: now(),
            device: DeviceId(1),
            value,
            context: Context::default(),
            received_at: now(),
            entered_in_error: false,
        };
        let latest = [
            reading(Metric::HeartRate, 71.0),
            reading(Metric::Systolic, 134.0),
            reading(Metric::Diastolic, 84.0),
            reading(Metric::Glucose, 6.12),
            reading(Metric::Consciousness, 0.0),
        ];
        let told: Vec<String> = values(&latest)
            .iter()
            .map(|value| {
                let numbers: Vec<&str> = value.numbers.iter().map(|(_, text)| text.as_str()).collect();
                format!("{}: {} {}", value.what, numbers.join("/"), value.unit)
            })
            .collect();
        assert_eq!(
            told,
            [
                "Heart rate: 71 beats a minute",
                "Blood pressure: 134/84 mmHg",
                "Glucose: 6.1 mmol/L",
                "Level of consciousness: 0 (alert) ",
            ]
        );
    }
}
