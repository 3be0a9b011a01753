//! What the process has to say to one connection, as the payload of a publish on the connection's control
//! topic. The router carries it like any message, and so wakes the connection's task; the guard turns it
//! into the packets that the device sees.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// One message to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// PUBACKs: packet identifier and MQTT 5 reason code.
    PubAcks(Vec<(u16, u8)>),
    /// SUBACK with its MQTT 5 reason codes.
    SubAck(u16, Vec<u8>),
    /// UNSUBACK with its MQTT 5 reason codes.
    UnsubAck(u16, Vec<u8>),
    /// A publish to the device on one of its own topics.
    Deliver(Downlink, Bytes),
    /// The end of the connection, with the MQTT 5 reason code of DISCONNECT.
    Close(u8),
    /// Nothing: makes the connection's task look at what it has.
    Wake,
}

/// The topics that a device can subscribe to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Downlink {
    /// `v1/devices/{device}/errors`
    Errors,
    /// `v1/devices/{device}/commands`
    Commands,
}

impl Downlink {
    pub(crate) const ALL: [Downlink; 2] = [Downlink::Errors, Downlink::Commands];

    /// The last level of the topic.
    pub(crate) fn level(self) -> &'static str {
        match self {
            Downlink::Errors => "errors",
            Downlink::Commands => "commands",
        }
    }
}

impl Control {
    /// The message for the connection with this nonce: no later connection will listen to it.
    pub(crate) fn encode(&self, nonce: u64) -> Bytes {
        let mut out = BytesMut::with_capacity(32);
        out.put_u64(nonce);
        match self {
            Control::PubAcks(acks) => {
                out.put_u8(b'A');
                for (packet, reason) in acks {
                    out.put_u16(*packet);
                    out.put_u8(*reason);
                }
            }
            Control::SubAck(packet, codes) => put_codes(&mut out, b'S', *packet, codes),
            Control::UnsubAck(packet, codes) => put_codes(&mut out, b'U', *packet, codes),
            Control::Deliver(downlink, payload) => {
                out.put_u8(if *downlink == Downlink::Errors { b'E' } else { b'C' });
                out.put_slice(payload);
            }
            Control::Close(reason) => {
                out.put_u8(b'X');
                out.put_u8(*reason);
            }
            Control::Wake => out.put_u8(b'W'),
        }
        out.freeze()
    }

    /// Reads a message, if it is for the connection with this nonce.
    pub(crate) fn decode(mut bytes: Bytes, nonce: u64) -> Option<Control> {
        if bytes.try_get_u64().ok()? != nonce {
            return None;
        }
        Some(match bytes.try_get_u8().ok()? {
            b'A' => Control::PubAcks(
                bytes
                    .chunks_exact(3)
                    .map(|ack| (u16::from_be_bytes([ack[0], ack[1]]), ack[2]))
                    .collect(),
            ),
            b'S' => Control::SubAck(bytes.try_get_u16().ok()?, bytes.to_vec()),
            b'U' => Control::UnsubAck(bytes.try_get_u16().ok()?, bytes.to_vec()),
            b'E' => Control::Deliver(Downlink::Errors, bytes),
            b'C' => Control::Deliver(Downlink::Commands, bytes),
            b'X' => Control::Close(bytes.try_get_u8().ok()?),
            b'W' => Control::Wake,
            _ => return None,
        })
    }
}

fn put_codes(out: &mut BytesMut, kind: u8, packet: u16, codes: &[u8]) {
    out.put_u8(kind);
    out.put_u16(packet);
    out.put_slice(codes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_control() -> impl Strategy<Value = Control> {
        let codes = || proptest::collection::vec(any::<u8>(), 0..10);
        let downlink = prop_oneof![Just(Downlink::Errors), Just(Downlink::Commands)];
        prop_oneof![
            proptest::collection::vec(any::<(u16, u8)>(), 0..200).prop_map(Control::PubAcks),
            (any::<u16>(), codes()).prop_map(|(packet, codes)| Control::SubAck(packet, codes)),
            (any::<u16>(), codes()).prop_map(|(packet, codes)| Control::UnsubAck(packet, codes)),
            (downlink, codes()).prop_map(|(to, payload)| Control::Deliver(to, payload.into())),
            any::<u8>().prop_map(Control::Close),
            Just(Control::Wake),
        ]
    }

    proptest! {
        #[test]
        fn a_message_reaches_its_connection_and_no_other(control in any_control(), nonce: u64, other: u64) {
            prop_assert_eq!(Control::decode(control.encode(nonce), nonce), Some(control.clone()));
            prop_assume!(nonce != other);
            prop_assert_eq!(Control::decode(control.encode(nonce), other), None);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let nonce = u64::from_be_bytes(bytes.first_chunk().copied().unwrap_or_default());
            let _ = Control::decode(bytes.into(), nonce);
        }
    }
}
