use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::decode::Rejection;

/// What became of one message, as told to its device: the JSON on the device's topic `…/errors`.
///
/// ```json
/// {"topic": "v1/devices/17/readings", "packet_id": 7, "received_at": "2026-11-22T08:10:00Z", "stored": 9,
///  "rejected": [{"index": 3, "reason": "implausible", "detail": "readings[3].systolic: …"}], "more": 2}
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorReport {
    /// The topic of the message, cut where it is longer than any topic that is taken.
    pub topic: String,
    /// The MQTT packet identifier of the message; absent where it was sent with QoS 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packet_id: Option<u16>,
    /// When the message arrived.
    pub received_at: DateTime<Utc>,
    /// How many readings of the message the record has now, whether new or stored earlier.
    pub stored: usize,
    /// What was refused: the first [`ErrorReport::LISTED`] refusals.
    pub rejected: Vec<Rejection>,
    /// How many refusals there were beside the listed ones.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: usize,
}

impl ErrorReport {
    /// How many refusals one report lists. A device whose every reading is wrong is wrong in few ways.
    pub const LISTED: usize = 20;
    /// The most bytes that the JSON of a report made by [`ErrorReport::new`] has.
    pub const MAX_BYTES: usize = 20 * 1024;
    /// The longest topic that is taken has about 60 bytes.
    const MAX_TOPIC: usize = 128;

    /// A report of bounded size, whatever the message was.
    pub fn new(
        topic: &str,
        packet_id: Option<u16>,
        received_at: DateTime<Utc>,
        stored: usize,
        rejected: &[Rejection],
    ) -> ErrorReport {
        let listed = &rejected[..rejected.len().min(ErrorReport::LISTED)];
        let printable = |c: &char| !c.is_control();
        ErrorReport {
            topic: topic[..topic.floor_char_boundary(ErrorReport::MAX_TOPIC)]
                .chars()
                .filter(printable)
                .collect(),
            packet_id,
            received_at,
            stored,
            // Made anew, so that the bound also holds for details that were written by hand.
            rejected: listed
                .iter()
                .map(|r| Rejection::new(r.index, r.reason, r.detail.as_str()))
                .collect(),
            more: rejected.len() - listed.len(),
        }
    }
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::decode::Reason;

    fn received_at() -> DateTime<Utc> {
        "2026-11-22T08:10:00Z".parse().unwrap()
    }

    #[test]
    fn a_report_in_json() {
        let rejected = [
            Rejection::new(
                Some(3),
                Reason::Implausible,
                "readings[3].systolic: 400 mm[Hg] is …",
            ),
            Rejection::new(None, Reason::NotAssigned, "the device was assigned to nobody"),
        ];
        let report = ErrorReport::new("v1/devices/17/readings", Some(7), received_at(), 9, &rejected);
        let json = serde_json::to_string(&report).unwrap();
        assert_snapshot!(json, @r#"{"topic":"v1/devices/17/readings","packet_id":7,"received_at":"2026-11-22T08:10:00Z","stored":9,"rejected":[{"index":3,"reason":"implausible","detail":"readings[3].systolic: 400 mm[Hg] is …"},{"reason":"not_assigned","detail":"the device was assigned to nobody"}]}"#);
        assert_eq!(serde_json::from_str::<ErrorReport>(&json).unwrap(), report);

        let report = ErrorReport::new("v1/devices/17/fhir", None, received_at(), 0, &[]);
        assert_snapshot!(serde_json::to_string(&report).unwrap(), @r#"{"topic":"v1/devices/17/fhir","received_at":"2026-11-22T08:10:00Z","stored":0,"rejected":[]}"#);
    }

    #[test]
    fn a_report_is_bounded() {
        for filler in ["\"", "\u{0}", "€", "\u{7f}"] {
            let rejection = Rejection {
                index: Some(usize::MAX),
                reason: Reason::ControlSolution,
                detail: filler.repeat(70_000),
            };
            let rejected = vec![rejection; 1_000];
            let topic = filler.repeat(30_000);
            let report = ErrorReport::new(&topic, Some(u16::MAX), received_at(), usize::MAX, &rejected);
            assert_eq!((report.rejected.len(), report.more), (20, 980));
            let bytes = serde_json::to_vec(&report).unwrap().len();
            assert!(bytes <= ErrorReport::MAX_BYTES, "{bytes} bytes of {filler:?}");
        }
    }
}
