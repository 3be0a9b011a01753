//! JSON as the formats of others have it: a tree to walk with the path of each place, for faults that name it.
//!
//! Stricter than serde's own: a field that is given twice is refused, since readers differ in which one they
//! take. The tree of a message is a few times its size at most, whatever the bytes.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::collect::{Fault, quote};
use super::{Reason, Upload};

/// The most fields that an object may have. A FHIR Observation has about 40; it bounds the search for fields
/// that are given twice.
const MAX_FIELDS: usize = 128;

/// A JSON value, with texts borrowed from the message unless they hold escapes.
#[derive(Debug, PartialEq)]
pub(crate) enum Json<'m> {
    Null,
    Bool(bool),
    Number(f64),
    Text(Cow<'m, str>),
    Array(Vec<Json<'m>>),
    Object(Vec<(Cow<'m, str>, Json<'m>)>),
}

impl<'m> Json<'m> {
    /// Reads a message, which has to be one JSON object; or refuses it whole.
    pub(crate) fn parse(payload: &'m [u8]) -> Result<Json<'m>, Upload> {
        let refused = |detail: String| Err(Upload::refused(Reason::Malformed, detail));
        match serde_json::from_slice::<Json<'m>>(payload) {
            Ok(json @ Json::Object(_)) => Ok(json),
            Ok(_) => refused("the message is not a JSON object".into()),
            Err(error) => refused(format!("the message cannot be read: {error}")),
        }
    }
}

/// A value and the path that leads to it from the top of the message, like `entry[3].resource.status`.
#[derive(Clone, Debug)]
pub(crate) struct Node<'j> {
    json: &'j Json<'j>,
    path: String,
}

impl<'j> Node<'j> {
    /// The top of a message.
    pub(crate) fn top(json: &'j Json<'j>) -> Node<'j> {
        Node {
            json,
            path: String::new(),
        }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// What is wrong here.
    pub(crate) fn fault(&self, reason: Reason, text: impl Into<String>) -> Fault {
        Fault::new(self.path.clone(), reason, text)
    }

    /// What is wrong with a field of this object.
    pub(crate) fn fault_in(&self, field: &str, reason: Reason, text: impl Into<String>) -> Fault {
        Fault::new(self.path_of(field), reason, text)
    }

    /// The fields of an object, in their order.
    fn fields(&self) -> Result<&'j [(Cow<'j, str>, Json<'j>)], Fault> {
        match self.json {
            Json::Object(fields) => Ok(fields),
            _ => Err(self.fault(Reason::InvalidField, "has to be an object")),
        }
    }

    /// A field of an object; none where it is absent or null.
    pub(crate) fn get(&self, field: &str) -> Result<Option<Node<'j>>, Fault> {
        let found = self.fields()?.iter().find(|(name, _)| name == field);
        Ok(found.and_then(|(_, json)| {
            (*json != Json::Null).then(|| Node {
                json,
                path: self.path_of(field),
            })
        }))
    }

    /// A field that has to be there.
    pub(crate) fn require(&self, field: &str) -> Result<Node<'j>, Fault> {
        self.get(field)?
            .ok_or_else(|| self.fault_in(field, Reason::InvalidField, "is missing"))
    }

    /// The names of the object's fields.
    pub(crate) fn names(&self) -> Result<impl Iterator<Item = &'j str> + use<'j>, Fault> {
        Ok(self.fields()?.iter().map(|(name, _)| name.as_ref()))
    }

    /// Refuses fields that the object may not have.
    pub(crate) fn only(&self, allowed: impl Fn(&str) -> bool, what: &str) -> Result<(), Fault> {
        match self.names()?.find(|name| !allowed(name)) {
            None => Ok(()),
            Some(name) => {
                let plain = name.len() <= 60 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
                let name = if plain { name.to_owned() } else { quote(name) };
                Err(self.fault_in(&name, Reason::InvalidField, format!("is no field of {what}")))
            }
        }
    }

    pub(crate) fn text(&self) -> Result<&'j str, Fault> {
        match self.json {
            Json::Text(text) => Ok(text),
            _ => Err(self.fault(Reason::InvalidField, "has to be a text")),
        }
    }

    pub(crate) fn number(&self) -> Result<f64, Fault> {
        match self.json {
            Json::Number(number) => Ok(*number),
            _ => Err(self.fault(Reason::InvalidField, "has to be a number, without quotes")),
        }
    }

    pub(crate) fn boolean(&self) -> Result<bool, Fault> {
        match self.json {
            Json::Bool(value) => Ok(*value),
            _ => Err(self.fault(Reason::InvalidField, "has to be true or false")),
        }
    }

    /// The items of an array.
    pub(crate) fn items(&self) -> Result<Vec<Node<'j>>, Fault> {
        let Json::Array(items) = self.json else {
            return Err(self.fault(Reason::InvalidField, "has to be an array"));
        };
        let node = |(index, json)| Node {
            json,
            path: format!("{}[{index}]", self.path),
        };
        Ok(items.iter().enumerate().map(node).collect())
    }

    /// The items of an array in a field; none where the field is absent.
    pub(crate) fn list(&self, field: &str) -> Result<Vec<Node<'j>>, Fault> {
        self.get(field)?.map_or(Ok(Vec::new()), |list| list.items())
    }

    /// A text that has to be one of these.
    pub(crate) fn one_of(&self, choices: &[&'static str]) -> Result<&'static str, Fault> {
        let given = self.text()?;
        choices
            .iter()
            .find(|choice| **choice == given)
            .copied()
            .ok_or_else(|| {
                let text = format!("{} is not one of {}", quote(given), choices.join(", "));
                self.fault(Reason::InvalidField, text)
            })
    }

    fn path_of(&self, field: &str) -> String {
        match self.path.as_str() {
            "" => field.into(),
            path => format!("{path}.{field}"),
        }
    }
}

impl<'de: 'm, 'm> Deserialize<'de> for Json<'m> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json<'m>, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.into())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json<'de>, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json<'de>, A::Error> {
        let mut fields: Vec<(Cow<'de, str>, Json<'de>)> = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
            if fields.iter().any(|(earlier, _)| *earlier == name) {
                return Err(de::Error::custom(format_args!("{} is given twice", quote(&name))));
            }
            if fields.len() == MAX_FIELDS {
                return Err(de::Error::custom(format_args!(
                    "an object has more than {MAX_FIELDS} fields"
                )));
            }
            fields.push((name, map.next_value()?));
        }
        Ok(Json::Object(fields))
    }
}

