use chrono::{DateTime, TimeDelta, Timelike, Utc};
use homeward_record::unit::MG_PER_DL_PER_MMOL_PER_L;
use homeward_record::{DeviceId, Metric};
use serde::Serialize;
use utoipa::ToSchema;

use super::glucose_active::active;
use crate::Zone;
use crate::limit::comparable;

/// For how much of a time there must be readings of a sensor for the figures to speak for it. Source: International
/// Consensus on Time in Range, 2019.
pub const SUFFICIENT_PERCENT: f64 = 70.0;

/// The ends of the range that is aimed at, in mmol/L and both included, for adults. Source: International Consensus on
/// Time in Range, 2019.
pub const ADULT_RANGE: (f64, f64) = (3.9, 10.0);

/// Below this many whole mg/dL glucose is very low, and above the other very high, whatever is aimed at. Source:
/// International Consensus on Time in Range, 2019.
const VERY_LOW: f64 = 54.0;
/// See [`VERY_LOW`].
const VERY_HIGH: f64 = 250.0;

/// How long glucose must be low for an episode, and not low any more for its end. Source: International Consensus on
/// Use of Continuous Glucose Monitoring, 2017.
const HYPO_HOLD: TimeDelta = TimeDelta::minutes(15);

/// Readings farther apart say nothing of the time between them: two missed values of a sensor that measures every 5
/// to 15 minutes. This product's choice, as for rules.
const HYPO_GAP: TimeDelta = TimeDelta::minutes(30);

/// The parts of the day for which the profile has a point each.
const PROFILE_MINUTES: u32 = 30;

/// A reading of glucose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When it was measured.
    pub at: DateTime<Utc>,
    /// What measured it.
    pub device: DeviceId,
    /// In mmol/L.
    pub value: f64,
}

/// The figures of an ambulatory glucose profile (International Consensus on Time in Range, 2019).
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct GlucoseSummary {
    /// How many readings it is made of.
    pub readings: usize,
    /// For how much of the time there are readings, in percent: each speaks until the next, or where one is missing, for
    /// the sensor's interval.
    pub active_percent: f64,
    /// How many minutes there are between two readings, as the readings show. More than one number: a sensor took the
    /// place of another. None: they are no sensor's.
    pub interval_minutes: Vec<u32>,
    /// Whether those are [`SUFFICIENT_PERCENT`] at least.
    pub sufficient: bool,
    /// The mean, in mmol/L. This and the next four are missing where there is nothing to compute them from.
    pub mean: Option<f64>,
    /// The sample standard deviation, in mmol/L.
    pub standard_deviation: Option<f64>,
    /// The coefficient of variation, in percent.
    pub cv_percent: Option<f64>,
    /// The glucose management indicator, in percent: 3.31 + 0.02392 × the mean in mg/dL.
    pub gmi_percent: Option<f64>,
    /// The glucose management indicator, in mmol/mol: 12.71 + 4.70587 × the mean in mmol/L.
    pub gmi_mmol_per_mol: Option<f64>,
    /// The ranges, the lowest first: each reading is in one of them.
    pub ranges: Vec<Range>,
    /// The course of a day: the parts of it in which there are readings.
    pub profile: Vec<Profile>,
    /// The times of low glucose, the earliest first.
    pub hypos: Vec<Hypo>,
}

/// How much of the readings is within a range.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Range {
    /// `very_low`, `low`, `in_range`, `high` or `very_high`.
    pub name: &'static str,
    /// How many.
    pub readings: usize,
    /// In percent of all.
    pub percent: f64,
}

/// The readings of all days at one time of the day, in mmol/L.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Profile {
    /// Where the part of the day begins, by the patient's clock: minutes after midnight.
    pub minute: u32,
    /// How many readings there are.
    pub n: usize,
    /// The percentiles, interpolated between readings.
    pub p5: f64,
    /// See `p5`.
    pub p25: f64,
    /// The median.
    pub p50: f64,
    /// See `p5`.
    pub p75: f64,
    /// See `p5`.
    pub p95: f64,
}

