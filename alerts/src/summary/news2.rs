//! The National Early Warning Score 2 over a time (Royal College of Physicians, 2017).

use std::cmp::Reverse;
use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::Metric;
use serde::Serialize;
use utoipa::ToSchema;

use crate::kinds::{NEWS2_METRICS, News2Scores, Vitals};
use crate::{Observation, Scale, moments};

/// Within how long the seven parameters must be measured where no rule of the patient's plan says it. This product's
/// default, as for rules.
pub const USUAL_WINDOW: TimeDelta = TimeDelta::minutes(15);

/// The age in years from which the score may be used. Source: Royal College of Physicians, NEWS2, 2017.
pub const LEAST_AGE: u32 = 16;

/// The seven parameters, in the order of the chart.
pub const METRICS: [Metric; 7] = NEWS2_METRICS;

/// How readings are scored at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// The scale for oxygen saturation.
    pub scale: Scale,
    /// How old a reading may be to count.
    pub window: TimeDelta,
}

impl Default for Setting {
    fn default() -> Setting {
        Setting {
            scale: Scale::One,
            window: USUAL_WINDOW,
        }
    }
}

/// The scores of a time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct News2Summary {
    /// As of the last reading.
    pub latest: Option<News2Score>,
    /// The last set of the trend in which nothing was missing.
    pub last_complete: Option<News2Score>,
    /// A point for each set, the oldest first. Sets are as far apart at least as a reading may be old: of the scores
    /// that are closer, the one counts to which the most parameters are known; of these the highest, and of these
    /// the first.
    pub trend: Vec<News2Point>,
}

/// A score with all that it is made of.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct News2Score {
    /// Its point in the trend.
    #[serde(flatten)]
    pub point: News2Point,
    /// The parameters, in the order of the chart.
    pub parameters: Vec<Parameter>,
}

/// A score.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct News2Point {
    /// When the last of its readings was measured.
    pub at: DateTime<Utc>,
    /// The total of the parameters that are known.
    pub total: u8,
    /// Whether all seven are known. If not, the total and the response are the least that they can be.
    pub complete: bool,
    /// The same in words: `5`, or `incomplete, at least 5`.
    pub words: String,
    /// The parameters that are not known.
    pub missing: Vec<Metric>,
    /// The scale for oxygen saturation.
    #[schema(value_type = u8)]
    pub scale: Scale,
    /// Which response the total asks for.
    pub response: Response,
}

/// A parameter of a score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct Parameter {
    /// Which.
    pub metric: Metric,
    /// The value, in the metric's unit; none where there is no reading within the window.
    pub value: Option<f64>,
    /// When it was measured.
    pub at: Option<DateTime<Utc>>,
    /// Its score; none where it is not known. A saturation of 93 % or more has none on scale 2 while nobody has said
    /// whether the patient breathes oxygen.
    pub score: Option<u8>,
}

/// The response that a score asks for. Source: Royal College of Physicians, NEWS2, 2017, charts 2 and 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// A total of 0.
    Zero,
    /// 1 to 4.
    Low,
    /// 1 to 4, with 3 in one parameter.
    LowMedium,
    /// 5 or 6: urgent review.
    Medium,
    /// 7 or more: emergency.
    High,
}

impl Response {
    fn of(scores: &News2Scores) -> Response {
        match (scores.total(), scores.highest()) {
            (7.., _) => Response::High,
            (5.., _) => Response::Medium,
            (_, 3) => Response::LowMedium,
            (1.., _) => Response::Low,
            (0, _) => Response::Zero,
        }
    }
}

/// Scores readings of the seven parameters, sorted by [`Observation::key`], each moment by the setting of its time: as
/// rules do.
pub fn summarise_news2(readings: &[Observation], setting: impl Fn(DateTime<Utc>) -> Setting) -> News2Summary {
    let scored = scored(readings, setting);
    let latest = scored.last().map(Scored::score);
    let sets = sets(&scored);
    let complete = sets.iter().rev().find(|set| set.known == 7);
    News2Summary {
        latest,
        last_complete: complete.map(|set| set.score()),
        trend: sets.iter().map(|set| set.point()).collect(),
    }
}

