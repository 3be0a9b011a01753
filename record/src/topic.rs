use std::fmt;

use chrono::{DateTime, Utc};

use crate::DeviceId;

/// The topic to which a device publishes: `v1/devices/{device}/…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceTopic {
    /// Whose topic it is, by its own claim.
    pub device: DeviceId,
    /// What the payload is.
    pub kind: PayloadKind,
}

/// What the payload of a message is, as its topic says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadKind {
    /// `…/readings`: native JSON.
    Readings,
    /// `…/gatt/{uuid16}` or `…/gatt/{uuid16}/{captured}`: the bytes of a Bluetooth health characteristic.
    Gatt {
        /// The characteristic's 16-bit number, four hexadecimal digits in the topic.
        characteristic: u16,
        /// When a gateway captured it, Unix milliseconds in the topic: the time of a measurement whose
        /// characteristic carries none.
        captured: Option<DateTime<Utc>>,
    },
    /// `…/omh`: an Open mHealth data point.
    Omh,
    /// `…/fhir`: a FHIR R4 Observation or Bundle.
    Fhir,
}

/// Why a topic is not one to which a device publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the topic is none to publish to: expected v1/devices/{{device}}/readings, …/gatt/{{uuid16}}, \
     …/gatt/{{uuid16}}/{{unix milliseconds}}, …/omh or …/fhir"
)]
pub struct TopicError;

impl DeviceTopic {
    /// Reads a topic name. There is one spelling for each topic, but for the case of a characteristic's
    /// hexadecimal digits.
    pub fn parse(topic: &str) -> Result<DeviceTopic, TopicError> {
        let (device, rest) = topic
            .strip_prefix("v1/devices/")
            .and_then(|t| t.split_once('/'))
            .ok_or(TopicError)?;
        let device = device.parse().map_err(|_| TopicError)?;
        let mut levels = rest.split('/');
        let kind = match (levels.next(), levels.next(), levels.next(), levels.next()) {
            (Some("readings"), None, ..) => PayloadKind::Readings,
            (Some("omh"), None, ..) => PayloadKind::Omh,
            (Some("fhir"), None, ..) => PayloadKind::Fhir,
            (Some("gatt"), Some(uuid), captured, None) => PayloadKind::Gatt {
                characteristic: parse_uuid16(uuid).ok_or(TopicError)?,
                captured: captured
                    .map(|text| parse_millis(text).ok_or(TopicError))
                    .transpose()?,
            },
            _ => return Err(TopicError),
        };
        Ok(DeviceTopic { device, kind })
    }
}

impl fmt::Display for DeviceTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v1/devices/{}/", self.device)?;
        match self.kind {
            PayloadKind::Readings => f.write_str("readings"),
            PayloadKind::Omh => f.write_str("omh"),
            PayloadKind::Fhir => f.write_str("fhir"),
            PayloadKind::Gatt {
                characteristic,
                captured: None,
            } => write!(f, "gatt/{characteristic:04x}"),
            PayloadKind::Gatt {
                characteristic,
                captured: Some(at),
            } => {
                write!(f, "gatt/{characteristic:04x}/{}", at.timestamp_millis())
            }
        }
    }
}

/// Four hexadecimal digits, in either case: gateways print them either way.
fn parse_uuid16(text: &str) -> Option<u16> {
    let digits = text.len() == 4 && text.bytes().all(|b| b.is_ascii_hexdigit());
    digits.then(|| u16::from_str_radix(text, 16).ok()).flatten()
}

/// Up to the year 5138, without leading zeros.
fn parse_millis(text: &str) -> Option<DateTime<Utc>> {
    let digits = (1..=14).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'));
    digits
        .then(|| text.parse().ok().and_then(DateTime::from_timestamp_millis))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_lead_back() {
        for topic in ["readings", "omh", "fhir", "gatt/2a35", "gatt/2a37/1764000000123"]
            .map(|t| format!("v1/devices/17/{t}"))
        {
            let parsed = DeviceTopic::parse(&topic).unwrap();
            assert_eq!(parsed.device, DeviceId(17));
            assert_eq!(parsed.to_string(), topic);
        }
    }

    #[test]
    fn nothing_else_is_a_topic() {
        let wrong = [
            "",
            "v1/devices/17",
            "v1/devices/17/",
            "v1/devices/17/readings/",
            "v1/devices/017/readings",
            "#",
            "v1/devices/+/readings",
            "v1/devices/17/errors",
            "v1/devices/17/gatt",
            "v1/devices/17/gatt/2a3",
            "v1/devices/17/gatt/+2a3",
            "v1/devices/17/gatt/2a37/x",
            "v1/devices/17/gatt/2a37/",
            "v1/devices/17/gatt/2a37/01764000000123",
            "v1/devices/17/gatt/2a37/176400000012345",
            "v1/devices/17/gatt/2a37/1/1",
            "/v1/devices/17/readings",
            "$SYS/x",
            "$share/g/v1/devices/17/readings",
            "V1/devices/17/readings",
        ];
        for topic in wrong {
            assert_eq!(DeviceTopic::parse(topic), Err(TopicError), "{topic:?}");
        }
    }
}
