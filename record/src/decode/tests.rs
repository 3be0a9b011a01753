//! Any bytes and any topic.

use chrono::{DateTime, TimeDelta};
use proptest::prelude::*;

use super::properties::{check_decode, check_topic, context};
use super::{MAX_PAYLOAD, Reason};
use crate::PayloadKind;

const KINDS: [PayloadKind; 4] = [
    PayloadKind::Readings,
    PayloadKind::Gatt {
        characteristic: 0x2a35,
        captured: None,
    },
    PayloadKind::Omh,
    PayloadKind::Fhir,
];

#[test]
fn a_payload_is_bounded_whatever_it_is() {
    for kind in KINDS {
        let upload = check_decode(kind, &vec![b' '; MAX_PAYLOAD + 1], &context());
        assert_eq!(upload.rejected[0].reason, Reason::TooLarge);
        let upload = check_decode(kind, &vec![b' '; MAX_PAYLOAD], &context());
        assert!(upload.rejected[0].reason != Reason::TooLarge);
    }
}

#[test]
fn the_edges_of_time() {
    let context = context();
    let oldest = context.received_at - context.retention;
    let newest = context.received_at + TimeDelta::minutes(5);
    let micro = TimeDelta::microseconds(1);
    let table = [
        (oldest, None),
        (newest + TimeDelta::nanoseconds(999), None),
        (oldest - micro, Some(Reason::TooOld)),
        (newest, None),
        (newest + micro, Some(Reason::InFuture)),
        (DateTime::UNIX_EPOCH, Some(Reason::TooOld)),
        (DateTime::<chrono::Utc>::MIN_UTC, Some(Reason::TooOld)),
        (DateTime::<chrono::Utc>::MAX_UTC, Some(Reason::InFuture)),
    ];
    for (captured, expected) in table {
        let kind = PayloadKind::Gatt {
            characteristic: 0x2a37,
            captured: Some(captured),
        };
        let upload = check_decode(kind, &[0, 72], &context);
        assert_eq!(upload.rejected.first().map(|r| r.reason), expected, "{captured}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        payload in prop::collection::vec(any::<u8>(), 0..200),
        kind in prop::sample::select(&KINDS[..]),
    ) {
        check_decode(kind, &payload, &context());
    }

    #[test]
    fn any_topic_is_read_or_refused(
        topic in "v1/devices/[0-9+a]{1,3}/(readings|omh|fhir|gatt/[0-9a-fA-FxX]{3,5}(/[-+0-9]{0,16})?|.{0,9})",
    ) {
        check_topic(&topic);
    }

    #[test]
    fn any_text_is_a_topic_or_none(topic in any::<String>()) {
        check_topic(&topic);
    }
}
