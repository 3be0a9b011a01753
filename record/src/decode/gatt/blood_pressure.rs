//! 2A35, Blood Pressure Measurement.

use super::cursor::Cursor;
use super::float::Decimal;
use super::{Measured, measured, names_of, value};
use crate::decode::collect::Fault;
use crate::{Context, Metric, unit};

const KILOPASCAL: u8 = 1 << 0;
const HAS_TIME: u8 = 1 << 1;
const HAS_PULSE: u8 = 1 << 2;
const HAS_USER: u8 = 1 << 3;
const HAS_STATUS: u8 = 1 << 4;

const IRREGULAR_PULSE: u16 = 1 << 2;
const CAUTIONS: [(u32, &str); 3] = [(0, "body_moved"), (1, "cuff_loose"), (5, "wrong_position")];

/// Systolic and diastolic, the pulse where it is given, and whether it was irregular where the cuff has a
/// status to say so. The mean pressure is not stored: it is a cuff's own estimate that no rule uses.
pub(super) fn read(mut cursor: Cursor<'_>) -> Result<Measured, Fault> {
    let flags = cursor.u8("flags")?;
    let systolic = cursor.sfloat("systolic")?;
    let diastolic = cursor.sfloat("diastolic")?;
    let _mean = cursor.sfloat("mean")?;
    let mut time = None;
    if flags & HAS_TIME != 0 {
        time = cursor.date_time("time")?;
    }
    let mut pulse = None;
    if flags & HAS_PULSE != 0 {
        pulse = cursor.sfloat("pulse")?.ok();
    }
    if flags & HAS_USER != 0 {
        cursor.u8("user")?;
    }
    let mut status = None;
    if flags & HAS_STATUS != 0 {
        status = Some(cursor.u16("status")?);
    }
    cursor.finish()?;

    let stored = |pressure: Decimal| match flags & KILOPASCAL {
        0 => pressure.value(),
        _ => unit::kpa_to_mmhg(pressure.value()),
    };
    let systolic = stored(measured("systolic", systolic)?);
    let diastolic = stored(measured("diastolic", diastolic)?);
    let mut values = vec![
        value("systolic", Metric::Systolic, systolic),
        value("diastolic", Metric::Diastolic, diastolic),
    ];
    if let Some(pulse) = pulse {
        values.push(value("pulse", Metric::HeartRate, pulse.value()));
    }
    if let Some(status) = status {
        let irregular = f64::from(status & IRREGULAR_PULSE != 0);
        values.push(value("status", Metric::IrregularPulse, irregular));
    }
    let context = Context {
        cautions: names_of(status.unwrap_or(0).into(), &CAUTIONS),
        ..Context::default()
    };
    Ok(Measured {
        time,
        values,
        context,
    })
}