/// The sets of [`News2Summary::trend`] with all that they are made of.
pub fn news2_sets(readings: &[Observation], setting: impl Fn(DateTime<Utc>) -> Setting) -> Vec<News2Score> {
    let scored = scored(readings, setting);
    sets(&scored).into_iter().map(Scored::score).collect()
}

/// A time over which scores to which something was missing said the same.
#[derive(Clone, Debug, PartialEq)]
pub struct News2Stretch {
    /// When the first of them was.
    pub from: DateTime<Utc>,
    /// The last of them.
    pub last: News2Score,
}

/// A stretch ends when nothing was measured for so long. NEWS2 asks for observations every four to six hours from a total of 1
/// on (Royal College of Physicians, NEWS2, 2017, chart 4).
pub const STRETCH_GAP: TimeDelta = TimeDelta::hours(6);

/// The stretches of [`news2_sets`], the oldest first: of sets that are not complete and follow each other, with each parameter
/// scored alike, one is told. A complete set ends a stretch.
pub fn news2_stretches(sets: Vec<News2Score>) -> Vec<News2Stretch> {
    let scores = |set: &News2Score| -> Vec<Option<u8>> {
        set.parameters.iter().map(|parameter| parameter.score).collect()
    };
    let mut stretches: Vec<News2Stretch> = Vec::new();
    let mut goes_on = false;
    for set in sets {
        match stretches.last_mut() {
            _ if set.point.complete => goes_on = false,
            Some(stretch)
                if goes_on
                    && set.point.at - stretch.last.point.at < STRETCH_GAP
                    && scores(&stretch.last) == scores(&set) =>
            {
                stretch.last = set;
            }
            _ => {
                goes_on = true;
                stretches.push(News2Stretch {
                    from: set.point.at,
                    last: set,
                });
            }
        }
    }
    stretches
}

/// The score of each moment.
fn scored(readings: &[Observation], setting: impl Fn(DateTime<Utc>) -> Setting) -> Vec<Scored> {
    let mut vitals = Vitals::default();
    let mut scored = Vec::new();
    for moment in moments(readings) {
        let at = moment[0].at;
        let setting = setting(at);
        if vitals.take(moment, setting.window, setting.scale) {
            let scores = vitals.scores(setting.scale);
            scored.push(Scored {
                at,
                known: 7 - scores.missing().count(),
                total: scores.total(),
                vitals: vitals.clone(),
                setting,
            });
        }
    }
    scored
}

/// A score of the trend before it is told.
struct Scored {
    at: DateTime<Utc>,
    /// How many parameters are.
    known: usize,
    total: u8,
    vitals: Vitals,
    setting: Setting,
}

impl Scored {
    fn point(&self) -> News2Point {
        let scores = self.vitals.scores(self.setting.scale);
        let missing: Vec<Metric> = scores.missing().collect();
        let (complete, total) = (missing.is_empty(), scores.total());
        News2Point {
            at: self.at,
            total,
            complete,
            words: if complete {
                total.to_string()
            } else {
                format!("incomplete, at least {total}")
            },
            missing,
            scale: self.setting.scale,
            response: Response::of(&scores),
        }
    }

    fn score(&self) -> News2Score {
        let scores = self.vitals.scores(self.setting.scale).of_parameters();
        let parameter = |(metric, score)| {
            let latest = self.vitals.latest(metric);
            Parameter {
                metric,
                value: latest.map(|(_, value)| value),
                at: latest.map(|(at, _)| at),
                score,
            }
        };
        News2Score {
            point: self.point(),
            parameters: METRICS.into_iter().zip(scores).map(parameter).collect(),
        }
    }
}