/// A time of low glucose: below the range that is aimed at for 15 minutes, until it has not been for 15 minutes.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Hypo {
    /// The first low reading.
    pub from: DateTime<Utc>,
    /// The last low reading.
    pub to: DateTime<Utc>,
    /// The lowest value, in mmol/L.
    pub lowest: f64,
    /// 2 where a reading was below 3.0 mmol/L, else 1.
    pub level: u8,
}

/// Sums up the samples of a window, which are sorted by time, where glucose between `aim.0` and `aim.1` mmol/L is aimed
/// at: [`ADULT_RANGE`], or in pregnancy another. How often the sensor measures is read off them, where it is not named in
/// `interval_minutes`.
pub fn summarise_glucose(
    samples: &[Sample],
    window: (DateTime<Utc>, DateTime<Utc>),
    interval_minutes: Option<u32>,
    zone: Zone,
    aim: (f64, f64),
) -> GlucoseSummary {
    let aim = (
        comparable(Metric::Glucose, aim.0),
        comparable(Metric::Glucose, aim.1),
    );
    let n = samples.len() as f64;
    let active = active(samples, interval_minutes, window);
    let active_percent = 100.0 * active.time.as_seconds_f64() / (window.1 - window.0).as_seconds_f64();
    let mean = (!samples.is_empty()).then(|| samples.iter().map(|sample| sample.value).sum::<f64>() / n);
    let standard_deviation = mean.filter(|_| samples.len() > 1).map(|mean| {
        let squares: f64 = samples.iter().map(|sample| (sample.value - mean).powi(2)).sum();
        (squares / (n - 1.0)).sqrt()
    });
    GlucoseSummary {
        readings: samples.len(),
        active_percent,
        interval_minutes: active.interval_minutes,
        sufficient: active_percent >= SUFFICIENT_PERCENT,
        mean,
        standard_deviation,
        cv_percent: mean.zip(standard_deviation).map(|(mean, sd)| 100.0 * sd / mean),
        gmi_percent: mean.map(|mean| 3.31 + 0.02392 * mean * MG_PER_DL_PER_MMOL_PER_L),
        gmi_mmol_per_mol: mean.map(|mean| 12.71 + 4.70587 * mean),
        ranges: ranges(samples, aim),
        profile: profile(samples, zone),
        hypos: hypos(samples, aim.0),
    }
}

fn mg_per_dl(sample: &Sample) -> f64 {
    comparable(Metric::Glucose, sample.value)
}

/// The readings within the ranges, where whole mg/dL from `from` to `to` are aimed at.
fn ranges(samples: &[Sample], (from, to): (f64, f64)) -> Vec<Range> {
    // Both ends are included.
    let ranges = [
        ("very_low", f64::NEG_INFINITY, (from - 1.0).min(VERY_LOW - 1.0)),
        ("low", VERY_LOW, from - 1.0),
        ("in_range", from, to),
        ("high", to + 1.0, VERY_HIGH),
        ("very_high", (to + 1.0).max(VERY_HIGH + 1.0), f64::INFINITY),
    ];
    let all = samples.len().max(1) as f64;
    let range = |(name, from, to)| {
        let within = |sample: &&Sample| (from..=to).contains(&mg_per_dl(sample));
        let readings = samples.iter().filter(within).count();
        let percent = 100.0 * readings as f64 / all;
        Range {
            name,
            readings,
            percent,
        }
    };
    ranges.into_iter().map(range).collect()
}

fn profile(samples: &[Sample], zone: Zone) -> Vec<Profile> {
    let parts = 24 * 60 / PROFILE_MINUTES;
    let mut values: Vec<Vec<f64>> = vec![Vec::new(); parts as usize];
    for sample in samples {
        let minute = zone.time(sample.at).num_seconds_from_midnight() / 60;
        values[(minute / PROFILE_MINUTES) as usize].push(sample.value);
    }
    let with_readings = (0..parts).zip(values).filter(|(_, values)| !values.is_empty());
    let point = |(part, mut values): (u32, Vec<f64>)| {
        values.sort_unstable_by(f64::total_cmp);
        let at = |percent| percentile(&values, percent);
        Profile {
            minute: part * PROFILE_MINUTES,
            n: values.len(),
            p5: at(5.0),
            p25: at(25.0),
            p50: at(50.0),
            p75: at(75.0),
            p95: at(95.0),
        }
    };
    with_readings.map(point).collect()
}

