//! MQTT packets, as far as the tests need them. Written out rather than taken from a library, because a test
//! must be able to send what no library would, and must not share the broker's mistakes.

use std::collections::BTreeMap;

/// The protocol version of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// MQTT 3.1.1.
    V4,
    /// MQTT 5.
    V5,
}

impl Version {
    pub(crate) const BOTH: [Version; 2] = [Version::V4, Version::V5];
}

// Reason codes of MQTT 5, section 2.4. A PUBACK of 3.1.1 has none and reads as `STORED`.
pub(crate) const STORED: u8 = 0x00;
pub(crate) const STORED_EARLIER: u8 = 0x10;
pub(crate) const NOT_AUTHORIZED: u8 = 0x87;
pub(crate) const QUOTA_EXCEEDED: u8 = 0x97;
pub(crate) const PAYLOAD_INVALID: u8 = 0x99;

/// A packet: its first byte, the length of the rest, and the rest.
pub(crate) fn packet(byte1: u8, rest: impl AsRef<[u8]>) -> Vec<u8> {
    let rest = rest.as_ref();
    let mut out = vec![byte1];
    out.extend(variable(rest.len()));
    out.extend(rest);
    out
}

/// A variable byte integer.
pub(crate) fn variable(mut number: usize) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let low = u8::try_from(number % 128).unwrap();
        number /= 128;
        out.push(if number > 0 { low | 0x80 } else { low });
        if number == 0 {
            return out;
        }
    }
}

/// A text, or binary data, with its length before it.
pub(crate) fn text(text: impl AsRef<[u8]>) -> Vec<u8> {
    let text = text.as_ref();
    let mut out = u16::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    out.extend(text);
    out
}

/// A property list, for MQTT 5 only.
fn properties(version: Version, properties: &[u8]) -> Vec<u8> {
    match version {
        Version::V4 => Vec::new(),
        Version::V5 => [variable(properties.len()), properties.to_vec()].concat(),
    }
}

/// A CONNECT packet.
#[derive(Clone, Debug)]
pub(crate) struct Connect {
    pub(crate) version: Version,
    pub(crate) client_id: String,
    pub(crate) user_name: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) keep_alive: u16,
    pub(crate) will: Option<Will>,
    /// The MQTT 5 properties, encoded.
    pub(crate) properties: Vec<u8>,
}

/// What a client leaves to be published when its connection breaks.
#[derive(Clone, Debug)]
pub(crate) struct Will {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
}

impl Connect {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut flags = 0b10;
        if self.user_name.is_some() {
            flags |= 0x80;
        }
        if self.password.is_some() {
            flags |= 0x40;
        }
        if let Some(will) = &self.will {
            flags |= 0x04 | will.qos << 3 | u8::from(will.retain) << 5;
        }
        let level = if self.version == Version::V5 { 5 } else { 4 };
        let mut rest = text("MQTT");
        rest.extend([level, flags]);
        rest.extend(self.keep_alive.to_be_bytes());
        rest.extend(properties(self.version, &self.properties));
        rest.extend(text(&self.client_id));
        if let Some(will) = &self.will {
            rest.extend(properties(self.version, &[]));
            rest.extend(text(&will.topic));
            rest.extend(text(&will.payload));
        }
        rest.extend(self.user_name.iter().flat_map(text));
        rest.extend(self.password.iter().flat_map(text));
        packet(0x10, rest)
    }
}

/// A PUBLISH packet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Publish {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: u8,
    pub(crate) packet: u16,
    pub(crate) dup: bool,
    pub(crate) retain: bool,
    /// The MQTT 5 properties, encoded.
    pub(crate) properties: Vec<u8>,
}

impl Publish {
    /// A message of QoS 1.
    pub(crate) fn new(packet: u16, topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Publish {
        Publish {
            topic: topic.into(),
            payload: payload.into(),
            qos: 1,
            packet,
            ..Publish::default()
        }
    }

    pub(crate) fn encode(&self, version: Version) -> Vec<u8> {
        let byte1 = 0x30 | u8::from(self.dup) << 3 | self.qos << 1 | u8::from(self.retain);
        let mut rest = text(&self.topic);
        if self.qos > 0 {
            rest.extend(self.packet.to_be_bytes());
        }
        rest.extend(properties(version, &self.properties));
        rest.extend(&self.payload);
        packet(byte1, rest)
    }
}

/// A SUBSCRIBE packet that asks for QoS 1.
pub(crate) fn subscribe(version: Version, packet_id: u16, property_list: &[u8], filters: &[&str]) -> Vec<u8> {
    let mut rest = packet_id.to_be_bytes().to_vec();
    rest.extend(properties(version, property_list));
    for filter in filters {
        rest.extend(text(filter));
        rest.push(1);
    }
    packet(0x82, rest)
}

/// An UNSUBSCRIBE packet.
pub(crate) fn unsubscribe(version: Version, packet_id: u16, filters: &[&str]) -> Vec<u8> {
    let mut rest = packet_id.to_be_bytes().to_vec();
    rest.extend(properties(version, &[]));
    rest.extend(filters.iter().flat_map(text));
    packet(0xa2, rest)
}

/// A PINGREQ packet.
pub(crate) fn ping() -> Vec<u8> {
    packet(0xc0, [])
}

/// A DISCONNECT packet that takes the will back.
pub(crate) fn disconnect() -> Vec<u8> {
    packet(0xe0, [])
}

/// A packet from the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    ConnAck(ConnAck),
    PubAck { packet: u16, reason: u8 },
    SubAck { packet: u16, codes: Vec<u8> },
    UnsubAck { packet: u16, codes: Vec<u8> },
    Publish { topic: String, payload: Vec<u8> },
    PingResp,
    Disconnect { reason: u8 },
}

