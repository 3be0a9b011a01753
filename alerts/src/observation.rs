use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::{DeviceId, Metric, Point};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A reading that reaches the record longer than this after its measurement is late: it is judged and
/// shown, but pages nobody as if it were now.
///
/// The figure is this product's choice. Glucose sensors measure every 5 to 15 minutes and may send each
/// value with the next, so a shorter time would call the ordinary way of a reading late; a team that is
/// paged for something a quarter of an hour old can still act on it.
pub const LATE_AFTER: TimeDelta = TimeDelta::minutes(15);

/// A reading as a rule sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// What was measured.
    pub metric: Metric,
    /// When it was measured; of an interval, its end.
    pub at: DateTime<Utc>,
    /// The value in [`Metric::unit`].
    pub value: f64,
    /// What measured it.
    pub device: DeviceId,
    /// When the record received it.
    pub received_at: DateTime<Utc>,
}

impl Observation {
    /// The order in which observations are judged.
    pub fn key(&self) -> (DateTime<Utc>, Metric, DeviceId) {
        (self.at, self.metric, self.device)
    }

    /// Whether it arrived within [`LATE_AFTER`] of its measurement.
    pub fn is_on_time(&self) -> bool {
        self.received_at - self.at <= LATE_AFTER
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark {
            metric: self.metric,
            at: self.at,
            value: self.value,
            figure: None,
        }
    }
}

/// A reading that an episode keeps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// What was measured.
    pub metric: Metric,
    /// When it was measured.
    pub at: DateTime<Utc>,
    /// The value in [`Metric::unit`].
    pub value: f64,
    /// What the rule computed with this reading, where its condition does so: the change in the metric's unit,
    /// the rate per minute, the average, the percentage, the score, or the seconds of silence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figure: Option<f64>,
}

impl Mark {
    /// A reading, with what the rule computed with it.
    pub fn of(point: Point, figure: Option<f64>) -> Mark {
        let Point { metric, at, value } = point;
        Mark {
            metric,
            at,
            value,
            figure,
        }
    }

    /// The reading alone.
    pub fn point(&self) -> Point {
        let Mark {
            metric, at, value, ..
        } = *self;
        Point { metric, at, value }
    }

    pub(crate) fn with_figure(self, figure: f64) -> Mark {
        Mark {
            figure: Some(figure),
            ..self
        }
    }
}
