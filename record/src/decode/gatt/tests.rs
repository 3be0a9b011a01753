use chrono::{DateTime, TimeDelta, Utc};
use insta::assert_snapshot;

use super::*;
use crate::PayloadKind;
use crate::decode::decode;
use crate::decode::properties::context;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

const CAPTURED: &str = "2026-11-22T08:09:30.125Z";

fn read(characteristic: u16, captured: Option<&str>, payload: &[u8]) -> Upload {
    let kind = PayloadKind::Gatt {
        characteristic,
        captured: captured.map(at),
    };
    decode(kind, payload, &context())
}

/// The outcome in one line: time, values, what else was said; or the refusal.
fn show(upload: &Upload) -> String {
    if let [rejection] = upload.rejected.as_slice() {
        assert_eq!((upload.readings.len(), rejection.index), (0, None));
        return format!("{:?} {}", rejection.reason, rejection.detail);
    }
    let first = &upload.readings[0];
    let mut line = first.at.to_rfc3339();
    for reading in &upload.readings {
        assert_eq!((reading.at, &reading.context), (first.at, &first.context));
        line += &format!(" {}={}", reading.metric, reading.value);
    }
    if !first.context.is_empty() {
        line += &format!(" {}", serde_json::to_string(&first.context).unwrap());
    }
    line
}

