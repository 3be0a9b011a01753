use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::{Metric, Point};

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
    /// When the record received it.
    pub received_at: DateTime<Utc>,
}

impl Observation {
    /// The measurement without its way to the record.
    pub fn point(&self) -> Point {
        let Observation {
            metric, at, value, ..
        } = *self;
        Point { metric, at, value }
    }

    /// Whether it arrived longer than [`LATE_AFTER`] after its measurement.
    pub fn is_late(&self) -> bool {
        self.received_at - self.at > LATE_AFTER
    }
}
