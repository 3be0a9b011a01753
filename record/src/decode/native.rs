//! The native JSON format: `{"readings": [{"type": …, "at": …, …}, …]}`.
//!
//! A message is read twice at most. The fast way reads it in one pass, with texts borrowed from its bytes,
//! and gives up at the first thing that does not fit. The slow way then cuts it into its measurements and
//! reads each alone, so that one that is wrong does not take the others with it. Both give what they read
//! to the same [`measure`].

mod item;
mod measure;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use self::item::ItemSeed;
use super::collect::{Collector, Fault, quote};
use super::{DecodeContext, MAX_READINGS, Reason, Upload};

pub(super) fn decode(payload: &[u8], context: &DecodeContext) -> Upload {
    let text = match std::str::from_utf8(payload) {
        Ok(text) => text,
        Err(error) => {
            let detail = format!("the payload is not UTF-8 from byte {} on", error.valid_up_to());
            return Upload::refused(Reason::Malformed, detail);
        }
    };
    fast(text, context).unwrap_or_else(|| slow(text, context))
}

/// Reads a message all of whose measurements can be read; otherwise nothing.
pub(super) fn fast(text: &str, context: &DecodeContext) -> Option<Upload> {
    /// The shortest measurement that can be right has about this many bytes.
    const SHORTEST: usize = 64;
    let mut collector = Collector::new(context, (text.len() / SHORTEST).min(MAX_READINGS));
    let mut json = serde_json::Deserializer::from_str(text);
    let count = MessageSeed(&mut collector).deserialize(&mut json).ok()?;
    json.end().ok()?;
    (count > 0).then(|| collector.finish())
}

/// Reads any message, measurement by measurement.
pub(super) fn slow(text: &str, context: &DecodeContext) -> Upload {
    /// The measurements of a message, cut out but not read.
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Message<'a> {
        #[serde(borrow)]
        readings: Vec<&'a RawValue>,
    }
    // Serde's derived readers would take an array for the object.
    if !text.trim_start().starts_with('{') {
        return Upload::refused(Reason::Malformed, "the message is not a JSON object");
    }
    let items = match serde_json::from_str::<Message<'_>>(text) {
        Ok(message) => message.readings,
        Err(error) => {
            let detail = format!("the message cannot be read: {}", shorten(&error.to_string()));
            return Upload::refused(Reason::Malformed, detail);
        }
    };
    if items.is_empty() {
        return Upload::refused(Reason::InvalidField, "readings: holds no reading");
    }
    if items.len() > MAX_READINGS {
        let detail = format!("readings: holds {}; the most is {MAX_READINGS}", items.len());
        return Upload::refused(Reason::TooLarge, detail);
    }
    let mut collector = Collector::new(context, items.len());
    for (index, raw) in items.into_iter().enumerate() {
        let mut field = None;
        let mut json = serde_json::Deserializer::from_str(raw.get());
        let taken = match (ItemSeed { fault: &mut field }).deserialize(&mut json) {
            Ok(item) => measure::measure(&item, &mut collector),
            Err(error) => Err(unreadable(field, &error)),
        };
        if let Err(fault) = taken {
            collector.reject(Some(index), fault);
        }
    }
    collector.finish()
}

/// What is wrong with a measurement that could not be read.
fn unreadable(field: Option<String>, error: &serde_json::Error) -> Fault {
    let field = field.map(|name| {
        let plain = name.len() <= 40 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if plain { name } else { quote(&name) }
    });
    let text = error.to_string();
    // The line and column count from the measurement's own beginning, which helps nobody.
    let text = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(head, _)| head);
    Fault::new(field.unwrap_or_default(), Reason::InvalidField, shorten(text))
}

/// Serde quotes what it found at its full length, which the sender chooses. Its end says what was expected.
fn shorten(text: &str) -> String {
    const HALF: usize = 100;
    if text.len() <= 2 * HALF {
        return text.into();
    }
    let head = &text[..text.floor_char_boundary(HALF)];
    let tail = &text[text.ceil_char_boundary(text.len() - HALF)..];
    format!("{head} … {tail}")
}

/// Reads a whole message into the collector and says how many measurements it holds.
struct MessageSeed<'s, 'c>(&'s mut Collector<'c>);

impl<'de> DeserializeSeed<'de> for MessageSeed<'_, '_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for MessageSeed<'_, '_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<usize, A::Error> {
        match map.next_key::<&str>()? {
            Some("readings") => {}
            _ => return Err(de::Error::missing_field("readings")),
        }
        let count = map.next_value_seed(ItemsSeed(self.0))?;
        match map.next_key::<&str>()? {
            None => Ok(count),
            Some(_) => Err(de::Error::custom("a second field")),
        }
    }
}

struct ItemsSeed<'s, 'c>(&'s mut Collector<'c>);

impl<'de> DeserializeSeed<'de> for ItemsSeed<'_, '_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ItemsSeed<'_, '_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<usize, A::Error> {
        let mut count = 0;
        while let Some(item) = items.next_element_seed(ItemSeed { fault: &mut None })? {
            if count == MAX_READINGS {
                return Err(de::Error::custom("too many readings"));
            }
            if let Err(fault) = measure::measure(&item, self.0) {
                self.0.reject(Some(count), fault);
            }
            count += 1;
        }
        Ok(count)
    }
}