/// A CONNACK packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConnAck {
    pub(crate) session_present: bool,
    pub(crate) code: u8,
    /// Properties that are numbers, by their identifier (MQTT 5, section 2.2.2.2).
    pub(crate) properties: BTreeMap<u8, u32>,
}

impl Incoming {
    /// Takes the first packet out of `received`, if all of it is there.
    pub(crate) fn take(received: &mut Vec<u8>, version: Version) -> Option<Incoming> {
        let mut reader = Reader(received);
        let byte1 = reader.number(1)?;
        let length = reader.variable()?;
        let body = reader.bytes(length)?.to_vec();
        let consumed = received.len() - reader.0.len();
        received.drain(..consumed);
        let decoded = Incoming::decode(u8::try_from(byte1).unwrap(), Reader(&body), version);
        Some(decoded.unwrap_or_else(|| panic!("the broker sent a malformed packet: {byte1:#x} {body:x?}")))
    }

    fn decode(byte1: u8, mut body: Reader<'_>, version: Version) -> Option<Incoming> {
        let v5 = version == Version::V5;
        let incoming = match byte1 {
            0x20 => Incoming::ConnAck(ConnAck {
                session_present: body.byte()? != 0,
                code: body.byte()?,
                properties: if v5 { body.properties()? } else { BTreeMap::new() },
            }),
            0x40 => Incoming::PubAck {
                packet: body.short()?,
                // MQTT 5 leaves the reason out where it is 0, and the properties where there are none.
                reason: if v5 && !body.0.is_empty() { body.byte()? } else { 0 },
            },
            0x90 | 0xb0 => {
                let packet = body.short()?;
                if v5 {
                    body.properties()?;
                }
                let codes = std::mem::take(&mut body.0).to_vec();
                match byte1 {
                    0x90 => Incoming::SubAck { packet, codes },
                    _ => Incoming::UnsubAck { packet, codes },
                }
            }
            // The broker publishes with QoS 0 only, and never a retained message.
            0x30 => {
                let length = usize::from(body.short()?);
                let topic = String::from_utf8(body.bytes(length)?.to_vec()).ok()?;
                if v5 {
                    body.properties()?;
                }
                Incoming::Publish {
                    topic,
                    payload: std::mem::take(&mut body.0).to_vec(),
                }
            }
            0xd0 => Incoming::PingResp,
            0xe0 if v5 => Incoming::Disconnect {
                reason: if body.0.is_empty() { 0 } else { body.byte()? },
            },
            _ => return None,
        };
        if matches!(byte1, 0x40 | 0xe0) && !body.0.is_empty() {
            body.properties()?;
        }
        body.0.is_empty().then_some(incoming)
    }
}

/// Bytes that are still to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self, width: usize) -> Option<u32> {
        let bytes = self.bytes(width)?;
        Some(
            bytes
                .iter()
                .fold(0, |number, byte| number << 8 | u32::from(*byte)),
        )
    }

    fn byte(&mut self) -> Option<u8> {
        self.number(1).and_then(|number| u8::try_from(number).ok())
    }

    fn short(&mut self) -> Option<u16> {
        self.number(2).and_then(|number| u16::try_from(number).ok())
    }

    fn variable(&mut self) -> Option<usize> {
        let mut number = 0;
        for shift in [0, 7, 14, 21] {
            let byte = usize::from(self.byte()?);
            number |= (byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        panic!("the broker sent a length of more than four bytes");
    }

    /// The numbers of a property list; properties that are texts are skipped.
    fn properties(&mut self) -> Option<BTreeMap<u8, u32>> {
        let length = self.variable()?;
        let mut list = Reader(self.bytes(length)?);
        let mut numbers = BTreeMap::new();
        while !list.0.is_empty() {
            let identifier = list.byte()?;
            let width = match identifier {
                0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2a => 1,
                0x13 | 0x21 | 0x22 | 0x23 => 2,
                0x02 | 0x11 | 0x18 | 0x27 => 4,
                0x12 | 0x15 | 0x16 | 0x1a | 0x1c | 0x1f => {
                    let length = usize::from(list.short()?);
                    list.bytes(length)?;
                    continue;
                }
                _ => panic!("the broker sent a property that the tests do not know: {identifier:#x}"),
            };
            numbers.insert(identifier, list.number(width)?);
        }
        Some(numbers)
    }
}
