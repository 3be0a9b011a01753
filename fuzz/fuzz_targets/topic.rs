//! Any text as a topic.

#![no_main]

use homeward_record::decode::properties::check_topic;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|topic: &str| check_topic(topic));
