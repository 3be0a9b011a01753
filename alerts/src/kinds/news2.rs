use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::Metric;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Signals, index_key, of_metric, time_of};
use crate::Observation;
use crate::signal::{Breach, Signal};

/// What the score is made of, in the order of the chart.
pub(crate) const METRICS: [Metric; 7] = [
    Metric::RespiratoryRate,
    Metric::Spo2,
    Metric::SupplementalOxygen,
    Metric::Systolic,
    Metric::HeartRate,
    Metric::Consciousness,
    Metric::BodyTemperature,
];

/// The National Early Warning Score 2 (Royal College of Physicians, 2017). Not for under 16 or in pregnancy.
///
/// Of each of the seven parameters the latest reading within `window_seconds` counts. A missing one scores
/// nothing and makes the score incomplete, "at least so much": that can raise an episode, and clears none. Nor does
/// it keep one from clearing, unless what is known is above the total at which it would: the seven are rarely
/// measured at one time, and between two sets a watch goes on with the heart rate alone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct News2 {
    /// The scale for oxygen saturation.
    pub scale: Scale,
    /// The total from which it raises.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_at_least: Option<u8>,
    /// The score of a single parameter from which it raises.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub single_at_least: Option<u8>,
    /// How old a reading may be, in seconds, to count.
    pub window_seconds: u32,
    /// The total at which an open episode clears, when it is complete; without it, one below `total_at_least`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clear_total: Option<u8>,
    /// As for a threshold.
    pub clear_after_seconds: u32,
}

/// The scales for oxygen saturation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Scale {
    /// For most patients.
    One = 1,
    /// For a target of 88–92 % in hypercapnic respiratory failure, only where a clinician has set it.
    Two = 2,
}

impl Serialize for Scale {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u8(*self as u8)
    }
}

/// The latest readings of the parameters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Vitals(Vec<Vital>);

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vital {
    metric: Metric,
    at: DateTime<Utc>,
    value: f64,
}

/// The scores of the parameters, in the order of the chart; none for one that is not known.
pub(crate) struct Scores([Option<u8>; 7]);

impl News2 {
    pub(super) fn signals(&self, vitals: &mut Vitals, moment: &[Observation]) -> Signals {
        let window = TimeDelta::seconds(i64::from(self.window_seconds));
        if !vitals.take(moment, window, self.scale) {
            return Signals::new();
        }
        let scores = vitals.scores(self.scale);
        let oxygen = vitals.value(Metric::SupplementalOxygen);
        let signal = self.signal(&scores, oxygen, moment);
        signal.map(|signal| (index_key(0), signal)).into_iter().collect()
    }

    fn signal(&self, scores: &Scores, oxygen: Option<f64>, moment: &[Observation]) -> Option<Signal> {
        let total = scores.total();
        let breach = self.total_at_least.is_some_and(|limit| total >= limit)
            || self
                .single_at_least
                .is_some_and(|limit| scores.highest() >= limit);
        if !breach {
            return self.signal_below(scores);
        }
        let of_scores = |o: &&Observation| METRICS.contains(&o.metric);
        let of = |o: &Observation| score(o.metric, o.value, oxygen, self.scale).unwrap_or(0);
        let worst = moment
            .iter()
            .filter(of_scores)
            .reduce(|first, next| if of(next) > of(first) { next } else { first })
            .unwrap_or(&moment[0]);
        let figure = f64::from(total);
        let excess = figure / f64::from(self.total_at_least.unwrap_or(1).max(1));
        Some(Signal::Breach(Box::new(Breach {
            detail: Some(scores.detail(self.scale)),
            ..Breach::at(worst.mark().with_figure(figure), excess, worst.is_on_time())
        })))
    }

    /// What scores say that do not breach.
    fn signal_below(&self, scores: &Scores) -> Option<Signal> {
        let clear = self
            .clear_total
            .or(self.total_at_least.map(|limit| limit.saturating_sub(1)));
        if clear.is_some_and(|clear| scores.total() > clear) {
            return Some(Signal::Between);
        }
        let complete = scores.missing().next().is_none();
        complete.then_some(Signal::Back)
    }
}

