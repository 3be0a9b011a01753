use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Metric;

/// One number that a device measured, in the metric's stored unit.
///
/// Together with the patient and the device, metric and time identify it: a second reading with the same
/// four is the same reading sent again.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// What was measured.
    pub metric: Metric,
    /// When it was measured, in whole microseconds; of an interval, its end.
    pub at: DateTime<Utc>,
    /// The value in [`Metric::unit`], within [`Metric::plausible`].
    pub value: f64,
    /// What else the device said about the measurement.
    pub context: Context,
}

/// One measured value on its own: a reading that an episode names.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// What was measured.
    pub metric: Metric,
    /// When it was measured.
    pub at: DateTime<Utc>,
    /// The value in [`Metric::unit`].
    pub value: f64,
}

/// What a device says about a measurement beside its value. Fields that do not apply are absent, also in
/// JSON, where the whole is an object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// Beginning of the interval that a count covers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    /// What a glucose value was measured in: `capillary_blood`, `venous_blood`, `interstitial`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<String>,
    /// Relation to a meal: `before`, `after`, `fasting`, `casual`, `bedtime`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meal: Option<String>,
    /// Doubts that the device itself has of the measurement: `body_moved`, `cuff_loose`, `wrong_position`, …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cautions: Vec<String>,
    /// What else was said of the patient while it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub circumstances: Option<Box<Circumstances>>,
}

/// How it was with the patient during a measurement, in the words of the Open mHealth schemas. Few devices
/// say any of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Circumstances {
    /// Posture: `sitting`, `lying down`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub posture: Option<String>,
    /// Where on the body it was measured: `left upper arm`, `oral`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// Relation to physical activity: `at rest`, `after exercise`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<String>,
    /// Relation to sleep: `before sleeping`, `during sleep`, `on waking`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sleep: Option<String>,
    /// Relation to a meal, where it says more than [`Context::meal`]: `before breakfast`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meal: Option<String>,
    /// How supplemental oxygen was given: `nasal cannula`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oxygen_delivery: Option<String>,
}

impl Context {
    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        *self == Context::default()
    }
}
