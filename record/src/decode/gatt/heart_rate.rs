//! 2A37, Heart Rate Measurement.

use super::cursor::Cursor;
use super::{Measured, value};
use crate::decode::Reason;
use crate::decode::collect::Fault;
use crate::{Context, Metric};

const SIXTEEN_BITS: u8 = 1 << 0;
const CONTACT_DETECTED: u8 = 1 << 1;
const CONTACT_SUPPORTED: u8 = 1 << 2;
const HAS_ENERGY: u8 = 1 << 3;
const HAS_INTERVALS: u8 = 1 << 4;

/// The heart rate. Carries no time of its own.
pub(super) fn read(mut cursor: Cursor<'_>) -> Result<Measured, Fault> {
    let flags = cursor.u8("flags")?;
    let rate = match flags & SIXTEEN_BITS {
        0 => cursor.u8("heart_rate")?.into(),
        _ => cursor.u16("heart_rate")?,
    };
    if flags & HAS_ENERGY != 0 {
        cursor.u16("energy")?;
    }
    if flags & HAS_INTERVALS != 0 {
        cursor.list_of_u16("rr_intervals")?;
    }
    cursor.finish()?;

    if flags & CONTACT_SUPPORTED != 0 && flags & CONTACT_DETECTED == 0 {
        let text = "the sensor has no contact with the skin";
        return Err(Fault::new("heart_rate", Reason::NotMeasured, text));
    }
    Ok(Measured {
        time: None,
        values: vec![value("heart_rate", Metric::HeartRate, rate.into())],
        context: Context::default(),
    })
}
