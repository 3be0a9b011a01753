//! 2A9D, Weight Measurement.

use super::cursor::Cursor;
use super::{Measured, value};
use crate::decode::Reason;
use crate::decode::collect::Fault;
use crate::{Context, Metric, unit};

const IMPERIAL: u8 = 1 << 0;
const HAS_TIME: u8 = 1 << 1;
const HAS_USER: u8 = 1 << 2;
const HAS_BMI_AND_HEIGHT: u8 = 1 << 3;

/// Body weight. Its body mass index is not stored: it follows from weight and height.
pub(super) fn read(mut cursor: Cursor<'_>) -> Result<Measured, Fault> {
    const UNSUCCESSFUL: u16 = 0xffff;
    let flags = cursor.u8("flags")?;
    let raw = cursor.u16("weight")?;
    let mut time = None;
    if flags & HAS_TIME != 0 {
        time = cursor.date_time("time")?;
    }
    if flags & HAS_USER != 0 {
        cursor.u8("user")?;
    }
    if flags & HAS_BMI_AND_HEIGHT != 0 {
        cursor.u16("bmi")?;
        cursor.u16("height")?;
    }
    cursor.finish()?;

    if raw == UNSUCCESSFUL {
        let text = "the scale says that the measurement was unsuccessful";
        return Err(Fault::new("weight", Reason::NotMeasured, text));
    }
    // Steps of 0.005 kg or 0.01 lb; dividing rounds once, multiplying by either would round twice.
    let weight = match flags & IMPERIAL {
        0 => f64::from(raw) / 200.0,
        _ => unit::pounds_to_kg(f64::from(raw) / 100.0),
    };
    Ok(Measured {
        time,
        values: vec![value("weight", Metric::BodyWeight, weight)],
        context: Context::default(),
    })
}
