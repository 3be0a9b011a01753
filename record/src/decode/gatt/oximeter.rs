//! 2A5E, PLX Spot-Check Measurement, and 2A5F, PLX Continuous Measurement.

use chrono::NaiveDateTime;

use super::cursor::Cursor;
use super::float::{Decimal, Special};
use super::{Measured, measured, names_of, refuse_if, value};
use crate::decode::collect::Fault;
use crate::{Context, Metric};

/// Measurement Status: what is none of a patient, or none at all.
const MEASUREMENT_FAULTS: [(u32, &str); 6] = [
    (10, "demonstration"),
    (11, "test"),
    (12, "calibration"),
    (13, "measurement unavailable"),
    (14, "questionable measurement"),
    (15, "invalid measurement"),
];
/// Device and Sensor Status: the sensor is not on the patient, or broken.
const SENSOR_FAULTS: [(u32, &str); 6] = [
    (1, "equipment malfunction"),
    (7, "no pulse in the signal"),
    (11, "sensor not on the patient"),
    (13, "sensor displaced"),
    (14, "sensor malfunction"),
    (15, "sensor disconnected"),
];
/// Device and Sensor Status: a number that deserves a second look.
const CAUTIONS: [(u32, &str); 6] = [
    (2, "irregular_signal_processing"),
    (3, "inadequate_signal"),
    (4, "poor_signal"),
    (5, "low_perfusion"),
    (6, "erratic_signal"),
    (8, "questionable_pulse"),
];

/// A single measurement, with its time where the device has a clock and the clock is set.
pub(super) fn read_spot_check(mut cursor: Cursor<'_>) -> Result<Measured, Fault> {
    const HAS_TIME: u8 = 1 << 0;
    const HAS_MEASUREMENT_STATUS: u8 = 1 << 1;
    const HAS_SENSOR_STATUS: u8 = 1 << 2;
    const HAS_PULSE_AMPLITUDE: u8 = 1 << 3;
    const CLOCK_NOT_SET: u8 = 1 << 4;
    let flags = cursor.u8("flags")?;
    let spo2 = cursor.sfloat("spo2")?;
    let pulse = cursor.sfloat("pulse")?;
    let mut time = None;
    if flags & HAS_TIME != 0 {
        time = cursor.date_time("time")?;
    }
    let status = read_status(
        &mut cursor,
        flags & HAS_MEASUREMENT_STATUS != 0,
        flags & HAS_SENSOR_STATUS != 0,
    )?;
    if flags & HAS_PULSE_AMPLITUDE != 0 {
        let _ = cursor.sfloat("pulse_amplitude")?;
    }
    cursor.finish()?;
    if flags & CLOCK_NOT_SET != 0 {
        time = None;
    }
    oximetry(time, spo2, pulse, status)
}

/// A value of a running measurement; of its three averages, the normal one. Carries no time of its own.
pub(super) fn read_continuous(mut cursor: Cursor<'_>) -> Result<Measured, Fault> {
    const HAS_FAST: u8 = 1 << 0;
    const HAS_SLOW: u8 = 1 << 1;
    const HAS_MEASUREMENT_STATUS: u8 = 1 << 2;
    const HAS_SENSOR_STATUS: u8 = 1 << 3;
    const HAS_PULSE_AMPLITUDE: u8 = 1 << 4;
    let flags = cursor.u8("flags")?;
    let spo2 = cursor.sfloat("spo2")?;
    let pulse = cursor.sfloat("pulse")?;
    if flags & HAS_FAST != 0 {
        let _ = (cursor.sfloat("spo2_fast")?, cursor.sfloat("pulse_fast")?);
    }
    if flags & HAS_SLOW != 0 {
        let _ = (cursor.sfloat("spo2_slow")?, cursor.sfloat("pulse_slow")?);
    }
    let status = read_status(
        &mut cursor,
        flags & HAS_MEASUREMENT_STATUS != 0,
        flags & HAS_SENSOR_STATUS != 0,
    )?;
    if flags & HAS_PULSE_AMPLITUDE != 0 {
        let _ = cursor.sfloat("pulse_amplitude")?;
    }
    cursor.finish()?;
    oximetry(None, spo2, pulse, status)
}

struct Status {
    measurement: u16,
    sensor: u32,
}

fn read_status(cursor: &mut Cursor<'_>, measurement: bool, sensor: bool) -> Result<Status, Fault> {
    let mut status = Status {
        measurement: 0,
        sensor: 0,
    };
    if measurement {
        status.measurement = cursor.u16("measurement_status")?;
    }
    if sensor {
        status.sensor = cursor.u24("sensor_status")?;
    }
    Ok(status)
}

fn oximetry(
    time: Option<NaiveDateTime>,
    spo2: Result<Decimal, Special>,
    pulse: Result<Decimal, Special>,
    status: Status,
) -> Result<Measured, Fault> {
    refuse_if(
        "measurement_status",
        status.measurement.into(),
        &MEASUREMENT_FAULTS,
    )?;
    refuse_if("sensor_status", status.sensor, &SENSOR_FAULTS)?;
    let spo2 = measured("spo2", spo2)?;
    let mut values = vec![value("spo2", Metric::Spo2, spo2.value())];
    if let Ok(pulse) = pulse {
        values.push(value("pulse", Metric::HeartRate, pulse.value()));
    }
    let context = Context {
        cautions: names_of(status.sensor, &CAUTIONS),
        ..Context::default()
    };
    Ok(Measured {
        time,
        values,
        context,
    })
}
