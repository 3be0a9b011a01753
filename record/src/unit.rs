//! Conversions between the units that devices speak and those in which readings are stored.
//!
//! A converted value is rounded to a millionth of its unit. That is far below what any device resolves,
//! and it removes the binary noise of the arithmetic: without it, 100.4 °F would be 38.00000000000001 Cel
//! and fall on the wrong side of a rule's "38.0 or less".

/// Milligrams of glucose per decilitre in one millimole per litre.
///
/// Source: molar mass of glucose, 180.182 g/mol, as used by the International Consensus on Time in Range
/// (2019).
pub const MG_PER_DL_PER_MMOL_PER_L: f64 = 18.0182;

/// Millimetres of mercury in one kilopascal.
///
/// Source: the conventional millimetre of mercury, 133.322 Pa (BIPM, The International System of Units,
/// 8th edition, table 8), to six digits.
pub const MMHG_PER_KPA: f64 = 7.50062;

/// Kilograms in one avoirdupois pound, exactly.
///
/// Source: international yard and pound agreement, 1959; NIST Special Publication 811, appendix B.
pub const KG_PER_POUND: f64 = 0.453_592_37;

/// Glucose: mg/dL to mmol/L.
pub fn mg_per_dl_to_mmol_per_l(value: f64) -> f64 {
    round(value / MG_PER_DL_PER_MMOL_PER_L)
}

/// Glucose: mmol/L to mg/dL.
pub fn mmol_per_l_to_mg_per_dl(value: f64) -> f64 {
    round(value * MG_PER_DL_PER_MMOL_PER_L)
}

/// Pressure: kPa to mm\[Hg\].
pub fn kpa_to_mmhg(value: f64) -> f64 {
    round(value * MMHG_PER_KPA)
}

/// Pressure: mm\[Hg\] to kPa.
pub fn mmhg_to_kpa(value: f64) -> f64 {
    round(value / MMHG_PER_KPA)
}

/// Temperature: \[degF\] to Cel. Source: NIST Special Publication 811, appendix B: t/°C = (t/°F − 32)/1.8.
pub fn fahrenheit_to_celsius(value: f64) -> f64 {
    round((value - 32.0) * 5.0 / 9.0)
}

/// Temperature: Cel to \[degF\].
pub fn celsius_to_fahrenheit(value: f64) -> f64 {
    round(value * 9.0 / 5.0 + 32.0)
}

/// Mass: \[lb_av\] to kg.
pub fn pounds_to_kg(value: f64) -> f64 {
    round(value * KG_PER_POUND)
}

/// Mass: kg to \[lb_av\].
pub fn kg_to_pounds(value: f64) -> f64 {
    round(value / KG_PER_POUND)
}

/// To the nearest millionth: dividing a whole number by a power of ten gives the double that is nearest to
/// the decimal, the same one that a parser makes of it.
fn round(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_values() {
        let table: [(f64, f64); 14] = [
            (fahrenheit_to_celsius(98.6), 37.0),
            (fahrenheit_to_celsius(100.4), 38.0),
            (fahrenheit_to_celsius(113.0), 45.0),
            (fahrenheit_to_celsius(77.0), 25.0),
            (celsius_to_fahrenheit(36.6), 97.88),
            (mg_per_dl_to_mmol_per_l(126.0), 6.992929),
            (mg_per_dl_to_mmol_per_l(900.91), 50.0),
            (mmol_per_l_to_mg_per_dl(10.0), 180.182),
            (kpa_to_mmhg(16.0), 120.00992),
            (kpa_to_mmhg(40.0), 300.0248),
            (mmhg_to_kpa(120.0), 15.998677),
            (pounds_to_kg(1.0), 0.453592),
            (pounds_to_kg(154.3), 69.989303),
            (kg_to_pounds(70.0), 154.323584),
        ];
        for (converted, expected) in table {
            assert_eq!(converted, expected);
        }
    }

    #[test]
    fn whole_milligrams_survive_the_record() {
        for mg_per_dl in 10..=900 {
            let value = f64::from(mg_per_dl);
            let back = mmol_per_l_to_mg_per_dl(mg_per_dl_to_mmol_per_l(value));
            assert!((back - value).abs() < 2e-5, "{value} came back as {back}");
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        assert!(fahrenheit_to_celsius(f64::NAN).is_nan());
        assert_eq!(kpa_to_mmhg(f64::MAX), f64::INFINITY);
    }

    proptest! {
        #[test]
        fn conversions_lead_back(value in 0.1..1_000.0f64) {
            type Conversion = fn(f64) -> f64;
            let pairs: [(Conversion, Conversion); 4] = [
                (mg_per_dl_to_mmol_per_l, mmol_per_l_to_mg_per_dl),
                (kpa_to_mmhg, mmhg_to_kpa),
                (fahrenheit_to_celsius, celsius_to_fahrenheit),
                (pounds_to_kg, kg_to_pounds),
            ];
            for (there, back) in pairs {
                prop_assert!((back(there(value)) - value).abs() < 2e-5);
                prop_assert!((there(back(value)) - value).abs() < 2e-5);
            }
        }

        #[test]
        fn conversions_keep_the_order(a in 0.0..1_000.0f64, b in 0.0..1_000.0f64) {
            for convert in [mg_per_dl_to_mmol_per_l, kpa_to_mmhg, fahrenheit_to_celsius, pounds_to_kg] {
                prop_assert_eq!(a <= b, convert(a) <= convert(b) && !(a > b && convert(a) == convert(b)));
            }
        }
    }
}