/// See [`News2Summary::trend`].
fn sets(scored: &[Scored]) -> Vec<&Scored> {
    let mut by_rank: Vec<&Scored> = scored.iter().collect();
    by_rank.sort_by_key(|score| (Reverse(score.known), Reverse(score.total), score.at));
    let mut sets: BTreeMap<DateTime<Utc>, &Scored> = BTreeMap::new();
    for score in by_rank {
        let window = score.setting.window;
        let just_inside = TimeDelta::microseconds(1);
        let near = score.at - window + just_inside..score.at + window;
        if sets.range(near).next().is_none() {
            sets.insert(score.at, score);
        }
    }
    sets.into_values().collect()
}

#[cfg(test)]
mod tests {
    use homeward_record::DeviceId;

    use super::*;
    use crate::testing::minute;

    /// Readings that score 0 on scale 1, with other values for some.
    fn set(minutes: i64, changes: &[(Metric, f64)]) -> Vec<Observation> {
        let healthy = [16.0, 97.0, 0.0, 120.0, 70.0, 0.0, 37.0];
        let value = |metric, healthy| {
            let changed = changes.iter().find(|(of, _)| *of == metric);
            changed.map_or(healthy, |(_, value)| *value)
        };
        let mut readings: Vec<_> = METRICS
            .into_iter()
            .zip(healthy)
            .map(|(metric, healthy)| reading(metric, minutes, value(metric, healthy)))
            .collect();
        readings.sort_by_key(Observation::key);
        readings
    }

    fn reading(metric: Metric, minutes: i64, value: f64) -> Observation {
        Observation {
            metric,
            at: minute(minutes),
            value,
            device: DeviceId(1),
            received_at: minute(minutes),
        }
    }

    fn summarise(readings: &[Observation]) -> News2Summary {
        summarise_news2(readings, |_| Setting::default())
    }

    fn told(summary: &News2Summary) -> Vec<(i64, &str)> {
        let point = |point: &'_ News2Point| (point.at - minute(0)).num_minutes();
        summary
            .trend
            .iter()
            .map(|of_set| (point(of_set), of_set.words.as_str()))
            .collect()
    }

    #[test]
    fn nothing_measured_scores_nothing() {
        assert_eq!(summarise(&[]), News2Summary::default());
        assert_eq!(
            summarise(&[reading(Metric::Glucose, 0, 5.0)]),
            News2Summary::default()
        );
    }

    #[test]
    fn a_score_is_told_with_its_parts() {
        let latest = summarise(&set(0, &[(Metric::HeartRate, 115.0), (Metric::Spo2, 91.0)])).latest;
        let latest = latest.unwrap();
        assert_eq!((latest.point.total, latest.point.response), (5, Response::Medium));
        let scores: Vec<_> = latest.parameters.iter().map(|one| one.score).collect();
        assert_eq!(scores, [0, 3, 0, 0, 2, 0, 0].map(Some));
        assert_eq!(
            latest.parameters[4],
            Parameter {
                metric: Metric::HeartRate,
                value: Some(115.0),
                at: Some(minute(0)),
                score: Some(2),
            }
        );
    }

    #[test]
    fn what_was_not_measured_is_missing_and_guessed_at_by_nobody() {
        let mut readings = set(0, &[(Metric::RespiratoryRate, 25.0)]);
        readings.retain(|reading| reading.metric != Metric::BodyTemperature);
        let summary = summarise(&readings);
        let latest = summary.latest.unwrap();
        assert_eq!(
            (
                latest.point.words.as_str(),
                &latest.point.missing[..],
                latest.point.response
            ),
            (
                "incomplete, at least 3",
                &[Metric::BodyTemperature][..],
                Response::LowMedium
            )
        );
        assert_eq!(latest.parameters[6].score, None);
        assert_eq!(summary.last_complete, None);
    }

    #[test]
    fn every_response() {
        let check = |changes: &[(Metric, f64)], response| {
            let latest = summarise(&set(0, changes)).latest.unwrap();
            assert_eq!(latest.point.response, response, "{changes:?}");
        };
        let two = (Metric::HeartRate, 115.0);
        let three = (Metric::RespiratoryRate, 25.0);
        let oxygen = (Metric::SupplementalOxygen, 2.0);
        check(&[], Response::Zero);
        check(&[(Metric::HeartRate, 100.0)], Response::Low);
        check(&[two, oxygen], Response::Low);
        check(&[three], Response::LowMedium);
        check(&[two, three], Response::Medium);
        check(&[two, oxygen, (Metric::Systolic, 95.0)], Response::Medium);
        check(&[two, three, oxygen], Response::High);
    }