/// A percentile of sorted values, of which there is one at least, interpolated between the two nearest.
fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let place = percent / 100.0 * (sorted.len() - 1) as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within the values"
    )]
    let below = place as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

/// A run of low readings.
struct Run {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    lowest: Sample,
    /// Since when it has not been low.
    over_since: Option<DateTime<Utc>>,
}

impl Run {
    /// The run as an episode, if it lasted for long enough.
    fn finish(self) -> Option<Hypo> {
        (self.to - self.from >= HYPO_HOLD).then(|| Hypo {
            from: self.from,
            to: self.to,
            lowest: self.lowest.value,
            level: if mg_per_dl(&self.lowest) < VERY_LOW { 2 } else { 1 },
        })
    }
}

/// The times below `low`, in whole mg/dL.
fn hypos(samples: &[Sample], low: f64) -> Vec<Hypo> {
    let mut hypos = Vec::new();
    let mut run: Option<Run> = None;
    let mut before: Option<DateTime<Utc>> = None;
    for sample in samples {
        if before.is_some_and(|before| sample.at - before > HYPO_GAP) {
            hypos.extend(run.take().and_then(Run::finish));
        }
        before = Some(sample.at);
        let is_low = mg_per_dl(sample) < low;
        match &mut run {
            Some(run) if is_low => {
                run.to = sample.at;
                run.over_since = None;
                if sample.value < run.lowest.value {
                    run.lowest = *sample;
                }
            }
            Some(of_run) => {
                let since = *of_run.over_since.get_or_insert(sample.at);
                if sample.at - since >= HYPO_HOLD {
                    hypos.extend(run.take().and_then(Run::finish));
                }
            }
            None if is_low => {
                run = Some(Run {
                    from: sample.at,
                    to: sample.at,
                    lowest: *sample,
                    over_since: None,
                });
            }
            None => {}
        }
    }
    hypos.extend(run.and_then(Run::finish));
    hypos
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: DeviceId = DeviceId(1);

    fn london() -> Zone {
        Zone::named("Europe/London").unwrap()
    }

    fn at(minute: i64) -> DateTime<Utc> {
        "2026-07-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minute)
    }

    fn every_five_minutes(values: &[f64]) -> Vec<Sample> {
        let samples = (0..).zip(values);
        samples
            .map(|(index, value)| Sample {
                at: at(5 * index),
                device: DEVICE,
                value: *value,
            })
            .collect()
    }

    #[test]
    fn nothing_measured_gives_no_figures() {
        let window = (at(0), at(14 * 24 * 60));
        let summary = summarise_glucose(&[], window, None, london(), ADULT_RANGE);
        assert_eq!(
            (summary.mean, summary.cv_percent, summary.gmi_percent),
            (None, None, None)
        );
        assert_eq!((summary.active_percent, summary.sufficient), (0.0, false));
        assert!(summary.ranges.iter().all(|range| range.percent == 0.0));
        let one = [Sample {
            at: at(0),
            device: DEVICE,
            value: 6.0,
        }];
        let summary = summarise_glucose(&one, window, None, london(), ADULT_RANGE);
        assert_eq!((summary.mean, summary.cv_percent), (Some(6.0), None));
    }

    #[test]
    fn figures_are_those_of_their_formulas() {
        // A mean of 154 mg/dL has an indicator of 7.0 % by the consensus.
        let values = [150.0, 158.0].map(|mg| mg / MG_PER_DL_PER_MMOL_PER_L);
        let summary = summarise_glucose(
            &every_five_minutes(&values),
            (at(0), at(10)),
            None,
            london(),
            ADULT_RANGE,
        );
        assert!((summary.gmi_percent.unwrap() - (3.31 + 0.02392 * 154.0)).abs() < 1e-9);
        assert!((summary.gmi_mmol_per_mol.unwrap() - (12.71 + 4.70587 * 154.0 / 18.0182)).abs() < 1e-9);
        assert!((summary.cv_percent.unwrap() - 100.0 * 32.0_f64.sqrt() / 154.0).abs() < 1e-9);
        assert_eq!(
            (summary.active_percent, &summary.interval_minutes[..]),
            (100.0, &[5][..])
        );
    }

    #[test]
    fn every_edge_of_the_ranges_in_both_units() {
        let check = |aim, edges: &[(f64, f64, &str)]| {
            for (mg, mmol, name) in edges {
                for value in [homeward_record::unit::mg_per_dl_to_mmol_per_l(*mg), *mmol] {
                    let sample = Sample {
                        at: at(0),
                        device: DEVICE,
                        value,
                    };
                    let ranges = ranges(&[sample], aim);
                    let of: Vec<_> = ranges.iter().filter(|range| range.readings == 1).collect();
                    assert_eq!((of.len(), of[0].name), (1, *name), "{value}");
                }
            }
        };
        let adults = [
            (53.0, 2.9, "very_low"),
            (54.0, 3.0, "low"),
            (69.0, 3.8, "low"),
            (70.0, 3.9, "in_range"),
            (180.0, 10.0, "in_range"),
            (181.0, 10.1, "high"),
            (250.0, 13.9, "high"),
            (251.0, 14.0, "very_high"),
        ];
        check((70.0, 180.0), &adults);
        let pregnancy = [
            (53.0, 2.9, "very_low"),
            (54.0, 3.0, "low"),
            (62.0, 3.4, "low"),
            (63.0, 3.5, "in_range"),
            (140.0, 7.8, "in_range"),
            (141.0, 7.9, "high"),
            (250.0, 13.9, "high"),
            (251.0, 14.0, "very_high"),
        ];
        check((63.0, 140.0), &pregnancy);
    }

    #[test]
    fn a_profile_is_by_the_patients_clock() {
        let values: Vec<f64> = (0..12).map(f64::from).collect();
        let profile = profile(&every_five_minutes(&values), london());
        // One in the morning in summer time.
        let minutes: Vec<_> = profile.iter().map(|point| (point.minute, point.n)).collect();
        assert_eq!(minutes, [(60, 6), (90, 6)]);
        let first = &profile[0];
        assert_eq!(
            (first.p5, first.p25, first.p50, first.p75, first.p95),
            (0.25, 1.25, 2.5, 3.75, 4.75)
        );
    }

    #[test]
    fn low_glucose_counts_from_fifteen_minutes_on_and_ends_after_fifteen() {
        let check = |values: &[f64], expected: &[(i64, i64, u8)]| {
            let found: Vec<_> = hypos(&every_five_minutes(values), 70.0)
                .iter()
                .map(|hypo| {
                    (
                        (hypo.from - at(0)).num_minutes(),
                        (hypo.to - at(0)).num_minutes(),
                        hypo.level,
                    )
                })
                .collect();
            assert_eq!(found, expected, "{values:?}");
        };
        check(&[5.0, 3.8, 3.8, 3.8, 5.0, 5.0, 5.0, 5.0], &[]);
        check(&[5.0, 3.8, 3.8, 3.8, 3.8, 5.0, 5.0, 5.0, 5.0], &[(5, 20, 1)]);
        check(&[3.8, 3.8, 5.0, 5.0, 2.9, 5.0, 5.0, 5.0, 5.0], &[(0, 20, 2)]);
        check(
            &[3.8, 3.8, 3.8, 3.8, 5.0, 5.0, 5.0, 5.0, 3.8, 3.8, 3.8, 3.8],
            &[(0, 15, 1), (40, 55, 1)],
        );
        let gap = [0, 5, 40, 45, 50, 55].map(|minute| Sample {
            at: at(minute),
            device: DEVICE,
            value: 3.5,
        });
        assert!(hypos(&gap, 63.0).is_empty());
        let found = hypos(&gap, 70.0);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].from, found[0].to), (at(40), at(55)));
    }
}
