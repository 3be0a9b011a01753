//! Limits: on which side of a bound a value is, and how far.

use homeward_record::Metric;
use serde_json::Value;

use super::Observation;
use super::episode::{Scored, Signal, first_greatest};
use super::json;
use super::moment::Moment;

/// Milligrams of glucose per decilitre in one millimole per litre (International Consensus on Time in Range,
/// 2019; molar mass 180.182 g/mol).
const MG_PER_DL: f64 = 18.0182;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Side {
    Below,
    AtMost,
    AtLeast,
    Above,
}

/// A number and the side of it that is meant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bound {
    pub(crate) side: Side,
    pub(crate) number: f64,
}

/// A bound of a metric's values that is a breach to meet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) metric: Metric,
    bound: Bound,
    clear: Option<f64>,
}

/// The limits of a condition, each its own channel.
pub(crate) fn limits(condition: &Value) -> Vec<Limit> {
    json::list(condition, "limits")
        .iter()
        .map(|limit| Limit {
            metric: json::metric(limit),
            bound: bound(limit).unwrap_or_else(|| panic!("no bound in {limit}")),
            clear: json::optional_number(limit, "clear"),
        })
        .collect()
}

/// The metrics of a condition's limits.
pub(crate) fn metrics(condition: &Value) -> Vec<Metric> {
    limits(condition).iter().map(|limit| limit.metric).collect()
}

/// The bound that an object names.
pub(crate) fn bound(object: &Value) -> Option<Bound> {
    let sides = [
        ("below", Side::Below),
        ("at_most", Side::AtMost),
        ("at_least", Side::AtLeast),
        ("above", Side::Above),
    ];
    sides.into_iter().find_map(|(key, side)| {
        let number = json::optional_number(object, key)?;
        Some(Bound { side, number })
    })
}

/// What is compared: glucose in whole mg/dL, so that a limit means the same in both units.
pub(crate) fn comparable(metric: Metric, value: f64) -> f64 {
    if metric == Metric::Glucose {
        (value * MG_PER_DL + 0.05).floor()
    } else {
        value
    }
}

impl Bound {
    /// Whether a value of this metric is on the side that is meant.
    pub(crate) fn meets(self, metric: Metric, value: f64) -> bool {
        let value = comparable(metric, value);
        let number = comparable(metric, self.number);
        match self.side {
            Side::Below => value < number,
            Side::AtMost => value <= number,
            Side::AtLeast => value >= number,
            Side::Above => value > number,
        }
    }
}

impl Limit {
    pub(crate) fn breaches(&self, value: f64) -> bool {
        self.bound.meets(self.metric, value)
    }

    /// Whether a value is back: on the healthy side of the bound, and at `clear` or beyond.
    pub(crate) fn back(&self, value: f64) -> bool {
        let clear_enough = self.clear.is_none_or(|clear| {
            let value = comparable(self.metric, value);
            let clear = comparable(self.metric, clear);
            match self.bound.side {
                Side::Below | Side::AtMost => value >= clear,
                Side::AtLeast | Side::Above => value <= clear,
            }
        });
        !self.breaches(value) && clear_enough
    }

    /// How far a value is from the bound, in parts of the bound.
    pub(crate) fn excess(&self, value: f64) -> f64 {
        relative(value, self.bound.number)
    }

    /// An observation with its excess.
    pub(crate) fn scored(&self, observation: &Observation) -> Scored {
        Scored {
            reading: observation.reading(None),
            excess: self.excess(observation.value),
        }
    }

    /// What a moment's own observations say.
    pub(crate) fn signal(&self, moment: Moment<'_>) -> Signal {
        let own: Vec<&Observation> = moment.of(self.metric).collect();
        let breaching: Vec<&Observation> = own.iter().copied().filter(|o| self.breaches(o.value)).collect();
        if own.is_empty() {
            Signal::Nothing
        } else if !breaching.is_empty() {
            let worst = first_greatest(breaching.iter().map(|o| self.scored(o)));
            let on_time = breaching.iter().any(|o| o.on_time());
            Signal::breach_by(worst, on_time)
        } else if own.iter().all(|o| self.back(o.value)) {
            Signal::Back
        } else {
            Signal::Between
        }
    }
}

/// The distance of a value from a number, in parts of the number where it is not zero.
pub(crate) fn relative(value: f64, number: f64) -> f64 {
    let distance = (value - number).abs();
    if number == 0.0 {
        distance
    } else {
        distance / number.abs()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn only(limit: &Value) -> Limit {
        limits(&json!({"limits": [limit]}))[0]
    }

    #[test]
    fn each_side_with_its_edge() {
        let table = [
            ("below", [true, false, false]),
            ("at_most", [true, true, false]),
            ("at_least", [false, true, true]),
            ("above", [false, false, true]),
        ];
        for (side, expected) in table {
            let limit = only(&json!({"metric": "heart_rate", side: 50}));
            assert_eq!([49.9, 50.0, 50.1].map(|v| limit.breaches(v)), expected, "{side}");
            assert_eq!(
                [49.9, 50.0, 50.1].map(|v| limit.back(v)),
                expected.map(|b| !b),
                "{side}"
            );
        }
    }

    #[test]
    fn between_bound_and_clear_is_neither() {
        let high = only(&json!({"metric": "systolic", "at_least": 180, "clear": 175}));
        assert_eq!(
            [180.0, 179.0, 175.0, 174.0].map(|v| high.back(v)),
            [false, false, true, true]
        );
        let low = only(&json!({"metric": "spo2", "at_most": 92, "clear": 94}));
        assert_eq!(
            [92.0, 93.0, 94.0, 95.0].map(|v| low.back(v)),
            [false, false, true, true]
        );
    }

    #[test]
    fn glucose_means_the_same_in_both_units() {
        // 53, 54, 69, 70 mg/dL as they are stored, and the same edges in mmol/L.
        let values = [2.941_470, 2.996_970, 2.9, 3.0, 3.829_461, 3.884_961, 3.8, 3.9];
        let very_low = only(&json!({"metric": "glucose", "below": 3.0}));
        let low = only(&json!({"metric": "glucose", "below": 3.9}));
        assert_eq!(
            values.map(|v| very_low.breaches(v)),
            [true, false, true, false, false, false, false, false]
        );
        assert_eq!(
            values.map(|v| low.breaches(v)),
            [true, true, true, true, true, false, true, false]
        );
        // 180, 181, 250, 251 mg/dL.
        let values = [
            9.989_899, 10.045_399, 10.0, 10.1, 13.874_860, 13.930_359, 13.9, 14.0,
        ];
        let high = only(&json!({"metric": "glucose", "above": 10.0}));
        let very_high = only(&json!({"metric": "glucose", "above": 13.9}));
        assert_eq!(
            values.map(|v| high.breaches(v)),
            [false, true, false, true, true, true, true, true]
        );
        assert_eq!(
            values.map(|v| very_high.breaches(v)),
            [false, false, false, false, false, true, false, true]
        );
    }

    #[test]
    fn excess_is_in_parts_of_the_bound() {
        assert_eq!(relative(90.0, 60.0), 0.5);
        assert_eq!(relative(30.0, 60.0), 0.5);
        assert_eq!(relative(0.25, 0.0), 0.25);
        assert_eq!(relative(1.0, -2.0), 1.5);
    }
}