/// The name of a field: serde's own reader of a `Cow` never borrows.
struct Name<'m>(Cow<'m, str>);

impl<'de: 'm, 'm> Deserialize<'de> for Name<'m> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Name<'m>, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a field")
            }

            fn visit_borrowed_str<E: de::Error>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.into())))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_single_object_is_refused() {
        let deep = format!("{}1{}", r#"{"a":["#.repeat(100), "]}".repeat(100));
        let wide: String = (0..=MAX_FIELDS).map(|n| format!("\"f{n}\":1,")).collect();
        let table = [
            ("[]", "not a JSON object"),
            ("7", "not a JSON object"),
            ("", "EOF while parsing"),
            ("{} {}", "trailing characters"),
            (r#"{"value": 5, "value": 50}"#, "\"value\" is given twice"),
            (r#"{"a": [{"v\u0061l": 5, "val": 50}]}"#, "\"val\" is given twice"),
            (r#"{"a": NaN}"#, "expected value"),
            (r#"{"a": 1e999}"#, "number out of range"),
            (deep.as_str(), "recursion limit"),
            (&format!("{{{wide}\"z\":1}}"), "more than 128 fields"),
        ];
        for (payload, expected) in table {
            let upload = Json::parse(payload.as_bytes()).unwrap_err();
            assert_eq!(upload.rejected[0].reason, Reason::Malformed);
            let detail = &upload.rejected[0].detail;
            assert!(detail.contains(expected), "{payload}: {detail}");
        }
        let upload = Json::parse(&[b'{', b'"', 0xff, b'"']).unwrap_err();
        assert_eq!(upload.rejected[0].reason, Reason::Malformed);
    }

    #[test]
    fn a_fault_names_its_place() {
        let json = Json::parse(br#"{"a": [{"b": {"c": "x"}}, null], "n": null}"#).unwrap();
        let top = Node::top(&json);
        assert!(top.get("n").unwrap().is_none());
        assert_eq!(top.require("n").unwrap_err().field, "n");
        let b = top.list("a").unwrap()[0].require("b").unwrap();
        assert_eq!(b.path(), "a[0].b");
        assert_eq!(b.require("c").unwrap().number().unwrap_err().field, "a[0].b.c");
        assert_eq!(b.only(|name| name == "d", "this").unwrap_err().field, "a[0].b.c");
        assert_eq!(b.require("c").unwrap().one_of(&["x", "y"]).unwrap(), "x");
    }
}
