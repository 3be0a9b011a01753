//! What a patient's care plan aims at, and from which values on it tells the team: read off the rules in force.

use chrono::{DateTime, Utc};
use homeward_alerts::{Bound, Condition, Definition, Direction, Limit, Side};
use homeward_record::{Metric, PatientId};
use homeward_store::plans::load_versions;
use sqlx::PgConnection;

use crate::error::ApiError;

/// The rule whose limits are the target of the average at home: programmes call it so, and plans keep the name. The
/// other rule about averages has the limits of a higher range, which nobody aims at.
const TARGET_RULE: &str = "home-average-above-target";

/// What is aimed at; what the plan says nothing about is not there.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::pages::own) struct Aims {
    /// Systolic and diastolic, below which the average at home should be.
    pub(in crate::pages::own) pressure: Option<(f64, f64)>,
    /// Oxygen saturation of which the team is told first.
    pub(in crate::pages::own) oxygen: Option<Bound>,
    /// Heart rates at rest of which the team is told.
    pub(in crate::pages::own) heart: Vec<Bound>,
    /// How much weight within how many days the team is told of.
    pub(in crate::pages::own) gain: Option<(f64, i64)>,
}

impl Aims {
    /// What a patient's plan aims at now.
    pub(in crate::pages::own) async fn of(
        connection: &mut PgConnection,
        patient: PatientId,
        now: DateTime<Utc>,
    ) -> Result<Aims, ApiError> {
        let mut aims = Aims::default();
        let versions = load_versions(connection, patient, None).await?;
        for version in versions.iter().filter(|version| version.is_in_force(now)) {
            // A rule that this version of the code cannot read says nothing here.
            if let Ok(definition) = Definition::parse(&version.definition) {
                aims.take(&version.code, &definition.condition);
            }
        }
        Ok(aims)
    }

    fn take(&mut self, code: &str, condition: &Condition) {
        match condition {
            Condition::HomeAverage(rule) if code == TARGET_RULE => {
                let of = |metric| rule.limits.iter().find(|limit| limit.metric == metric);
                let bounds = of(Metric::Systolic).zip(of(Metric::Diastolic));
                self.pressure = bounds.map(|(upper, lower)| (upper.bound.value(), lower.bound.value()));
            }
            Condition::Threshold(rule) => self.take_oxygen(&rule.limits),
            Condition::Sustained(rule) => {
                let of_heart = rule
                    .limits
                    .iter()
                    .filter(|limit| limit.metric == Metric::HeartRate);
                self.heart.extend(of_heart.map(|limit| limit.bound));
            }
            Condition::Change(rule) => {
                let rises = rule.changes.iter().filter_map(|change| match change.direction {
                    Direction::Rise(by) if change.metric == Metric::BodyWeight => {
                        Some((by, i64::from(change.within_seconds / 86_400)))
                    }
                    _ => None,
                });
                self.gain = rises.min_by(|one, other| one.0.total_cmp(&other.0)).or(self.gain);
            }
            _ => {}
        }
    }

    fn take_oxygen(&mut self, limits: &[Limit]) {
        for limit in limits.iter().filter(|limit| limit.metric == Metric::Spo2) {
            let is_first = |known: Bound| limit.bound.value() > known.value();
            if limit.bound.side() == Side::Low && self.oxygen.is_none_or(is_first) {
                self.oxygen = Some(limit.bound);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use homeward_alerts::Programme;

    use super::*;

    fn aims_of(programme: &str) -> Aims {
        let mut aims = Aims::default();
        for rule in &Programme::named(programme).unwrap().rules {
            aims.take(&rule.code, &rule.definition.condition);
        }
        aims
    }

    #[test]
    fn aims_are_those_of_the_rules() {
        let heart = vec![Bound::Above(120.0), Bound::Below(40.0)];
        let hypertension = aims_of("hypertension");
        assert_eq!(
            (hypertension.pressure, &hypertension.heart),
            (Some((135.0, 85.0)), &heart)
        );
        assert_eq!(aims_of("hypertension-over-80").pressure, Some((145.0, 85.0)));
        assert_eq!(
            aims_of("heart-failure"),
            Aims {
                pressure: None,
                oxygen: Some(Bound::AtMost(94.0)),
                heart,
                gain: Some((2.0, 3)),
            }
        );
        assert_eq!(aims_of("copd").oxygen, None);
    }
}
