//! Any bytes as a Bluetooth characteristic. The first byte chooses which, and whether the topic has a time.

#![no_main]

use chrono::TimeDelta;
use homeward_record::PayloadKind;
use homeward_record::decode::properties::{check_decode, context};
use libfuzzer_sys::fuzz_target;

const CHARACTERISTICS: [u16; 8] = [0x2a18, 0x2a1c, 0x2a35, 0x2a37, 0x2a5e, 0x2a5f, 0x2a9d, 0x2a19];

fuzz_target!(|bytes: &[u8]| {
    let Some((&choice, payload)) = bytes.split_first() else {
        return;
    };
    let context = context();
    let kind = PayloadKind::Gatt {
        characteristic: CHARACTERISTICS[usize::from(choice & 7)],
        captured: (choice & 8 != 0).then(|| context.received_at - TimeDelta::milliseconds(1)),
    };
    check_decode(kind, payload, &context);
});
