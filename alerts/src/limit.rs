use homeward_record::Metric;
use homeward_record::unit::MG_PER_DL_PER_MMOL_PER_L;
use serde::Serialize;
use utoipa::ToSchema;

/// A bound of one metric, with its hysteresis. In JSON: `{"metric": "glucose", "below": 3.0, "clear": 3.9}`,
/// where `below` may be `at_most`, `at_least` or `above`.
///
/// Glucose is compared in whole mg/dL: the bands of the International Consensus on Time in Range (2019) are
/// whole numbers in mg/dL and one decimal in mmol/L, and the two mean the same only so. A reading of 70 mg/dL
/// is 3.885 mmol/L, and in a range that begins at 3.9.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Limit {
    /// What is limited.
    pub metric: Metric,
    /// Where a value breaches it.
    #[serde(flatten)]
    pub bound: Bound,
    /// The value, in the metric's unit, at which an open episode clears: at it or on its healthy side. A
    /// value between this and the bound neither breaches nor clears. Without it, whatever does not breach
    /// clears.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clear: Option<f64>,
}

/// Where a value breaches a limit; numbers in the metric's unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Lower than the number.
    Below(f64),
    /// The number or lower.
    AtMost(f64),
    /// The number or higher.
    AtLeast(f64),
    /// Higher than the number.
    Above(f64),
}

/// The direction in which a limit is breached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Too low.
    Low,
    /// Too high.
    High,
}

impl Limit {
    /// Whether a value is beyond the bound.
    pub fn is_breached_by(&self, value: f64) -> bool {
        self.bound.is_met_by(self.metric, value)
    }

    /// Whether a value is back: not breaching, and at `clear` or on its healthy side.
    pub(crate) fn is_cleared_by(&self, value: f64) -> bool {
        let comparable = |value| comparable(self.metric, value);
        let back = match (self.clear, self.bound.side()) {
            (None, _) => true,
            (Some(clear), Side::Low) => comparable(value) >= comparable(clear),
            (Some(clear), Side::High) => comparable(value) <= comparable(clear),
        };
        back && !self.is_breached_by(value)
    }
}

impl Bound {
    /// The number, in the metric's unit.
    pub fn value(self) -> f64 {
        let (Bound::Below(bound) | Bound::AtMost(bound) | Bound::AtLeast(bound) | Bound::Above(bound)) = self;
        bound
    }

    /// The direction in which it is breached.
    pub fn side(self) -> Side {
        match self {
            Bound::Below(_) | Bound::AtMost(_) => Side::Low,
            Bound::AtLeast(_) | Bound::Above(_) => Side::High,
        }
    }

    /// Whether a value of a metric is beyond it.
    pub fn is_met_by(self, metric: Metric, value: f64) -> bool {
        let (value, bound) = (comparable(metric, value), comparable(metric, self.value()));
        match self {
            Bound::Below(_) => value < bound,
            Bound::AtMost(_) => value <= bound,
            Bound::AtLeast(_) => value >= bound,
            Bound::Above(_) => value > bound,
        }
    }

    /// How far a value is beyond it, as a share of the bound, so that metrics compare; of a bound of zero, in
    /// its unit.
    pub(crate) fn excess(self, value: f64) -> f64 {
        let bound = self.value();
        let scale = if bound == 0.0 { 1.0 } else { bound.abs() };
        (value - bound).abs() / scale
    }
}

/// The number by which values of a metric are compared: of glucose whole mg/dL, of others the value itself.
pub(crate) fn comparable(metric: Metric, value: f64) -> f64 {
    /// What a conversion to mmol/L and back, or one decimal of mmol/L, may be short of the whole number.
    const SLACK: f64 = 0.05;
    match metric {
        Metric::Glucose => (value * MG_PER_DL_PER_MMOL_PER_L + SLACK).floor(),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_and_clear_values() {
        let check = |bound: Bound, clear, value, breached, cleared| {
            let limit = Limit {
                metric: Metric::BodyWeight,
                bound,
                clear,
            };
            assert_eq!(limit.is_breached_by(value), breached, "{bound:?} {value}");
            assert_eq!(limit.is_cleared_by(value), cleared, "{limit:?} {value}");
        };
        check(Bound::Below(3.0), Some(3.9), 2.9, true, false);
        check(Bound::Below(3.0), Some(3.9), 3.0, false, false);
        check(Bound::Below(3.0), Some(3.9), 3.8, false, false);
        check(Bound::Below(3.0), Some(3.9), 3.9, false, true);
        check(Bound::Below(3.0), None, 3.0, false, true);
        check(Bound::AtMost(3.0), None, 3.0, true, false);
        check(Bound::AtMost(3.0), None, 3.1, false, true);
        check(Bound::AtLeast(10.0), Some(9.0), 10.0, true, false);
        check(Bound::AtLeast(10.0), Some(9.0), 9.5, false, false);
        check(Bound::AtLeast(10.0), Some(9.0), 9.0, false, true);
        check(Bound::Above(10.0), Some(10.0), 10.1, true, false);
        check(Bound::Above(10.0), Some(10.0), 10.0, false, true);
        check(Bound::Above(10.0), None, 10.0, false, true);
    }

    #[test]
    fn glucose_means_the_same_in_both_units() {
        let breached = |bound: Bound, value| bound.is_met_by(Metric::Glucose, value);
        for (bound, breaching, not) in [
            (Bound::Below(3.0), [2.9, 2.941471], [3.0, 2.99697]),
            (Bound::Below(3.9), [3.8, 3.829461], [3.9, 3.884961]),
            (Bound::Above(10.0), [10.1, 10.045399], [10.0, 9.989899]),
            (Bound::Above(13.9), [14.0, 13.930359], [13.9, 13.874860]),
        ] {
            for value in breaching {
                assert!(breached(bound, value), "{bound:?} {value}");
            }
            for value in not {
                assert!(!breached(bound, value), "{bound:?} {value}");
            }
        }
    }
}
