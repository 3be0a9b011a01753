//! 2A1C, Temperature Measurement.

use super::cursor::Cursor;
use super::{Measured, measured, value};
use crate::decode::Reason;
use crate::decode::collect::Fault;
use crate::{Context, Metric, unit};

const FAHRENHEIT: u8 = 1 << 0;
const HAS_TIME: u8 = 1 << 1;
const HAS_TYPE: u8 = 1 << 2;

/// Body temperature. A finger's or a toe's is the skin's, degrees below the body's: judged as body
/// temperature it would look like hypothermia.
pub(super) fn read(mut cursor: Cursor<'_>) -> Result<Measured, Fault> {
    const FINGER: u8 = 4;
    const TOE: u8 = 8;
    let flags = cursor.u8("flags")?;
    let temperature = cursor.float("temperature")?;
    let mut time = None;
    if flags & HAS_TIME != 0 {
        time = cursor.date_time("time")?;
    }
    let mut site = None;
    if flags & HAS_TYPE != 0 {
        site = Some(cursor.u8("type")?);
    }
    cursor.finish()?;

    if let Some(FINGER | TOE) = site {
        let text = "the temperature of a finger or toe is not body temperature";
        return Err(Fault::new("type", Reason::Unsupported, text));
    }
    let temperature = measured("temperature", temperature)?.value();
    let temperature = match flags & FAHRENHEIT {
        0 => temperature,
        _ => unit::fahrenheit_to_celsius(temperature),
    };
    Ok(Measured {
        time,
        values: vec![value("temperature", Metric::BodyTemperature, temperature)],
        context: Context::default(),
    })
}
