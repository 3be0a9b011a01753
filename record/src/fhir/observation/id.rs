//! The identifier of an Observation: what identifies the reading that it is, or begins with.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};

use crate::{DeviceId, Metric, ParseIdError, PatientId};

/// `{patient}-{device}-{metric}-{time}`: the metric's number in the store, and Unix microseconds. Of a
/// blood-pressure panel, the metric is the first of its pressures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ObservationId {
    /// Whose reading it is.
    pub patient: PatientId,
    /// What measured it.
    pub device: DeviceId,
    /// What was measured.
    pub metric: Metric,
    /// When, in whole microseconds from 1970 on.
    pub at: DateTime<Utc>,
}

impl fmt::Display for ObservationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (metric, micros) = (self.metric.code(), self.at.timestamp_micros());
        write!(f, "{}-{}-{metric}-{micros}", self.patient, self.device)
    }
}

/// A text that is not the identifier of an Observation of a reading.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not the identifier of an Observation")]
pub struct ParseObservationIdError;

impl FromStr for ObservationId {
    type Err = ParseObservationIdError;

    fn from_str(text: &str) -> Result<ObservationId, ParseObservationIdError> {
        let mut parts = text.split('-');
        let mut next = || parts.next().ok_or(ParseObservationIdError);
        let wrong = |_: ParseIdError| ParseObservationIdError;
        let patient = next()?.parse().map_err(wrong)?;
        let device = next()?.parse().map_err(wrong)?;
        let metric = next()?.parse().ok().and_then(Metric::from_code);
        let micros = next()?.parse().ok().and_then(DateTime::from_timestamp_micros);
        let id = ObservationId {
            patient,
            device,
            metric: metric.ok_or(ParseObservationIdError)?,
            at: micros.ok_or(ParseObservationIdError)?,
        };
        // One text names it, so that there is one resource of each identifier.
        (id.to_string() == text)
            .then_some(id)
            .ok_or(ParseObservationIdError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_has_one_spelling() {
        let text = "1001-17-7-1795334460123456";
        let id: ObservationId = text.parse().unwrap();
        assert_eq!((id.metric, id.to_string().as_str()), (Metric::Glucose, text));
        for wrong in [
            "",
            "1001-17-7",
            "1001-17-99-1795334460123456",
            "1001-17-07-1795334460123456",
            "1001-17-7-1795334460123456-1",
            "1001-17-7-+1795334460123456",
            "1001-17-7--1",
            "1001-0-7-1795334460123456",
        ] {
            assert_eq!(
                wrong.parse::<ObservationId>(),
                Err(ParseObservationIdError),
                "{wrong}"
            );
        }
    }
}
