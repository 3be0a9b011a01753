//! Where an Observation stands among those of one patient.

use std::cmp::Ordering;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use homeward_record::DeviceId;
use homeward_record::fhir::ObservationId;

use crate::fhir::parameters::always;

/// The place of an Observation among those of one patient, in the order of time, device and metric: opaque to callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fhir) struct Place {
    pub(super) at: DateTime<Utc>,
    /// Which device; 0 for what readings come to.
    pub(super) device: i64,
    /// The number of the metric, or of a summary's kind.
    pub(super) rank: i16,
}

impl Place {
    pub(super) fn of(id: ObservationId) -> Place {
        Place {
            at: id.at,
            device: id.device.0,
            rank: id.metric.code(),
        }
    }

    /// Behind everything that a device measured at a time.
    pub(super) fn after_all_of(at: DateTime<Utc>, device: DeviceId) -> Place {
        Place {
            at,
            device: device.0,
            rank: i16::MAX,
        }
    }

    /// In which order two stand: by time and device either way, and within those by metric.
    pub(super) fn order(&self, other: &Place, backwards: bool) -> Ordering {
        let moments = (self.at, self.device).cmp(&(other.at, other.device));
        let moments = if backwards { moments.reverse() } else { moments };
        moments.then(self.rank.cmp(&other.rank))
    }

    pub(in crate::fhir) fn text(self) -> String {
        format!("{}.{}.{}", self.at.timestamp_micros(), self.device, self.rank)
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Place, ()> {
        let place = || {
            let mut parts = text.split('.');
            let micros: i64 = parts.next()?.parse().ok()?;
            let place = Place {
                at: DateTime::from_timestamp_micros(micros)?,
                device: parts.next()?.parse().ok()?,
                rank: parts.next()?.parse().ok()?,
            };
            let (first, last) = always();
            let is_one = first <= place.at && place.at < last && place.device >= 0 && parts.next().is_none();
            is_one.then_some(place)
        };
        place().ok_or(())
    }
}
