//! The JSON of one measurement, read field by field.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, Visitor};

/// One measurement as the message has it: fields of the right JSON type, not yet looked at. A field that is
/// `null` counts as absent.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Item<'a> {
    /// The fields that are present, as a set of [`Field::bit`].
    pub(super) present: u16,
    pub(super) kind: Option<Text<'a>>,
    pub(super) at: Option<Text<'a>>,
    pub(super) from: Option<Text<'a>>,
    pub(super) value: Option<Scalar<'a>>,
    pub(super) unit: Option<Text<'a>>,
    pub(super) systolic: Option<Number>,
    pub(super) diastolic: Option<Number>,
    pub(super) pulse: Option<Number>,
    pub(super) irregular_pulse: Option<bool>,
    pub(super) sample: Option<Text<'a>>,
    pub(super) meal: Option<Text<'a>>,
}

/// The fields that a measurement can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Type,
    At,
    From,
    Value,
    Unit,
    Systolic,
    Diastolic,
    Pulse,
    IrregularPulse,
    Sample,
    Meal,
}

impl Field {
    pub(super) const ALL: [Field; 11] = [
        Field::Type,
        Field::At,
        Field::From,
        Field::Value,
        Field::Unit,
        Field::Systolic,
        Field::Diastolic,
        Field::Pulse,
        Field::IrregularPulse,
        Field::Sample,
        Field::Meal,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Field::Type => "type",
            Field::At => "at",
            Field::From => "from",
            Field::Value => "value",
            Field::Unit => "unit",
            Field::Systolic => "systolic",
            Field::Diastolic => "diastolic",
            Field::Pulse => "pulse",
            Field::IrregularPulse => "irregular_pulse",
            Field::Sample => "sample",
            Field::Meal => "meal",
        }
    }

    pub(super) fn bit(self) -> u16 {
        1 << self as u16
    }

    fn named(name: &str) -> Option<Field> {
        Field::ALL.into_iter().find(|field| field.name() == name)
    }
}

/// Reads an [`Item`]. Where that fails, `fault` names the field, if it is one field's fault; serde's own
/// errors do not say. Only JSON objects are read: serde's derived readers take arrays as well.
pub(super) struct ItemSeed<'f> {
    pub(super) fault: &'f mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for ItemSeed<'_> {
    type Value = Item<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Item<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ItemSeed<'_> {
    type Value = Item<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item<'de>, A::Error> {
        let mut item = Item::default();
        let mut named = 0;
        while let Some(key) = map.next_key::<Key>()? {
            let field = match key {
                Key::Known(field) => field,
                Key::Unknown(name) => {
                    *self.fault = Some(name);
                    return Err(de::Error::custom("is no field of a reading"));
                }
            };
            let read = if named & field.bit() == 0 {
                named |= field.bit();
                item.read(field, &mut map)
            } else {
                Err(de::Error::custom("is given twice"))
            };
            read.inspect_err(|_| *self.fault = Some(field.name().into()))?;
        }
        Ok(item)
    }
}

impl<'de> Item<'de> {
    fn read<A: MapAccess<'de>>(&mut self, field: Field, map: &mut A) -> Result<(), A::Error> {
        let present = match field {
            Field::Type => store(&mut self.kind, map),
            Field::At => store(&mut self.at, map),
            Field::From => store(&mut self.from, map),
            Field::Value => store(&mut self.value, map),
            Field::Unit => store(&mut self.unit, map),
            Field::Systolic => store(&mut self.systolic, map),
            Field::Diastolic => store(&mut self.diastolic, map),
            Field::Pulse => store(&mut self.pulse, map),
            Field::IrregularPulse => store(&mut self.irregular_pulse, map),
            Field::Sample => store(&mut self.sample, map),
            Field::Meal => store(&mut self.meal, map),
        }?;
        if present {
            self.present |= field.bit();
        }
        Ok(())
    }
}

fn store<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    slot: &mut Option<T>,
    map: &mut A,
) -> Result<bool, A::Error> {
    *slot = map.next_value()?;
    Ok(slot.is_some())
}

enum Key {
    Known(Field),
    Unknown(String),
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field name")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Key, E> {
                Ok(Field::named(name).map_or_else(|| Key::Unknown(name.into()), Key::Known))
            }
        }
        deserializer.deserialize_identifier(KeyVisitor)
    }
}

/// A JSON string, borrowed from the message unless it holds escapes.
#[derive(Debug, PartialEq)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text<'a>, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.into())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// A JSON number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number(pub(super) f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Number, D::Error> {
        struct NumberVisitor;
        impl Visitor<'_> for NumberVisitor {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Number, E> {
                Ok(Number(value))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }
        }
        deserializer.deserialize_f64(NumberVisitor)
    }
}

/// A JSON number or string: what `value` has to be depends on the type, which may come after it.
#[derive(Debug, PartialEq)]
pub(super) enum Scalar<'a> {
    Number(f64),
    Text(Text<'a>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Scalar<'a>, D::Error> {
        struct ScalarVisitor;
        impl<'de> Visitor<'de> for ScalarVisitor {
            type Value = Scalar<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or a text")
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Number(value))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Number(value as f64))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Number(value as f64))
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(Text(Cow::Borrowed(text))))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(Text(Cow::Owned(text.into()))))
            }
        }
        deserializer.deserialize_any(ScalarVisitor)
    }
}
