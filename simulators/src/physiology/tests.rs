use homeward_record::Metric;
use proptest::prelude::*;

use super::*;

const KINDS: [DeviceKind; 6] = [
    DeviceKind::Smartwatch,
    DeviceKind::Cuff,
    DeviceKind::Cgm,
    DeviceKind::Meter,
    DeviceKind::Hub,
    DeviceKind::Scale,
];
const CONDITIONS: [Condition; 3] = [Condition::Usual, Condition::Pregnant, Condition::ChronicLungs];

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn midnight() -> DateTime<Utc> {
    at("2026-11-22T00:00:00Z")
}

/// Minutes from `midnight` and the values of this metric.
fn series(patient: &Patient, kind: DeviceKind, metric: Metric, from: i64, to: i64) -> Vec<(f64, f64)> {
    let minutes = |m| midnight() + TimeDelta::minutes(m);
    patient
        .readings(Device::new(kind), minutes(from), minutes(to))
        .iter()
        .flat_map(Measurement::readings)
        .filter(|reading| reading.metric == metric)
        .map(|reading| {
            (
                (reading.at - midnight()).num_seconds() as f64 / 60.0,
                reading.value,
            )
        })
        .collect()
}

fn scripted(number: u64, kind: ScriptKind, minute: i64) -> Patient {
    let script = Script {
        kind,
        at: midnight() + TimeDelta::minutes(minute),
    };
    Patient::new(7, number).with_scripts([script])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn pieces_make_the_whole(
        number in 0..1_000_u64,
        kind in prop::sample::select(&KINDS),
        start in 0..20_000_000_i64,
        cuts in prop::collection::vec(1..200_000_000_i64, 1..6),
        script in prop::option::of(0..3_000_i64),
    ) {
        let from = midnight() + TimeDelta::milliseconds(start);
        let scripts = script.map(|minute| Script {
            kind: ScriptKind::Deterioration,
            at: midnight() + TimeDelta::minutes(minute),
        });
        let patient = Patient::new(1, number).with_scripts(scripts);
        let device = Device { kind, every: (number % 2 == 0).then(|| TimeDelta::seconds(97)) };
        let mut pieces = Vec::new();
        let mut begin = from;
        for cut in cuts {
            let end = begin + TimeDelta::milliseconds(cut);
            pieces.extend(patient.readings(device, begin, end));
            begin = end;
        }
        let whole = patient.readings(device, from, begin);
        prop_assert!(whole.iter().all(|m| (from..begin).contains(&m.at())));
        prop_assert!(whole.is_sorted_by_key(|m| m.at()));
        prop_assert_eq!(pieces, whole);
    }

    #[test]
    fn values_are_plausible_whatever_happens(
        number in 0..100_000_u64,
        kind in prop::sample::select(&KINDS),
        day in 0..2_000_i64,
        happens in prop::sample::select(&ScriptKind::ALL),
        condition in prop::sample::select(&CONDITIONS),
    ) {
        let from = midnight() + TimeDelta::days(day);
        let script = Script { kind: happens.0, at: from + TimeDelta::hours(9) };
        let patient = Patient::with_condition(number, number, condition).with_scripts([script, script]);
        let measurements = patient.readings(Device::new(kind), from, from + TimeDelta::days(2));
        prop_assert!(kind == DeviceKind::Scale || measurements.len() >= 4);
        for reading in measurements.iter().flat_map(Measurement::readings) {
            prop_assert!(reading.metric.plausible().contains(&reading.value), "{:?}", reading);
        }
        for measurement in &measurements {
            if let Measurement::BloodPressure { systolic, diastolic, .. } = measurement {
                prop_assert!(systolic > &(diastolic + 15.0));
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_and_another_another_patient() {
    let day = |seed, number| {
        let patient = Patient::new(seed, number);
        patient.readings(
            Device::new(DeviceKind::Cgm),
            midnight(),
            midnight() + TimeDelta::days(1),
        )
    };
    assert_eq!(day(1, 1), day(1, 1));
    assert_ne!(day(1, 1), day(1, 2));
    assert_ne!(day(1, 1), day(2, 1));
}

#[test]
fn devices_measure_as_often_as_they_should() {
    let patient = Patient::new(3, 14);
    let week = 7 * 24 * 60;
    let count = |kind, metric| series(&patient, kind, metric, 0, week).len();
    assert_eq!(count(DeviceKind::Smartwatch, Metric::HeartRate), 7 * 288);
    assert_eq!(count(DeviceKind::Smartwatch, Metric::Steps), 7 * 24);
    assert!((50..=62).contains(&count(DeviceKind::Smartwatch, Metric::Spo2)));
    assert!((1_950..=2_016).contains(&count(DeviceKind::Cgm, Metric::Glucose)));
    assert!((20..=28).contains(&count(DeviceKind::Meter, Metric::Glucose)));
    let pressures = series(&patient, DeviceKind::Cuff, Metric::Systolic, 0, week);
    assert!((22..=28).contains(&pressures.len()));
    for pair in pressures.chunks(2) {
        let pause = pair[1].0 - pair[0].0;
        assert!(
            (1.0..3.0).contains(&pause),
            "{pause} minutes between two readings"
        );
    }
}

#[test]
fn days_have_a_rhythm() {
    let mut asleep = Vec::new();
    let mut awake = Vec::new();
    for number in 0..20 {
        for (minute, value) in series(
            &Patient::new(1, number),
            DeviceKind::Smartwatch,
            Metric::HeartRate,
            0,
            1_440,
        ) {
            match minute {
                m if (120.0..300.0).contains(&m) => asleep.push(value),
                m if (600.0..1_200.0).contains(&m) => awake.push(value),
                _ => {}
            }
        }
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    assert!(mean(&awake) > mean(&asleep) + 8.0);
    let steps: Vec<f64> = (0..50)
        .map(|number| {
            let steps = series(
                &Patient::new(1, number),
                DeviceKind::Smartwatch,
                Metric::Steps,
                0,
                1_440,
            );
            steps.iter().map(|(_, value)| value).sum()
        })
        .collect();
    let average = mean(&steps);
    assert!((2_000.0..9_000.0).contains(&average), "{average} steps a day");
}

#[test]
fn a_hypo_crosses_at_its_time_and_recovers() {
    for number in 0..200 {
        let patient = scripted(number, ScriptKind::Hypo, 900);
        let values = series(&patient, DeviceKind::Cgm, Metric::Glucose, 840, 980);
        let below: Vec<_> = values.iter().filter(|(_, value)| *value < 3.0).collect();
        assert!(below[0].0 == 900.0, "patient {number} at {}", below[0].0);
        let last = below[below.len() - 1].0;
        assert!((922.0..935.0).contains(&last), "patient {number} until {last}");
        assert!(below.iter().all(|(_, value)| *value >= 2.2), "patient {number}");
        assert!(values[values.len() - 1].1 >= 3.3, "patient {number} recovers");
        let tests = series(&patient, DeviceKind::Meter, Metric::Glucose, 900, 901);
        assert!(tests[0].1 < 3.0, "patient {number}'s meter: {}", tests[0].1);
    }
}

#[test]
fn a_crisis_crosses_at_its_time_and_not_before() {
    for number in 0..200 {
        let patient = scripted(number, ScriptKind::HypertensiveCrisis, 1_170);
        let upper = series(&patient, DeviceKind::Cuff, Metric::Systolic, 0, 2_880);
        let lower = series(&patient, DeviceKind::Cuff, Metric::Diastolic, 0, 2_880);
        let severe: Vec<_> = upper
            .iter()
            .zip(&lower)
            .filter(|(systolic, diastolic)| systolic.1 >= 180.0 || diastolic.1 >= 120.0)
            .collect();
        assert_eq!(severe[0].0.0, 1_170.0, "patient {number}");
        assert!(
            severe.len() >= 5
                && severe
                    .iter()
                    .all(|(s, d)| s.1 >= 180.0 && d.1 >= 120.0 || s.0 > 1_230.0)
        );
        assert!(upper[upper.len() - 1].1 < 175.0, "patient {number} recovers");
    }
}

#[test]
fn a_deterioration_shows_in_everything() {
    for number in 0..100 {
        let patient = scripted(number, ScriptKind::Deterioration, 600);
        let worst = |kind, metric| series(&patient, kind, metric, 970, 1_200);
        let all =
            |values: Vec<(f64, f64)>, holds: fn(f64) -> bool| values.iter().all(|(_, value)| holds(*value));
        assert!(
            all(worst(DeviceKind::Smartwatch, Metric::HeartRate), |v| v > 120.0),
            "{number}"
        );
        assert!(
            all(worst(DeviceKind::Smartwatch, Metric::Spo2), |v| v <= 92.0),
            "{number}"
        );
        assert!(
            all(worst(DeviceKind::Cgm, Metric::Glucose), |v| v > 13.9),
            "{number}"
        );
        let pressures = worst(DeviceKind::Cuff, Metric::Systolic);
        assert!(pressures.len() >= 3 && all(pressures, |v| v >= 180.0), "{number}");
        let early = series(&patient, DeviceKind::Smartwatch, Metric::Spo2, 600, 640);
        assert!(early.len() >= 4 && all(early, |v| v >= 94.0), "{number}");
    }
}

/// How often a series enters a band, where it has to stay for so many minutes before it counts, and leave it
/// for as long before it can count again.
fn episodes(values: &[(f64, f64)], hold: f64, inside: impl Fn(f64) -> bool) -> usize {
    let mut count = 0;
    let mut since = None;
    let mut counted_until = f64::NEG_INFINITY;
    for (minute, value) in values {
        if !inside(*value) {
            since = None;
            continue;
        }
        let begin = *since.get_or_insert(*minute);
        if minute - begin >= hold {
            if begin > counted_until + 15.0 {
                count += 1;
            }
            counted_until = *minute;
        }
    }
    count
}

/// Enough of a fall towards a low within a quarter of an hour to count as a dangerous one.
fn dangerous_falls(values: &[(f64, f64)]) -> usize {
    let falls = |pair: &&[(f64, f64)]| {
        let minutes = pair[3].0 - pair[0].0;
        minutes < 20.0 && (pair[0].1 - pair[3].1) / minutes >= 0.17 && pair[3].1 < 5.5
    };
    values.windows(4).filter(falls).count()
}

#[test]
fn a_normal_fleet_pages_rarely() {
    const DAYS: i64 = 7;
    const PATIENTS: u64 = 150;
    let (mut alerts, mut serious, mut sensors, mut low, mut glucoses) = (0, 0, 0.0, 0, 0);
    for number in 0..PATIENTS {
        let patient = Patient::new(42, number);
        let series = |kind, metric| series(&patient, kind, metric, 0, DAYS * 1_440);
        if number % 5 < 2 {
            let values = series(DeviceKind::Cgm, Metric::Glucose);
            let very_low = episodes(&values, 0.0, |v| v < 3.0);
            alerts += very_low + dangerous_falls(&values);
            alerts += episodes(&values, 15.0, |v| v < 3.9) + episodes(&values, 120.0, |v| v > 13.9);
            serious += very_low;
            sensors += DAYS as f64;
            low += values.iter().filter(|(_, value)| *value < 3.9).count();
            glucoses += values.len();
        }
        if number % 5 >= 2 {
            alerts += episodes(&series(DeviceKind::Cuff, Metric::Systolic), 0.0, |v| v >= 180.0);
            alerts += episodes(&series(DeviceKind::Cuff, Metric::Diastolic), 0.0, |v| v >= 120.0);
            let irregular = series(DeviceKind::Cuff, Metric::IrregularPulse);
            alerts += irregular
                .windows(3)
                .filter(|last| last.iter().map(|v| v.1).sum::<f64>() >= 2.0)
                .count()
                / 3;
        }
        if number % 2 == 0 {
            alerts += episodes(&series(DeviceKind::Smartwatch, Metric::Spo2), 0.0, |v| v <= 94.0);
            let rates = series(DeviceKind::Smartwatch, Metric::HeartRate);
            alerts += episodes(&rates, 10.0, |v| !(40.0..=120.0).contains(&v));
        }
    }
    let load = alerts as f64 / (PATIENTS as f64 * DAYS as f64);
    println!("{load} alerts a patient and day; {serious} below 3.0 in {sensors} sensor days");
    assert!((0.1..=1.0).contains(&load), "{load} alerts a patient and day");
    let serious = f64::from(u32::try_from(serious).unwrap()) / sensors;
    assert!(serious < 0.1, "{serious} times below 3.0 a sensor and day");
    let low = low as f64 / glucoses as f64;
    assert!(low < 0.04, "{low} of the time below 3.9");
}

#[test]
fn most_glucose_is_in_range_and_most_pressure_on_target() {
    let (mut within, mut all, mut controlled) = (0, 0, 0);
    for number in 0..100 {
        let patient = Patient::new(42, number);
        let glucose = series(&patient, DeviceKind::Cgm, Metric::Glucose, 0, 3 * 1_440);
        within += glucose.iter().filter(|(_, v)| (3.9..=10.0).contains(v)).count();
        all += glucose.len();
        let pressure = series(&patient, DeviceKind::Cuff, Metric::Systolic, 0, 7 * 1_440);
        let mean = pressure.iter().map(|(_, v)| v).sum::<f64>() / pressure.len() as f64;
        controlled += usize::from(mean < 135.0);
    }
    let in_range = within as f64 / all as f64;
    println!("{in_range} in range, {controlled} of 100 on target");
    assert!((0.70..0.97).contains(&in_range), "{in_range} in range");
    assert!((70..=97).contains(&controlled), "{controlled} of 100 on target");
}

#[test]
fn a_battery_runs_down_and_is_charged() {
    for number in 0..20 {
        let patient = Patient::new(7, number);
        let level = |hour| {
            patient.battery(
                Device::new(DeviceKind::Smartwatch),
                midnight() + TimeDelta::hours(hour),
            )
        };
        let levels: Vec<u8> = (0..30 * 24).map(level).collect();
        assert!(levels.iter().all(|level| (10..=100).contains(level)));
        let charged = levels.windows(2).filter(|pair| pair[1] > pair[0]);
        assert_eq!(charged.count(), 10, "once in three days");
    }
}
