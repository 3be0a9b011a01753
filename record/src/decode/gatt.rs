//! The bytes of Bluetooth health characteristics, as a gateway reads them from a device and passes them on.
//!
//! Source of the layouts: Bluetooth GATT Specification Supplement, and the services' specifications (Blood
//! Pressure, Glucose, Heart Rate, Pulse Oximeter, Health Thermometer, Weight Scale). Bits that they
//! reserve for future use are ignored, as they say.
//!
//! A message is one measurement, taken whole or not at all. A value that the device marks as having none
//! (NaN and its kin) refuses the measurement where the measurement is about that value; a pulse that
//! comes beside it is left out then, as if the device had not sent it.

mod blood_pressure;
mod cursor;
mod float;
mod glucose;
mod heart_rate;
mod oximeter;
#[cfg(test)]
mod round_trip;
mod temperature;
#[cfg(test)]
mod tests;
mod weight;

use chrono::{DateTime, NaiveDateTime, Utc};

use self::cursor::Cursor;
use self::float::{Decimal, Special};
use super::collect::{Collector, Fault, Value};
use super::{DecodeContext, Reason, Upload};
use crate::{Context, Metric};

/// What a characteristic says.
struct Measured {
    /// The device's local time, where it knows it.
    time: Option<NaiveDateTime>,
    values: Vec<Value<'static>>,
    context: Context,
}

pub(super) fn decode(
    characteristic: u16,
    captured: Option<DateTime<Utc>>,
    payload: &[u8],
    context: &DecodeContext,
) -> Upload {
    let read = match characteristic {
        0x2a18 => glucose::read,
        0x2a1c => temperature::read,
        0x2a35 => blood_pressure::read,
        0x2a37 => heart_rate::read,
        0x2a5e => oximeter::read_spot_check,
        0x2a5f => oximeter::read_continuous,
        0x2a9d => weight::read,
        _ => {
            let detail = format!(
                "the characteristic {characteristic:04x} is not taken by this version: expected 2a18 \
                 (glucose), 2a1c (temperature), 2a35 (blood pressure), 2a37 (heart rate), 2a5e or 2a5f \
                 (pulse oximeter) or 2a9d (weight)"
            );
            return Upload::refused(Reason::Unsupported, detail);
        }
    };
    let mut collector = Collector::new(context, 4);
    let taken = read(Cursor::new(payload)).and_then(|measured| {
        let time = time(characteristic, measured.time, captured, context)?;
        collector.measurement(time, &measured.values, measured.context)
    });
    if let Err(fault) = taken {
        collector.reject(None, fault);
    }
    collector.finish()
}

/// When it was measured, and where that is said.
///
/// The time of arrival is never taken instead: a message that is sent again arrives at another time, and
/// would be stored twice.
fn time(
    characteristic: u16,
    local: Option<NaiveDateTime>,
    captured: Option<DateTime<Utc>>,
    context: &DecodeContext,
) -> Result<(&'static str, DateTime<Utc>), Fault> {
    let time = local.and_then(|local| local.checked_sub_signed(context.utc_offset));
    match (time, captured) {
        (Some(time), _) => Ok(("time", time.and_utc())),
        (None, Some(captured)) => Ok(("captured", captured)),
        (None, None) => {
            let text = format!(
                "the characteristic carries no usable time: publish it to \
                 …/gatt/{characteristic:04x}/{{unix milliseconds}}, with the time of the measurement; a \
                 resend has to carry the same time, or it would be stored twice"
            );
            Err(Fault::new("time", Reason::NoTime, text))
        }
    }
}

fn value(field: &'static str, metric: Metric, value: f64) -> Value<'static> {
    Value { metric, value, field }
}

/// The number of a field without which there is no measurement.
fn measured(field: &'static str, read: Result<Decimal, Special>) -> Result<Decimal, Fault> {
    read.map_err(|special| {
        let text = format!("the device has no number here but {}", special.name());
        Fault::new(field, Reason::NotMeasured, text)
    })
}

/// The names of the bits that are set.
fn names_of(status: u32, names: &[(u32, &'static str)]) -> Vec<String> {
    let set = |(bit, _): &&(u32, _)| status & (1 << bit) != 0;
    names.iter().filter(set).map(|(_, name)| (*name).into()).collect()
}

/// Refuses what the device itself says is no measurement of a patient.
fn refuse_if(field: &'static str, status: u32, faults: &[(u32, &'static str)]) -> Result<(), Fault> {
    let said = names_of(status, faults);
    if said.is_empty() {
        return Ok(());
    }
    let text = format!("the device says that this is no measurement: {}", said.join(", "));
    Err(Fault::new(field, Reason::NotMeasured, text))
}