    #[test]
    fn a_set_counts_when_it_is_complete_whatever_a_watch_goes_on_sending() {
        // A heart rate each minute, and among these a set that takes four minutes.
        let mut readings: Vec<_> = (0..60)
            .map(|minute| reading(Metric::HeartRate, minute, 70.0))
            .collect();
        for (minutes, reading_of_set) in (20..).zip(set(0, &[(Metric::BodyTemperature, 38.5)])) {
            if reading_of_set.metric != Metric::HeartRate {
                readings.push(reading(reading_of_set.metric, minutes, reading_of_set.value));
            }
        }
        readings.sort_by_key(Observation::key);
        let summary = summarise(&readings);
        // The set's readings are of minutes 21 to 26, and the watch alone is scored a quarter of an hour away.
        assert_eq!(
            told(&summary),
            [
                (0, "incomplete, at least 0"),
                (26, "1"),
                (41, "incomplete, at least 0"),
                (56, "incomplete, at least 0")
            ]
        );
        let complete = summary.last_complete.unwrap();
        assert_eq!((complete.point.at, complete.point.total), (minute(26), 1));
        let latest = summary.latest.unwrap();
        assert_eq!((latest.point.at, latest.point.missing.len()), (minute(59), 6));
    }

    #[test]
    fn what_a_watch_sends_is_a_line_for_each_change() {
        // A fast pulse from the second hour on; a complete set in the fourth, and a night without the watch.
        let pulse = |at: i64| match at {
            ..60 => 70.0,
            _ => 96.0,
        };
        let worn = (0..300).chain(300 + 7 * 60..300 + 8 * 60);
        let mut readings: Vec<_> = worn
            .map(|minute| reading(Metric::HeartRate, minute, pulse(minute)))
            .collect();
        readings.extend(set(240, &[(Metric::HeartRate, 96.0)]));
        readings.sort_by_key(Observation::key);
        readings.dedup_by_key(|reading| reading.key());
        let sets = news2_sets(&readings, |_| Setting::default());
        assert!(sets.len() > 20, "{}", sets.len());
        let stretches = news2_stretches(sets);
        let told: Vec<_> = stretches
            .iter()
            .map(|stretch| {
                let minutes = |at: DateTime<Utc>| (at - minute(0)).num_minutes();
                let hours = (minutes(stretch.from) / 60, minutes(stretch.last.point.at) / 60);
                (hours, stretch.last.point.words.as_str())
            })
            .collect();
        assert_eq!(
            told,
            [
                ((0, 0), "incomplete, at least 0"),
                ((1, 3), "incomplete, at least 1"),
                ((4, 4), "incomplete, at least 1"),
                ((12, 12), "incomplete, at least 1"),
            ]
        );
    }

    #[test]
    fn of_sets_that_are_close_the_worst_counts() {
        let mut readings = set(0, &[]);
        readings.extend(set(10, &[(Metric::HeartRate, 115.0)]));
        readings.extend(set(30, &[]));
        readings.extend(set(45, &[]));
        assert_eq!(told(&summarise(&readings)), [(10, "2"), (30, "0"), (45, "0")]);
    }

    #[test]
    fn each_time_has_its_setting() {
        let saturation = [(Metric::Spo2, 90.0)];
        let mut readings = set(0, &saturation);
        readings.extend(set(60, &saturation));
        let setting = |at| Setting {
            scale: if at < minute(30) { Scale::One } else { Scale::Two },
            ..Setting::default()
        };
        let trend = summarise_news2(&readings, setting).trend;
        let told: Vec<_> = trend.iter().map(|point| (point.scale, point.total)).collect();
        assert_eq!(told, [(Scale::One, 3), (Scale::Two, 0)]);
    }
}
