use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A text that is not an identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is not an identifier: expected a positive whole number without sign or leading zeros")]
pub struct ParseIdError {
    given: String,
}

macro_rules! identifiers {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
        )]
        #[serde(transparent)]
        #[schema(value_type = i64, minimum = 1)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<i64> for $name {
            fn from(number: i64) -> $name {
                $name(number)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse_canonical(text).map($name).ok_or_else(|| ParseIdError { given: text.chars().take(40).collect() })
            }
        }
    )*};
}

identifiers! {
    /// A patient of this record. Not the NHS number, which never leaves the record in topics or logs.
    PatientId;
    /// A device known to this record. In decimal it is the device's MQTT user name, its client id and the
    /// third level of its topics.
    DeviceId;
    /// One version of one rule of a patient's care plan.
    RuleId;
    /// One episode: the time in which a patient's readings met the condition of one rule.
    EpisodeId;
}

/// Exactly one text names an identifier, so that two texts never mean the same device.
fn parse_canonical(text: &str) -> Option<i64> {
    let canonical = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    canonical.then(|| text.parse().ok()).flatten()
}

/// An NHS number: ten digits, the last of them a check digit.
///
/// Source: NHS Data Model and Dictionary, NHS NUMBER; modulus 11 with weights 10…2.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String)]
pub struct NhsNumber(String);

/// Why a text is not an NHS number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NhsNumberError {
    /// Not ten digits (spaces and dashes between them are allowed).
    #[error("an NHS number has ten digits; this text has {digits} digits and {others} other characters")]
    Shape {
        /// Digits found.
        digits: usize,
        /// Characters that are neither digits nor separators.
        others: usize,
    },
    /// The tenth digit does not fit the first nine.
    #[error("the NHS number's check digit does not fit: is one digit mistyped, or are two swapped?")]
    CheckDigit,
}

impl NhsNumber {
    /// The ten digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number whose first nine digits are those of `stem`, or `None` where no check digit fits them.
    /// For simulated patients: numbers that begin with 999 belong to nobody.
    pub fn from_stem(stem: u32) -> Option<NhsNumber> {
        let nine = format!("{stem:09}");
        let check = check_digit(nine.as_bytes())?;
        (nine.len() == 9).then(|| NhsNumber(format!("{nine}{check}")))
    }
}

impl FromStr for NhsNumber {
    type Err = NhsNumberError;

    fn from_str(text: &str) -> Result<Self, NhsNumberError> {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let others = text
            .chars()
            .filter(|c| !c.is_ascii_digit() && !matches!(c, ' ' | '-'))
            .count();
        if digits.len() != 10 || others > 0 {
            return Err(NhsNumberError::Shape {
                digits: digits.len(),
                others,
            });
        }
        let (nine, last) = digits.as_bytes().split_at(9);
        match check_digit(nine) {
            Some(check) if check == last[0] - b'0' => Ok(NhsNumber(digits)),
            _ => Err(NhsNumberError::CheckDigit),
        }
    }
}

impl TryFrom<String> for NhsNumber {
    type Error = NhsNumberError;

    fn try_from(text: String) -> Result<Self, NhsNumberError> {
        text.parse()
    }
}

impl From<NhsNumber> for String {
    fn from(number: NhsNumber) -> String {
        number.0
    }
}

/// Shows the last three digits only: NHS numbers stay out of logs, also by accident.
impl fmt::Debug for NhsNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NhsNumber(…{})", &self.0[7..])
    }
}

fn check_digit(nine: &[u8]) -> Option<u8> {
    let sum: u32 = nine
        .iter()
        .zip((2..=10).rev())
        .map(|(digit, weight)| u32::from(digit - b'0') * weight)
        .sum();
    match 11 - sum % 11 {
        11 => Some(0),
        10 => None,
        check => u8::try_from(check).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_has_one_spelling() {
        assert_eq!("1017".parse(), Ok(DeviceId(1017)));
        assert_eq!(DeviceId(1017).to_string(), "1017");
        for wrong in [
            "",
            "0",
            "01",
            "+1",
            "-1",
            " 1",
            "1 ",
            "1/2",
            "١",
            "9223372036854775808",
        ] {
            assert!(wrong.parse::<DeviceId>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn nhs_numbers_are_checked() {
        for right in ["943 476 5919", "9434765919", "943-476-5919", "9990000018"] {
            assert!(right.parse::<NhsNumber>().is_ok(), "{right}");
        }
        let shape = |digits, others| Err(NhsNumberError::Shape { digits, others });
        assert_eq!("9434765918".parse::<NhsNumber>(), Err(NhsNumberError::CheckDigit));
        assert_eq!("943476591".parse::<NhsNumber>(), shape(9, 0));
        assert_eq!("943476591x".parse::<NhsNumber>(), shape(9, 1));
        assert_eq!("94347659190".parse::<NhsNumber>(), shape(11, 0));
    }

    #[test]
    fn a_stem_gives_a_valid_number_or_none() {
        let numbers: Vec<_> = (999_000_000..999_001_000)
            .filter_map(NhsNumber::from_stem)
            .collect();
        assert!(numbers.len() > 850, "about one stem in eleven has no check digit");
        for number in numbers {
            assert_eq!(number.as_str().parse(), Ok(number.clone()));
        }
    }

    #[test]
    fn an_nhs_number_is_not_shown_whole() {
        let number: NhsNumber = "9434765919".parse().unwrap();
        assert_eq!(format!("{number:?}"), "NhsNumber(…919)");
    }
}
