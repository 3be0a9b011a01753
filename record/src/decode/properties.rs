//! What holds of every message, valid or not, as a function for tests and fuzz targets.

use chrono::{DateTime, TimeDelta};

use super::{DecodeContext, MAX_CLOCK_AHEAD, MAX_DETAIL, MAX_PAYLOAD, MAX_READINGS, Upload, decode, native};
use crate::report::ErrorReport;
use crate::{DeviceTopic, PayloadKind};

/// The context of made-up messages: they arrive at ten past eight on 22 November 2026, from devices whose
/// clocks show an hour more than UTC.
pub fn context() -> DecodeContext {
    DecodeContext {
        received_at: DateTime::from_timestamp(1_795_335_000, 0).expect("a time of this century"),
        retention: TimeDelta::days(3650),
        utc_offset: TimeDelta::hours(1),
    }
}

/// Decodes a message and checks what has to hold of the outcome.
///
/// # Panics
///
/// Where it does not hold.
pub fn check_decode(kind: PayloadKind, payload: &[u8], context: &DecodeContext) -> Upload {
    let upload = decode(kind, payload, context);
    assert!(
        !upload.readings.is_empty() || !upload.rejected.is_empty(),
        "the message vanished"
    );
    // A blood pressure is four readings at most.
    assert!(upload.readings.len() <= 4 * MAX_READINGS);
    let mut keys = Vec::with_capacity(upload.readings.len());
    for reading in &upload.readings {
        assert!(reading.metric.plausible().contains(&reading.value), "{reading:?}");
        assert!(
            reading.value != 0.0 || reading.value.is_sign_positive(),
            "{reading:?}"
        );
        let times = [Some(reading.at), reading.context.from];
        for time in times.into_iter().flatten() {
            assert_eq!(time.timestamp_subsec_nanos() % 1_000, 0, "{reading:?}");
            let ahead = time.signed_duration_since(context.received_at);
            assert!(
                ahead <= MAX_CLOCK_AHEAD && -ahead <= context.retention,
                "{reading:?}"
            );
        }
        assert!(
            reading.context.from.is_none_or(|from| from < reading.at),
            "{reading:?}"
        );
        keys.push((reading.metric, reading.at));
    }
    keys.sort_unstable();
    assert!(
        keys.windows(2).all(|pair| pair[0] != pair[1]),
        "a reading comes twice"
    );

    assert!(upload.rejected.len() <= MAX_READINGS);
    assert!(
        upload.rejected.is_sorted_by(|a, b| a.index < b.index),
        "refusals out of order"
    );
    for rejection in &upload.rejected {
        assert!(
            !rejection.detail.is_empty() && rejection.detail.len() <= MAX_DETAIL,
            "{rejection:?}"
        );
        assert!(!rejection.detail.contains(char::is_control), "{rejection:?}");
    }
    check_report(&upload, context);
    if kind == PayloadKind::Readings && payload.len() <= MAX_PAYLOAD {
        check_both_ways(payload, context);
    }
    upload
}

/// The folder of recorded samples: the one that `HOMEWARD_SAMPLES` names, or the one beside the repository.
/// Where there is none, this says so and answers none.
#[cfg(test)]
pub(crate) fn samples() -> Option<std::path::PathBuf> {
    let folder = std::env::var_os("HOMEWARD_SAMPLES").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        std::path::PathBuf::from,
    );
    if folder.join("phd").is_dir() {
        return Some(folder);
    }
    println!(
        "skipped: there are no samples in {} (see HOMEWARD_SAMPLES)",
        folder.display()
    );
    None
}

/// An outcome for people: the readings of each time, then the refusals.
#[cfg(test)]
pub(crate) fn show(upload: &Upload) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut last = None;
    for reading in &upload.readings {
        if last != Some((reading.at, &reading.context)) {
            let context = match reading.context.is_empty() {
                true => String::new(),
                false => format!(
                    " {}",
                    serde_json::to_string(&reading.context).expect("plain data")
                ),
            };
            parts.push(reading.at.to_rfc3339());
            parts.push(context);
            last = Some((reading.at, &reading.context));
        }
        let context = parts.pop().unwrap_or_default();
        parts.push(format!(" {}={}", reading.metric, reading.value));
        parts.push(context);
    }
    for rejection in &upload.rejected {
        let reason = serde_json::to_value(rejection.reason).expect("a reason is a word");
        let index = rejection
            .index
            .map_or(String::new(), |index| format!("[{index}] "));
        parts.push(format!(
            "{index}{} {}",
            reason.as_str().unwrap_or_default(),
            rejection.detail
        ));
    }
    parts.concat()
}

/// Parses a topic and checks that what it means leads back to it.
///
/// # Panics
///
/// Where it does not.
pub fn check_topic(topic: &str) {
    if let Ok(parsed) = DeviceTopic::parse(topic) {
        let spelled = parsed.to_string();
        assert_eq!(DeviceTopic::parse(&spelled), Ok(parsed));
        // Only the hexadecimal digits of a characteristic may be spelled otherwise.
        assert_eq!(spelled, topic.to_ascii_lowercase());
        assert!(topic.starts_with(&format!("v1/devices/{}/", parsed.device)));
        assert!(!topic.contains(['+', '#', '\0']));
    }
}

/// Where the fast way reads a message, the slow way reads the same.
fn check_both_ways(payload: &[u8], context: &DecodeContext) {
    let Ok(text) = std::str::from_utf8(payload) else {
        return;
    };
    if let Some(fast) = native::fast(text, context) {
        assert_eq!(fast, native::slow(text, context));
    }
}

fn check_report(upload: &Upload, context: &DecodeContext) {
    let report = ErrorReport::new(
        "v1/devices/17/readings",
        Some(7),
        context.received_at,
        upload.readings.len(),
        &upload.rejected,
    );
    assert_eq!(report.rejected.len() + report.more, upload.rejected.len());
    let json = serde_json::to_vec(&report).expect("a report has only string keys");
    assert!(json.len() <= ErrorReport::MAX_BYTES);
    let read: ErrorReport = serde_json::from_slice(&json).expect("a report can be read back");
    assert_eq!(read, report);
}
