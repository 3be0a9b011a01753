//! The sub-scores of NEWS2. Source: Royal College of Physicians, National Early Warning Score 2, 2017, chart 1.

use homeward_record::Metric;

/// Which column for oxygen saturation a clinician has set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scale {
    /// For most patients.
    One,
    /// With a target of 88–92 %.
    Two,
}

/// A band up to and including a value, with what it scores.
type Band = (f64, u32);

const REST: f64 = f64::INFINITY;

const RESPIRATIONS: [Band; 5] = [(8.0, 3), (11.0, 1), (20.0, 0), (24.0, 2), (REST, 3)];
const SPO2_SCALE_1: [Band; 4] = [(91.0, 3), (93.0, 2), (95.0, 1), (REST, 0)];
const SPO2_SCALE_2_ON_AIR: [Band; 4] = [(83.0, 3), (85.0, 2), (87.0, 1), (REST, 0)];
const SPO2_SCALE_2_ON_OXYGEN: [Band; 7] = [
    (83.0, 3),
    (85.0, 2),
    (87.0, 1),
    (92.0, 0),
    (94.0, 1),
    (96.0, 2),
    (REST, 3),
];
const SYSTOLIC: [Band; 5] = [(90.0, 3), (100.0, 2), (110.0, 1), (219.0, 0), (REST, 3)];
const PULSE: [Band; 6] = [(40.0, 3), (50.0, 1), (90.0, 0), (110.0, 1), (130.0, 2), (REST, 3)];
const CONSCIOUSNESS: [Band; 2] = [(0.0, 0), (REST, 3)];
/// In tenths of a degree.
const TEMPERATURE: [Band; 5] = [(350.0, 3), (360.0, 1), (380.0, 0), (390.0, 1), (REST, 2)];

/// What a value scores. None where that depends on whether the patient has oxygen and nobody knows, and for
/// metrics that are no parameter.
pub(crate) fn sub_score(scale: Scale, metric: Metric, value: f64, on_oxygen: Option<bool>) -> Option<u32> {
    let whole = half_up(value);
    match metric {
        Metric::RespiratoryRate => band(&RESPIRATIONS, whole),
        Metric::Spo2 if scale == Scale::One => band(&SPO2_SCALE_1, whole),
        Metric::Spo2 => {
            let on_air = band(&SPO2_SCALE_2_ON_AIR, whole);
            let with_oxygen = band(&SPO2_SCALE_2_ON_OXYGEN, whole);
            match on_oxygen {
                Some(true) => with_oxygen,
                // From 93 on it matters.
                None if whole >= 93.0 => None,
                Some(false) | None => on_air,
            }
        }
        Metric::SupplementalOxygen => Some(if value > 0.0 { 2 } else { 0 }),
        Metric::Systolic => band(&SYSTOLIC, whole),
        Metric::HeartRate => band(&PULSE, whole),
        Metric::Consciousness => band(&CONSCIOUSNESS, whole),
        Metric::BodyTemperature => band(&TEMPERATURE, half_up(value * 10.0)),
        _ => None,
    }
}

fn half_up(value: f64) -> f64 {
    (value + 0.5).floor()
}

fn band(bands: &[Band], value: f64) -> Option<u32> {
    bands
        .iter()
        .find(|(up_to, _)| value <= *up_to)
        .map(|(_, score)| *score)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the first and last value of each band of the published chart.
    #[track_caller]
    fn check(scale: Scale, metric: Metric, on_oxygen: Option<bool>, table: &[(f64, u32)]) {
        for (value, score) in table {
            let scored = sub_score(scale, metric, *value, on_oxygen);
            assert_eq!(scored, Some(*score), "{metric} {value}");
        }
    }

    #[test]
    fn the_chart() {
        let plain = |metric, table: &[(f64, u32)]| check(Scale::One, metric, None, table);
        plain(
            Metric::RespiratoryRate,
            &[
                (8.0, 3),
                (9.0, 1),
                (11.0, 1),
                (12.0, 0),
                (20.0, 0),
                (21.0, 2),
                (24.0, 2),
                (25.0, 3),
            ],
        );
        plain(
            Metric::Spo2,
            &[
                (91.0, 3),
                (92.0, 2),
                (93.0, 2),
                (94.0, 1),
                (95.0, 1),
                (96.0, 0),
                (100.0, 0),
            ],
        );
        plain(
            Metric::Systolic,
            &[
                (90.0, 3),
                (91.0, 2),
                (100.0, 2),
                (101.0, 1),
                (110.0, 1),
                (111.0, 0),
                (219.0, 0),
                (220.0, 3),
            ],
        );
        plain(
            Metric::HeartRate,
            &[
                (40.0, 3),
                (41.0, 1),
                (50.0, 1),
                (51.0, 0),
                (90.0, 0),
                (91.0, 1),
                (110.0, 1),
                (111.0, 2),
            ],
        );
        plain(Metric::HeartRate, &[(130.0, 2), (131.0, 3)]);
        plain(
            Metric::Consciousness,
            &[(0.0, 0), (1.0, 3), (2.0, 3), (3.0, 3), (4.0, 3)],
        );
        plain(Metric::SupplementalOxygen, &[(0.0, 0), (0.3, 2), (2.0, 2)]);
        plain(
            Metric::BodyTemperature,
            &[
                (35.0, 3),
                (35.1, 1),
                (36.0, 1),
                (36.1, 0),
                (38.0, 0),
                (38.1, 1),
                (39.0, 1),
                (39.1, 2),
            ],
        );
        assert_eq!(sub_score(Scale::One, Metric::Diastolic, 80.0, None), None);
    }

    #[test]
    fn the_second_scale_needs_to_know_of_oxygen() {
        let low = [
            (83.0, 3),
            (84.0, 2),
            (85.0, 2),
            (86.0, 1),
            (87.0, 1),
            (88.0, 0),
            (92.0, 0),
        ];
        for on_oxygen in [None, Some(false), Some(true)] {
            check(Scale::Two, Metric::Spo2, on_oxygen, &low);
        }
        let high = [(93.0, 1), (94.0, 1), (95.0, 2), (96.0, 2), (97.0, 3), (100.0, 3)];
        check(Scale::Two, Metric::Spo2, Some(true), &high);
        check(
            Scale::Two,
            Metric::Spo2,
            Some(false),
            &high.map(|(value, _)| (value, 0)),
        );
        for (value, _) in high {
            assert_eq!(sub_score(Scale::Two, Metric::Spo2, value, None), None);
        }
    }

    #[test]
    fn values_are_rounded_half_up_before_the_bands() {
        let plain = |metric, table: &[(f64, u32)]| check(Scale::One, metric, None, table);
        plain(
            Metric::HeartRate,
            &[(90.4, 0), (90.5, 1), (130.49, 2), (130.5, 3)],
        );
        plain(Metric::Spo2, &[(95.49, 1), (95.5, 0)]);
        plain(
            Metric::BodyTemperature,
            &[(38.04, 0), (38.05, 1), (35.04, 3), (35.05, 1), (39.05, 2)],
        );
    }
}
