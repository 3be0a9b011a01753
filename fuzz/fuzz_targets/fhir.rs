//! Any bytes as a FHIR resource.

#![no_main]

use homeward_record::PayloadKind;
use homeward_record::decode::properties::{check_decode, context};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|payload: &[u8]| {
    check_decode(PayloadKind::Fhir, payload, &context());
});