/// A line for each payload, given in hexadecimal.
fn table(characteristic: u16, captured: Option<&str>, payloads: &[&str]) -> String {
    let bytes = |text: &str| -> Vec<u8> {
        let digits: String = text.split_whitespace().collect();
        (0..digits.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap())
            .collect()
    };
    let line = |payload: &&str| show(&read(characteristic, captured, &bytes(payload)));
    payloads.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn blood_pressure() {
    let payloads = [
        // All fields: 120/80, mean 93, 2026-11-22 09:01:00 local, pulse 71, user 1, irregular pulse.
        "1e 7800 5000 5d00 ea07 0b 16 09 01 00 4700 01 0400",
        // kPa with tenths: 16.0/10.7, and a time; the mean is not there.
        "03 a0f0 6bf0 ff07 ea07 0b 16 09 01 00",
        // Moved, cuff loose, wrong position.
        "12 7800 5000 5d00 ea07 0b 16 09 01 00 2300",
        // The pulse has no number: the pressure stands.
        "06 7800 5000 5d00 ea07 0b 16 09 01 00 ff07",
        // No pressure, or only one.
        "02 ff07 ff07 ff07 ea07 0b 16 09 01 00",
        "02 7800 0008 ff07 ea07 0b 16 09 01 00",
        "02 fe07 5000 5d00 ea07 0b 16 09 01 00",
        // 120/80 read as kPa, and swapped fields.
        "03 7800 5000 5d00 ea07 0b 16 09 01 00",
        "02 5000 7800 5d00 ea07 0b 16 09 01 00",
        // No time; day unknown; no such day; in the future; flags reserved for the future.
        "00 7800 5000 5d00",
        "02 7800 5000 5d00 ea07 0b 00 09 01 00",
        "02 7800 5000 5d00 ea07 0b 1f 09 01 00",
        "02 7800 5000 5d00 ea07 0b 16 0a 01 00",
        "e2 7800 5000 5d00 ea07 0b 16 09 01 00",
        // Too short at each field, and too long.
        "",
        "00 78",
        "00 7800",
        "00 7800 5000",
        "02 7800 5000 5d00 ea07 0b 16 09 01",
        "04 7800 5000 5d00 47",
        "08 7800 5000 5d00",
        "10 7800 5000 5d00 04",
        "00 7800 5000 5d00 04",
    ];
    assert_snapshot!(table(0x2a35, None, &payloads), @r#"
    2026-11-22T08:01:00+00:00 systolic=120 diastolic=80 heart_rate=71 irregular_pulse=1
    2026-11-22T08:01:00+00:00 systolic=120.00992 diastolic=80.256634
    2026-11-22T08:01:00+00:00 systolic=120 diastolic=80 irregular_pulse=0 {"cautions":["body_moved","cuff_loose","wrong_position"]}
    2026-11-22T08:01:00+00:00 systolic=120 diastolic=80
    NotMeasured systolic: the device has no number here but NaN (not a number)
    NotMeasured diastolic: the device has no number here but NRes (not at this resolution)
    NotMeasured systolic: the device has no number here but +INFINITY (above what the device can measure)
    Implausible systolic: 900.0744 mm[Hg] is outside the plausible 40 to 300
    Implausible diastolic: 120 mm[Hg] is not below the systolic 80 mm[Hg]
    NoTime time: the characteristic carries no usable time: publish it to …/gatt/2a35/{unix milliseconds}, with the time of the measurement; a resend has to carry the same time, or it would be stored twice
    NoTime time: the characteristic carries no usable time: publish it to …/gatt/2a35/{unix milliseconds}, with the time of the measurement; a resend has to carry the same time, or it would be stored twice
    InvalidField time: 2026-11-31 09:01:00 is no date and time
    InFuture time: 2026-11-22T09:01:00Z is more than 5 minutes after the message arrived: is the device's clock wrong?
    2026-11-22T08:01:00+00:00 systolic=120 diastolic=80
    Malformed flags: is missing: the payload ends 1 byte(s) too early
    Malformed systolic: is missing: the payload ends 1 byte(s) too early
    Malformed diastolic: is missing: the payload ends 2 byte(s) too early
    Malformed mean: is missing: the payload ends 2 byte(s) too early
    Malformed time: is missing: the payload ends 1 byte(s) too early
    Malformed pulse: is missing: the payload ends 1 byte(s) too early
    Malformed user: is missing: the payload ends 1 byte(s) too early
    Malformed status: is missing: the payload ends 1 byte(s) too early
    Malformed payload: goes on for 1 byte(s) after the fields that its flags announce
    "#);
    // With a time in the topic, that of the device comes first where it has one.
    assert_snapshot!(table(0x2a35, Some(CAPTURED), &payloads[8..12]), @"
    Implausible diastolic: 120 mm[Hg] is not below the systolic 80 mm[Hg]
    2026-11-22T08:09:30.125+00:00 systolic=120 diastolic=80
    2026-11-22T08:09:30.125+00:00 systolic=120 diastolic=80
    InvalidField time: 2026-11-31 09:01:00 is no date and time
    ");
}

#[test]
fn glucose() {
    let payloads = [
        // 126 mg/dL as kg/L, capillary whole blood from a finger, 09:01 local minus 60 minutes.
        "03 0100 ea07 0b 16 09 01 00 c4ff 7eb0 11",
        // 6.1 mmol/L as mol/L, interstitial.
        "06 0100 ea07 0b 16 09 01 00 3dc0 f9",
        // Control solution by location, and by type.
        "06 0100 ea07 0b 16 09 01 00 3dc0 41",
        "06 0100 ea07 0b 16 09 01 00 3dc0 1a",
        // Beyond the meter's range: as a number, as a special value, as no concentration at all.
        "0e 0100 ea07 0b 16 09 01 00 4dc1 11 2000",
        "06 0100 ea07 0b 16 09 01 00 fe07 11",
        "08 0100 ea07 0b 16 09 01 00 4000",
        "00 0100 ea07 0b 16 09 01 00",
        // Sensor faults, and a time fault.
        "0e 0100 ea07 0b 16 09 01 00 3dc0 11 0601",
        "0e 0100 ea07 0b 16 09 01 00 3dc0 11 0008",
        // The time offset ran over.
        "07 0100 ea07 0b 16 09 01 00 ff7f 3dc0 11",
        // Too short, and too long.
        "06 01",
        "06 0100 ea07 0b 16 09",
        "07 0100 ea07 0b 16 09 01 00 c4",
        "06 0100 ea07 0b 16 09 01 00 3d",
        "06 0100 ea07 0b 16 09 01 00 3dc0",
        "0e 0100 ea07 0b 16 09 01 00 3dc0 11 06",
        "16 0100 ea07 0b 16 09 01 00 3dc0 11 06",
    ];
    assert_snapshot!(table(0x2a18, None, &payloads), @r#"
    2026-11-22T07:01:00+00:00 glucose=6.992929 {"sample":"capillary_blood"}
    2026-11-22T08:01:00+00:00 glucose=6.1 {"sample":"interstitial"}
    ControlSolution type_and_location: a control solution was measured, not the patient
    ControlSolution type_and_location: a control solution was measured, not the patient
    2026-11-22T08:01:00+00:00 glucose=33.3 {"sample":"capillary_blood","cautions":["above_range"]}
    NotMeasured glucose: the device has no number here but +INFINITY (above what the device can measure)
    NotMeasured glucose: the measurement carries no concentration but below_range
    NotMeasured glucose: the measurement carries no concentration
    NotMeasured status: the device says that this is no measurement: sensor malfunction, sample too small, sensor too cold
    NoTime time: the characteristic carries no usable time: publish it to …/gatt/2a18/{unix milliseconds}, with the time of the measurement; a resend has to carry the same time, or it would be stored twice
    NoTime time: the characteristic carries no usable time: publish it to …/gatt/2a18/{unix milliseconds}, with the time of the measurement; a resend has to carry the same time, or it would be stored twice
    Malformed sequence: is missing: the payload ends 1 byte(s) too early
    Malformed time: is missing: the payload ends 2 byte(s) too early
    Malformed time_offset: is missing: the payload ends 1 byte(s) too early
    Malformed glucose: is missing: the payload ends 1 byte(s) too early
    Malformed type_and_location: is missing: the payload ends 1 byte(s) too early
    Malformed status: is missing: the payload ends 1 byte(s) too early
    Malformed payload: goes on for 1 byte(s) after the fields that its flags announce
    "#);
    assert_snapshot!(table(0x2a18, Some(CAPTURED), &payloads[9..11]), @r#"
    2026-11-22T08:09:30.125+00:00 glucose=6.1 {"sample":"capillary_blood"}
    2026-11-22T08:09:30.125+00:00 glucose=6.1 {"sample":"capillary_blood"}
    "#);
}

#[test]
fn heart_rate() {
    let payloads = [
        "00 48",
        "01 4800",
        "01 2c01",
        "01 2d01",
        // Contact detected; not supported; supported and not detected.
        "06 48",
        "02 48",
        "04 48",
        // Energy and two intervals.
        "18 48 0a00 0004 1004",
        "10 48",
        // Too short, and too long.
        "",
        "00",
        "01 48",
        "08 48 0a",
        "10 48 000410",
        "00 48 00",
    ];
    assert_snapshot!(table(0x2a37, Some(CAPTURED), &payloads), @"
    2026-11-22T08:09:30.125+00:00 heart_rate=72
    2026-11-22T08:09:30.125+00:00 heart_rate=72
    2026-11-22T08:09:30.125+00:00 heart_rate=300
    Implausible heart_rate: 301 /min is outside the plausible 20 to 300
    2026-11-22T08:09:30.125+00:00 heart_rate=72
    2026-11-22T08:09:30.125+00:00 heart_rate=72
    NotMeasured heart_rate: the sensor has no contact with the skin
    2026-11-22T08:09:30.125+00:00 heart_rate=72
    2026-11-22T08:09:30.125+00:00 heart_rate=72
    Malformed flags: is missing: the payload ends 1 byte(s) too early
    Malformed heart_rate: is missing: the payload ends 1 byte(s) too early
    Malformed heart_rate: is missing: the payload ends 1 byte(s) too early
    Malformed energy: is missing: the payload ends 1 byte(s) too early
    Malformed rr_intervals: ends in the middle of one of its 2-byte values
    Malformed payload: goes on for 1 byte(s) after the fields that its flags announce
    ");
    assert_snapshot!(table(0x2a37, None, &payloads[..1]), @"NoTime time: the characteristic carries no usable time: publish it to …/gatt/2a37/{unix milliseconds}, with the time of the measurement; a resend has to carry the same time, or it would be stored twice");
}

#[test]
fn oximeter() {
    let spot_check = [
        // 97 %, 71 /min; with time, statuses and pulse amplitude.
        "00 6100 4700",
        "0f 6100 4700 ea07 0b 16 09 01 00 8001 300000 0500",
        "00 d3f3 ff07",
        "00 ff07 4700",
        // The clock is not set.
        "11 6100 4700 ea07 0b 16 09 01 00",
        "01 6100 4700 ea07 0b 16 09 01",
        "02 6100 4700 80",
        "04 6100 4700 8000",
        "08 6100 4700 80",
        "00 6100 4700 80",
    ];
    assert_snapshot!(table(0x2a5e, Some(CAPTURED), &spot_check), @r#"
    2026-11-22T08:09:30.125+00:00 spo2=97 heart_rate=71
    2026-11-22T08:01:00+00:00 spo2=97 heart_rate=71 {"cautions":["poor_signal","low_perfusion"]}
    2026-11-22T08:09:30.125+00:00 spo2=97.9
    NotMeasured spo2: the device has no number here but NaN (not a number)
    2026-11-22T08:09:30.125+00:00 spo2=97 heart_rate=71
    Malformed time: is missing: the payload ends 1 byte(s) too early
    Malformed measurement_status: is missing: the payload ends 1 byte(s) too early
    Malformed sensor_status: is missing: the payload ends 1 byte(s) too early
    Malformed pulse_amplitude: is missing: the payload ends 1 byte(s) too early
    Malformed payload: goes on for 1 byte(s) after the fields that its flags announce
    "#);
    assert_snapshot!(table(0x2a5e, None, &spot_check[..2]), @r#"
    NoTime time: the characteristic carries no usable time: publish it to …/gatt/2a5e/{unix milliseconds}, with the time of the measurement; a resend has to carry the same time, or it would be stored twice
    2026-11-22T08:01:00+00:00 spo2=97 heart_rate=71 {"cautions":["poor_signal","low_perfusion"]}
    "#);
    let continuous = [
        "00 6100 4700",
        // Fast and slow averages, statuses, pulse amplitude.
        "1f 6100 4700 6000 4600 6200 4800 8001 000000 0500",
        // Demonstration, test, calibration, unavailable, questionable, invalid.
        "04 6100 4700 0004",
        "04 6100 4700 0008",
        "04 6100 4700 0010",
        "04 6100 4700 0020",
        "04 6100 4700 0040",
        "04 6100 4700 0080",
        // Ongoing, early, validated, fully qualified, from storage.
        "04 6100 4700 e003",
        // Not on the patient; a poor signal.
        "08 6100 4700 000800",
        "08 6100 4700 100000",
        "01 6100 4700 6000",
        "02 6100 4700 6000 46",
        "61",
    ];
    assert_snapshot!(table(0x2a5f, Some(CAPTURED), &continuous), @r#"
    2026-11-22T08:09:30.125+00:00 spo2=97 heart_rate=71
    2026-11-22T08:09:30.125+00:00 spo2=97 heart_rate=71
    NotMeasured measurement_status: the device says that this is no measurement: demonstration
    NotMeasured measurement_status: the device says that this is no measurement: test
    NotMeasured measurement_status: the device says that this is no measurement: calibration
    NotMeasured measurement_status: the device says that this is no measurement: measurement unavailable
    NotMeasured measurement_status: the device says that this is no measurement: questionable measurement
    NotMeasured measurement_status: the device says that this is no measurement: invalid measurement
    2026-11-22T08:09:30.125+00:00 spo2=97 heart_rate=71
    NotMeasured sensor_status: the device says that this is no measurement: sensor not on the patient
    2026-11-22T08:09:30.125+00:00 spo2=97 heart_rate=71 {"cautions":["poor_signal"]}
    Malformed pulse_fast: is missing: the payload ends 2 byte(s) too early
    Malformed pulse_slow: is missing: the payload ends 1 byte(s) too early
    Malformed spo2: is missing: the payload ends 2 byte(s) too early
    "#);
}

#[test]
fn temperature() {
    let payloads = [
        "00 6e0100ff",
        // 100.4 °F, with time, in the ear.
        "07 ec0300ff ea07 0b 16 09 01 00 03",
        "04 2f0100ff 08",
        "00 ffff7f00",
        "00 00008000",
        "00 6e010080",
        "00 6e01007f",
        "00 6e0100",
        "02 6e0100ff ea07",
        "04 6e0100ff",
        "00 6e0100ff 00",
    ];
    assert_snapshot!(table(0x2a1c, Some(CAPTURED), &payloads), @"
    2026-11-22T08:09:30.125+00:00 body_temperature=36.6
    2026-11-22T08:01:00+00:00 body_temperature=38
    Unsupported type: the temperature of a finger or toe is not body temperature
    NotMeasured temperature: the device has no number here but NaN (not a number)
    NotMeasured temperature: the device has no number here but NRes (not at this resolution)
    Implausible temperature: 3.66e-126 Cel is outside the plausible 25 to 45
    Implausible temperature: 3.66e129 Cel is outside the plausible 25 to 45
    Malformed temperature: is missing: the payload ends 1 byte(s) too early
    Malformed time: is missing: the payload ends 5 byte(s) too early
    Malformed type: is missing: the payload ends 1 byte(s) too early
    Malformed payload: goes on for 1 byte(s) after the fields that its flags announce
    ");
    assert_snapshot!(table(0x2a1c, None, &payloads[..2]), @"
    NoTime time: the characteristic carries no usable time: publish it to …/gatt/2a1c/{unix milliseconds}, with the time of the measurement; a resend has to carry the same time, or it would be stored twice
    2026-11-22T08:01:00+00:00 body_temperature=38
    ");
}

#[test]
fn weight() {
    let payloads = [
        "00 b436",
        // 154.30 lb, with time, user, body mass index and height.
        "0f 463c ea07 0b 16 09 01 00 01 e600 7c06",
        "00 ffff",
        "00 0000",
        "00 b4",
        "02 b436 ea07",
        "04 b436",
        "08 b436 e600",
        "00 b436 00",
    ];
    assert_snapshot!(table(0x2a9d, Some(CAPTURED), &payloads), @"
    2026-11-22T08:09:30.125+00:00 body_weight=70.02
    2026-11-22T08:01:00+00:00 body_weight=69.989303
    NotMeasured weight: the scale says that the measurement was unsuccessful
    Implausible weight: 0 kg is outside the plausible 0.4 to 500
    Malformed weight: is missing: the payload ends 1 byte(s) too early
    Malformed time: is missing: the payload ends 5 byte(s) too early
    Malformed user: is missing: the payload ends 1 byte(s) too early
    Malformed height: is missing: the payload ends 2 byte(s) too early
    Malformed payload: goes on for 1 byte(s) after the fields that its flags announce
    ");
}

#[test]
fn other_characteristics_are_not_taken() {
    assert_snapshot!(table(0x2a19, Some(CAPTURED), &["64"]), @"Unsupported the characteristic 2a19 is not taken by this version: expected 2a18 (glucose), 2a1c (temperature), 2a35 (blood pressure), 2a37 (heart rate), 2a5e or 2a5f (pulse oximeter) or 2a9d (weight)");
}

#[test]
fn a_device_east_or_west_measures_at_the_same_instant() {
    let payload = [0x02, 120, 0, 80, 0, 93, 0, 0xea, 7, 11, 22, 0, 30, 0];
    for (offset, expected) in [
        (TimeDelta::zero(), "2026-11-22T00:30:00Z"),
        (TimeDelta::hours(1), "2026-11-21T23:30:00Z"),
        (TimeDelta::minutes(-210), "2026-11-22T04:00:00Z"),
    ] {
        let context = DecodeContext {
            utc_offset: offset,
            ..context()
        };
        let upload = super::decode(0x2a35, None, &payload, &context);
        assert_eq!(upload.readings[0].at, at(expected));
    }
}
