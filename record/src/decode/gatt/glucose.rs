//! 2A18, Glucose Measurement.

use chrono::TimeDelta;

use super::cursor::Cursor;
use super::{Measured, measured, names_of, refuse_if, value};
use crate::decode::Reason;
use crate::decode::collect::Fault;
use crate::{Context, Metric, unit};

const HAS_TIME_OFFSET: u8 = 1 << 0;
const HAS_CONCENTRATION: u8 = 1 << 1;
const MOLES_PER_LITRE: u8 = 1 << 2;
const HAS_STATUS: u8 = 1 << 3;

/// The time offset ran over or under, and says nothing.
const UNKNOWN_OFFSETS: [i16; 2] = [i16::MAX, i16::MIN];

/// Faults of the strip, the sensor or the reading of it (Sensor Status Annunciation).
const FAULTS: [(u32, &str); 8] = [
    (1, "sensor malfunction"),
    (2, "sample too small"),
    (3, "strip insertion error"),
    (4, "wrong strip type"),
    (7, "sensor too hot"),
    (8, "sensor too cold"),
    (9, "strip pulled too soon"),
    (10, "device fault"),
];
/// The number is the edge of what the meter can measure; the true one is beyond it. It is kept, because
/// beyond is where a patient needs somebody.
const CAUTIONS: [(u32, &str); 2] = [(5, "above_range"), (6, "below_range")];
const TIME_FAULT: u16 = 1 << 11;

/// The glucose concentration, and what it was measured in.
pub(super) fn read(mut cursor: Cursor<'_>) -> Result<Measured, Fault> {
    let flags = cursor.u8("flags")?;
    let _sequence = cursor.u16("sequence")?;
    let mut time = cursor.date_time("time")?;
    if flags & HAS_TIME_OFFSET != 0 {
        let offset = cursor.i16("time_offset")?;
        let known = !UNKNOWN_OFFSETS.contains(&offset);
        let offset = TimeDelta::minutes(offset.into());
        time = time
            .filter(|_| known)
            .and_then(|time| time.checked_add_signed(offset));
    }
    let mut concentration = None;
    if flags & HAS_CONCENTRATION != 0 {
        let number = cursor.sfloat("glucose")?;
        concentration = Some((number, cursor.u8("type_and_location")?));
    }
    let mut status = 0;
    if flags & HAS_STATUS != 0 {
        status = cursor.u16("status")?;
    }
    cursor.finish()?;

    refuse_if("status", status.into(), &FAULTS)?;
    if status & TIME_FAULT != 0 {
        time = None;
    }
    let cautions = names_of(status.into(), &CAUTIONS);
    let Some((number, type_and_location)) = concentration else {
        let text = match cautions.is_empty() {
            true => "the measurement carries no concentration".into(),
            false => format!(
                "the measurement carries no concentration but {}",
                cautions.join(", ")
            ),
        };
        return Err(Fault::new("glucose", Reason::NotMeasured, text));
    };
    let sample = sample(type_and_location)?;
    let number = measured("glucose", number)?;
    // 1 kg/L is 100,000 mg/dL, and 1 mol/L is 1,000 mmol/L.
    let glucose = match flags & MOLES_PER_LITRE {
        0 => unit::mg_per_dl_to_mmol_per_l(number.times_ten_to(5).value()),
        _ => number.times_ten_to(3).value(),
    };
    let context = Context {
        sample: sample.map(Into::into),
        cautions,
        ..Context::default()
    };
    Ok(Measured {
        time,
        values: vec![value("glucose", Metric::Glucose, glucose)],
        context,
    })
}

/// What was measured: the type is in the low four bits, the location in the high four. Both can say that
/// it was a control solution.
fn sample(type_and_location: u8) -> Result<Option<&'static str>, Fault> {
    const CONTROL_SOLUTION_TYPE: u8 = 10;
    const CONTROL_SOLUTION_LOCATION: u8 = 4;
    let (kind, location) = (type_and_location & 0xf, type_and_location >> 4);
    if kind == CONTROL_SOLUTION_TYPE || location == CONTROL_SOLUTION_LOCATION {
        let text = "a control solution was measured, not the patient";
        return Err(Fault::new("type_and_location", Reason::ControlSolution, text));
    }
    Ok(match kind {
        1 => Some("capillary_blood"),
        2 => Some("capillary_plasma"),
        3 => Some("venous_blood"),
        4 => Some("venous_plasma"),
        5 => Some("arterial_blood"),
        6 => Some("arterial_plasma"),
        7 => Some("blood"),
        8 => Some("plasma"),
        9 => Some("interstitial"),
        _ => None,
    })
}
