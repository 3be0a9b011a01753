//! The measurements of which courses are made.

use chrono::{DateTime, Utc};
use homeward_record::{DeviceId, Metric};
use serde::Serialize;
use utoipa::ToSchema;

use super::is_pressure;
use crate::{Observation, moments};

/// The numbers that one device measured at one time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct Measurement {
    /// When.
    pub at: DateTime<Utc>,
    /// What measured it.
    pub device: DeviceId,
    /// In mmHg.
    pub systolic: Option<f64>,
    /// In mmHg.
    pub diastolic: Option<f64>,
    /// The cuff saw an irregular pulse, with which it is unreliable.
    pub irregular_pulse: bool,
    /// Whether it is in the course's average.
    pub used: bool,
    /// Why it is not.
    pub why_not: Option<WhyNot>,
    /// It is less than a minute after the one before. It is in the average, as it is in that by which rules judge,
    /// and does not count as another measurement of its day.
    pub too_soon: bool,
}

/// Why a measurement is not in an average.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhyNot {
    /// It is of the course's first day.
    FirstDay,
    /// Somebody marked it so.
    EnteredInError,
}

/// The measurements that these readings are, the oldest first, none of which is used because somebody marked it.
pub fn entered_in_error(readings: &[Observation]) -> Vec<Measurement> {
    moments(readings)
        .flat_map(|moment| measurements(moment, Some(WhyNot::EnteredInError), false))
        .collect()
}

/// What each device measured in a moment.
pub(super) fn measurements(
    moment: &[Observation],
    why_not: Option<WhyNot>,
    too_soon: bool,
) -> Vec<Measurement> {
    let mut measurements: Vec<Measurement> = Vec::new();
    for observation in moment.iter().filter(|observation| is_pressure(observation)) {
        let Observation { at, device, .. } = *observation;
        let known = measurements
            .iter()
            .position(|measurement| measurement.device == device);
        let index = known.unwrap_or_else(|| {
            let irregular =
                |o: &Observation| o.device == device && o.metric == Metric::IrregularPulse && o.value > 0.0;
            measurements.push(Measurement {
                at,
                device,
                systolic: None,
                diastolic: None,
                irregular_pulse: moment.iter().any(irregular),
                used: why_not.is_none(),
                why_not,
                too_soon,
            });
            measurements.len() - 1
        });
        let value = Some(observation.value);
        match observation.metric {
            Metric::Systolic => measurements[index].systolic = value,
            _ => measurements[index].diastolic = value,
        }
    }
    measurements
}

#[cfg(test)]
mod tests {
    use homeward_record::DeviceId;

    use super::super::testing::{full_days, measure, only};
    use crate::Observation;

    #[test]
    fn devices_that_measured_at_one_time_are_two_measurements_and_count_once() {
        let mut readings = full_days(&[(1, 130.0, 80.0)]);
        readings.extend(measure("2026-11-02T08:00:00Z", 130.0, 80.0));
        let mut other = measure("2026-11-02T08:00:00Z", 150.0, 90.0);
        other
            .iter_mut()
            .for_each(|observation| observation.device = DeviceId(2));
        readings.extend(other);
        readings.sort_by_key(Observation::key);
        let course = only(&readings);
        let of_day: Vec<_> = course.measurements[4..].iter().map(|one| one.systolic).collect();
        assert_eq!(of_day, [Some(130.0), Some(150.0)]);
        assert_eq!(
            (course.days[1].measurements, course.days[1].systolic),
            (1, Some(140.0))
        );
    }
}