impl Vitals {
    /// Takes what a moment has of the seven, of several values of one the worst, and forgets what is older than the
    /// window. False where it has none: then nothing changes.
    pub(crate) fn take(&mut self, moment: &[Observation], window: TimeDelta, scale: Scale) -> bool {
        let at = time_of(moment);
        if !moment.iter().any(|o| METRICS.contains(&o.metric)) {
            return false;
        }
        let oldest = at - window;
        self.0.retain(|vital| vital.at >= oldest);
        // Oxygen first: on scale 2 the score of a saturation depends on it.
        let oxygen_first = std::iter::once(Metric::SupplementalOxygen);
        for metric in oxygen_first.chain(METRICS.into_iter().filter(|m| *m != Metric::SupplementalOxygen)) {
            let oxygen = self.value(Metric::SupplementalOxygen);
            let score = |o: &&Observation| score(metric, o.value, oxygen, scale);
            let first_worst =
                of_metric(moment, metric).reduce(
                    |first, next| {
                        if score(&next) > score(&first) { next } else { first }
                    },
                );
            if let Some(observation) = first_worst {
                self.put(observation);
            }
        }
        true
    }

    /// The latest reading of a parameter: when, and its value.
    pub(crate) fn latest(&self, metric: Metric) -> Option<(DateTime<Utc>, f64)> {
        let vital = self.0.iter().find(|vital| vital.metric == metric)?;
        Some((vital.at, vital.value))
    }

    fn value(&self, metric: Metric) -> Option<f64> {
        self.latest(metric).map(|(_, value)| value)
    }

    fn put(&mut self, observation: &Observation) {
        self.0.retain(|vital| vital.metric != observation.metric);
        self.0.push(Vital {
            metric: observation.metric,
            at: observation.at,
            value: observation.value,
        });
        self.0.sort_unstable_by_key(|vital| vital.metric);
    }

    pub(crate) fn scores(&self, scale: Scale) -> Scores {
        let oxygen = self.value(Metric::SupplementalOxygen);
        Scores(METRICS.map(|metric| score(metric, self.value(metric)?, oxygen, scale)))
    }
}

impl Scores {
    /// Of each parameter, in the order of [`METRICS`].
    pub(crate) fn of_parameters(&self) -> [Option<u8>; 7] {
        self.0
    }

    pub(crate) fn total(&self) -> u8 {
        self.0.iter().flatten().sum()
    }

    pub(crate) fn highest(&self) -> u8 {
        self.0.iter().flatten().copied().max().unwrap_or(0)
    }

    pub(crate) fn missing(&self) -> impl Iterator<Item = Metric> {
        METRICS
            .into_iter()
            .zip(self.0)
            .filter_map(|(metric, score)| score.is_none().then_some(metric))
    }

    fn detail(&self, scale: Scale) -> Value {
        let scores: Map<String, Value> = METRICS
            .iter()
            .zip(self.0)
            .filter_map(|(metric, score)| Some((metric.to_string(), score?.into())))
            .collect();
        let missing: Vec<Metric> = self.missing().collect();
        json!({ "scale": scale, "scores": scores, "missing": missing })
    }
}

/// The score of one parameter, or none where it takes the oxygen that is not known. Bands: Royal College of
/// Physicians, National Early Warning Score (NEWS) 2, 2017, chart 1. Values are rounded as a chart is filled
/// in: to whole numbers, the temperature to a tenth, halves up.
fn score(metric: Metric, value: f64, oxygen: Option<f64>, scale: Scale) -> Option<u8> {
    /// The score of the first band whose upper end is not below the value.
    fn band(value: f64, bands: &[(f64, u8)], above: u8) -> u8 {
        bands
            .iter()
            .find(|(upto, _)| value <= *upto)
            .map_or(above, |(_, score)| *score)
    }
    let whole = (value + 0.5).floor();
    let tenth = (value * 10.0 + 0.5 + super::NOISE).floor() / 10.0;
    let score = match metric {
        Metric::RespiratoryRate => band(whole, &[(8.0, 3), (11.0, 1), (20.0, 0), (24.0, 2)], 3),
        Metric::Spo2 => match scale {
            Scale::One => band(whole, &[(91.0, 3), (93.0, 2), (95.0, 1)], 0),
            Scale::Two if whole <= 92.0 => band(whole, &[(83.0, 3), (85.0, 2), (87.0, 1)], 0),
            Scale::Two => match oxygen? {
                0.0 => 0,
                _ => band(whole, &[(94.0, 1), (96.0, 2)], 3),
            },
        },
        Metric::SupplementalOxygen => 2 * u8::from(value > 0.0),
        Metric::Systolic => band(whole, &[(90.0, 3), (100.0, 2), (110.0, 1), (219.0, 0)], 3),
        Metric::HeartRate => band(
            whole,
            &[(40.0, 3), (50.0, 1), (90.0, 0), (110.0, 1), (130.0, 2)],
            3,
        ),
        Metric::Consciousness => 3 * u8::from(value > 0.0),
        Metric::BodyTemperature => band(tenth, &[(35.0, 3), (36.0, 1), (38.0, 0), (39.0, 1)], 2),
        _ => return None,
    };
    Some(score)
}
