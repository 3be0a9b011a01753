//! What a device says of its own battery, which is no reading of a patient.

use super::{Reason, Rejection};

/// The Bluetooth characteristic Battery Level (Battery Service 1.1): how full the battery is, in percent.
pub const BATTERY_LEVEL: u16 = 0x2a19;

/// Reads a Battery Level: one byte, from 0 to 100.
///
/// # Errors
///
/// When it is anything else.
pub fn battery_level(payload: &[u8]) -> Result<u8, Rejection> {
    match payload {
        [percent @ 0..=100] => Ok(*percent),
        [other] => {
            let detail = format!("the battery is {other} % full: expected 0 to 100");
            Err(Rejection::new(None, Reason::Implausible, detail))
        }
        _ => {
            let detail = format!(
                "a battery level (2a19) has one byte, and this has {}",
                payload.len()
            );
            Err(Rejection::new(None, Reason::Malformed, detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_a_percentage() {
        for (payload, expected) in [
            (&[0][..], Ok(0)),
            (&[100], Ok(100)),
            (&[101], Err(Reason::Implausible)),
            (&[], Err(Reason::Malformed)),
            (&[50, 0], Err(Reason::Malformed)),
        ] {
            let read = battery_level(payload).map_err(|rejection| rejection.reason);
            assert_eq!(read, expected, "{payload:?}");
        }
    }
}
