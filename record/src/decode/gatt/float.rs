//! The decimal floating-point numbers of health devices: SFLOAT (16 bits) and FLOAT (32 bits).
//!
//! Source: IEEE 11073-20601, annex F.7 and F.8; Bluetooth GATT Specification Supplement, "medfloat16" and
//! "medfloat32".

/// A number as the device has it: mantissa × 10^exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    pub(super) mantissa: i32,
    pub(super) exponent: i32,
}

/// The powers of ten that a double holds exactly, as it holds every mantissa: one multiplication or division
/// of the two rounds once, to the nearest.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// What a device puts where it has no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Special {
    NotANumber,
    NotAtThisResolution,
    PlusInfinity,
    MinusInfinity,
    Reserved,
}

impl Special {
    pub(super) fn name(self) -> &'static str {
        match self {
            Special::NotANumber => "NaN (not a number)",
            Special::NotAtThisResolution => "NRes (not at this resolution)",
            Special::PlusInfinity => "+INFINITY (above what the device can measure)",
            Special::MinusInfinity => "-INFINITY (below what the device can measure)",
            Special::Reserved => "a reserved value",
        }
    }
}

impl Decimal {
    /// The double nearest to the number, the same that a parser makes of its decimal spelling.
    pub(super) fn value(self) -> f64 {
        let mantissa = f64::from(self.mantissa);
        let power = POWERS.get(self.exponent.unsigned_abs() as usize);
        match power {
            // Dividing by 10 is exact where multiplying by 0.1 is not: 1234e-1 is 123.4.
            Some(power) if self.exponent < 0 => mantissa / power,
            Some(power) => mantissa * power,
            // Far outside of what anything measures.
            None => format!("{}e{}", self.mantissa, self.exponent)
                .parse()
                .unwrap_or(f64::NAN),
        }
    }

    /// The number times a power of ten, for a change to a unit that differs by nothing else.
    pub(super) fn times_ten_to(self, power: i32) -> Decimal {
        Decimal {
            exponent: self.exponent + power,
            ..self
        }
    }
}

/// Reads the 16-bit form: 4 bits of exponent, 12 bits of mantissa, both signed.
pub(super) fn sfloat(raw: u16) -> Result<Decimal, Special> {
    match raw {
        0x07ff => Err(Special::NotANumber),
        0x0800 => Err(Special::NotAtThisResolution),
        0x07fe => Err(Special::PlusInfinity),
        0x0802 => Err(Special::MinusInfinity),
        0x0801 => Err(Special::Reserved),
        _ => {
            let signed = raw.cast_signed();
            Ok(Decimal {
                // Shifting to the top and back repeats the sign bit.
                mantissa: i32::from((signed << 4) >> 4),
                exponent: i32::from(signed >> 12),
            })
        }
    }
}

/// Reads the 32-bit form: 8 bits of exponent, 24 bits of mantissa, both signed.
pub(super) fn float(raw: u32) -> Result<Decimal, Special> {
    match raw {
        0x007f_ffff => Err(Special::NotANumber),
        0x0080_0000 => Err(Special::NotAtThisResolution),
        0x007f_fffe => Err(Special::PlusInfinity),
        0x0080_0002 => Err(Special::MinusInfinity),
        0x0080_0001 => Err(Special::Reserved),
        _ => {
            let signed = raw.cast_signed();
            Ok(Decimal {
                mantissa: (signed << 8) >> 8,
                exponent: signed >> 24,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_sfloats() {
        let table = [
            (0x0000, 0.0),
            (0x0078, 120.0),
            (0xf4d2, 123.4),
            (0xf16e, 36.6),
            (0xb07e, 126e-5),
            (0xc03d, 61e-4),
            (0x1001, 10.0),
            (0x0fff, -1.0),
            (0x7001, 1e7),
            (0x8001, 1e-8),
            // Special only with exponent 0.
            (0xf7ff, 204.7),
            (0xf800, -204.8),
        ];
        for (raw, value) in table {
            assert_eq!(sfloat(raw).map(Decimal::value), Ok(value), "{raw:#06x}");
        }
        let special = [
            (0x07ff, Special::NotANumber),
            (0x0800, Special::NotAtThisResolution),
            (0x07fe, Special::PlusInfinity),
            (0x0802, Special::MinusInfinity),
            (0x0801, Special::Reserved),
        ];
        for (raw, name) in special {
            assert_eq!(sfloat(raw), Err(name), "{raw:#06x}");
        }
    }

    #[test]
    fn known_floats() {
        let table = [
            (0x0000_0000, 0.0),
            (0xff00_016e, 36.6),
            (0xfe00_0e4c, 36.6),
            (0x0000_0025, 37.0),
            (0xff00_03da, 98.6),
            (0x00ff_ffff, -1.0),
            (0x0100_0004, 40.0),
            (0xff7f_ffff, 838_860.7),
        ];
        for (raw, value) in table {
            assert_eq!(float(raw).map(Decimal::value), Ok(value), "{raw:#010x}");
        }
        let special = [
            (0x007f_ffff, Special::NotANumber),
            (0x0080_0000, Special::NotAtThisResolution),
            (0x007f_fffe, Special::PlusInfinity),
            (0x0080_0002, Special::MinusInfinity),
            (0x0080_0001, Special::Reserved),
        ];
        for (raw, name) in special {
            assert_eq!(float(raw), Err(name), "{raw:#010x}");
        }
    }

    #[test]
    fn every_sfloat_is_its_decimal() {
        for raw in 0..=u16::MAX {
            let Ok(decimal) = sfloat(raw) else { continue };
            let back = (decimal.exponent << 12) | (decimal.mantissa & 0xfff);
            assert_eq!(back & 0xffff, i32::from(raw));
            let spelled = format!("{}e{}", decimal.mantissa, decimal.exponent);
            assert_eq!(decimal.value(), spelled.parse::<f64>().unwrap(), "{spelled}");
        }
    }

    proptest! {
        #[test]
        fn a_float_is_its_decimal(raw: u32, power in -8..8) {
            if let Ok(decimal) = float(raw) {
                let spelled = format!("{}e{}", decimal.mantissa, decimal.exponent + power);
                prop_assert_eq!(decimal.times_ten_to(power).value(), spelled.parse::<f64>().unwrap());
            }
        }
    }
}
