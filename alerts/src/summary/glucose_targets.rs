//! Whether glucose is where it should be: the shares of a rule of time in range, each with what came of it.

use homeward_record::Metric;
use serde::Serialize;
use utoipa::ToSchema;

use super::{ADULT_RANGE, GlucoseSummary, Sample};
use crate::{Percent, Share, TimeInRange};

/// The most by which glucose should vary, as a coefficient of variation in percent. Source: International Consensus on
/// Time in Range, 2019.
pub const MOST_VARIATION_PERCENT: f64 = 36.0;

/// Targets and what came of them.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct GlucoseTargets {
    /// The shares, in the order of the rule.
    pub shares: Vec<ShareTarget>,
    /// The variation.
    pub variation: VariationTarget,
    /// Whether all are met; none where there are too few readings.
    pub met: Option<bool>,
}

/// A share of the readings that should not be too large, or not too small. In JSON with the rule's words:
/// `{"below": 3.9, "over_percent": 4, …}` is not met by more than 4 % of the readings below 3.9 mmol/L.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct ShareTarget {
    /// Which readings.
    #[serde(flatten)]
    pub share: Share,
    /// How many of them are too many, or too few.
    #[serde(flatten)]
    pub limit: Percent,
    /// How many there are, in percent of all.
    pub percent: f64,
    /// Whether that is as it should be; none where there are too few readings.
    pub met: Option<bool>,
}

/// The coefficient of variation that should not be exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct VariationTarget {
    /// [`MOST_VARIATION_PERCENT`].
    pub at_most_percent: f64,
    /// What it is.
    pub percent: Option<f64>,
    /// Whether that is as it should be; none where there are too few readings.
    pub met: Option<bool>,
}

/// The range that a rule aims at, in mmol/L: the one that it wants enough readings in, or that of adults.
pub fn aim(rule: &TimeInRange) -> (f64, f64) {
    let within = |share| match share {
        Share::Within { from, to } => Some((from, to)),
        Share::Beyond(_) => None,
    };
    let of_rule = rule.figures.iter().find_map(|figure| within(figure.share));
    of_rule.unwrap_or(ADULT_RANGE)
}

/// What came of the targets of a rule, of the samples of which this is the summary.
pub fn judge_targets(rule: &TimeInRange, samples: &[Sample], summary: &GlucoseSummary) -> GlucoseTargets {
    let all = samples.len().max(1) as f64;
    let share = |figure: &crate::Figure| {
        let has = |sample: &&Sample| figure.share.has(Metric::Glucose, sample.value);
        let percent = 100.0 * samples.iter().filter(has).count() as f64 / all;
        ShareTarget {
            share: figure.share,
            limit: figure.limit,
            percent,
            met: summary.sufficient.then(|| !figure.limit.is_breached_by(percent)),
        }
    };
    let shares: Vec<ShareTarget> = rule.figures.iter().map(share).collect();
    let percent = summary.cv_percent;
    let variation = VariationTarget {
        at_most_percent: MOST_VARIATION_PERCENT,
        percent,
        met: percent
            .filter(|_| summary.sufficient)
            .map(|percent| percent <= MOST_VARIATION_PERCENT),
    };
    let each = shares.iter().map(|share| share.met).chain([variation.met]);
    GlucoseTargets {
        met: each
            .collect::<Option<Vec<bool>>>()
            .map(|met| met.into_iter().all(|met| met)),
        shares,
        variation,
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};
    use homeward_record::DeviceId;

    use super::*;
    use crate::summary::summarise_glucose;
    use crate::{Condition, Programme, Zone};

    fn rule(programme: &str) -> TimeInRange {
        let rules = &Programme::named(programme).unwrap().rules;
        let of_rule = rules.iter().find_map(|rule| match &rule.definition.condition {
            Condition::TimeInRange(rule) => Some(rule.clone()),
            _ => None,
        });
        of_rule.unwrap()
    }

    /// What comes of a programme's targets with these values every five minutes, which are all or half of a window.
    fn judge(programme: &str, values: &[f64], all: bool) -> GlucoseTargets {
        let at = |index: usize| DateTime::UNIX_EPOCH + TimeDelta::minutes(5) * i32::try_from(index).unwrap();
        let samples: Vec<Sample> = (0..)
            .zip(values)
            .map(|(index, value)| Sample {
                at: at(index),
                device: DeviceId(1),
                value: *value,
            })
            .collect();
        let window = (at(0), at(values.len() * if all { 1 } else { 2 }));
        let london = Zone::named("Europe/London").unwrap();
        let rule = rule(programme);
        let summary = summarise_glucose(&samples, window, None, london, aim(&rule));
        judge_targets(&rule, &samples, &summary)
    }

    fn met(targets: &GlucoseTargets) -> Vec<bool> {
        targets.shares.iter().map(|share| share.met.unwrap()).collect()
    }

    #[test]
    fn each_programme_aims_at_its_own_range() {
        assert_eq!(aim(&rule("diabetes-type-1")), (3.9, 10.0));
        assert_eq!(aim(&rule("diabetes-older")), (3.9, 10.0));
        assert_eq!(aim(&rule("diabetes-pregnancy")), (3.5, 7.8));
    }

    #[test]
    fn the_same_readings_meet_other_targets() {
        // 60 % in the range of adults, 20 % in that of pregnancy, 40 % above both, none low or very high.
        let values: Vec<f64> = [vec![7.0; 20], vec![9.0; 40], vec![12.0; 40]].concat();
        let adults = judge("diabetes-type-1", &values, true);
        // In range, below 3.9, below 3.0, above 10.0, above 13.9.
        assert_eq!(met(&adults), [false, true, true, false, true]);
        assert_eq!(adults.shares[0].percent, 60.0);
        assert_eq!((adults.variation.met, adults.met), (Some(true), Some(false)));
        let older = judge("diabetes-older", &values, true);
        assert_eq!((met(&older), older.met), (vec![true, true, true], Some(true)));
        let pregnancy = judge("diabetes-pregnancy", &values, true);
        assert_eq!(met(&pregnancy), [false, true, true, false]);
        assert_eq!(pregnancy.shares[0].percent, 20.0);
    }

    #[test]
    fn too_few_readings_judge_nothing() {
        let half = judge("diabetes-type-1", &[7.0; 100], false);
        assert_eq!(
            (half.met, half.variation.met, half.shares[0].met),
            (None, None, None)
        );
        assert_eq!(half.shares[0].percent, 100.0);
    }

    #[test]
    fn shares_are_told_in_the_words_of_rules() {
        let json = serde_json::to_value(judge("diabetes-type-1", &[7.0; 10], true)).unwrap();
        assert_eq!(
            json["shares"][1],
            serde_json::json!({"below": 3.9, "over_percent": 4.0, "percent": 0.0, "met": true})
        );
    }
}
