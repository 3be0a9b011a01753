//! The bytes of packets: which protocol version reads and writes them, and what rumqttd leaves to do.

use bytes::BytesMut;
use rumqttd::protocol::v4::V4;
use rumqttd::protocol::v5::V5;
use rumqttd::protocol::{ConnectReturnCode, DisconnectReasonCode, Error, Packet, Protocol};

use crate::limits::MAX_PACKET;

// The first bytes of the packets that a device may send; the flags of a PUBLISH vary.
pub(super) const CONNECT: u8 = 0x10;
const PUBLISH: u8 = 0x30;
pub(super) const SUBSCRIBE: u8 = 0x82;
pub(super) const UNSUBSCRIBE: u8 = 0xa2;
pub(super) const PINGREQ: u8 = 0xc0;
pub(super) const DISCONNECT: u8 = 0xe0;

/// The protocol version of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// MQTT 3.1.1
    V4,
    /// MQTT 5.0
    V5,
}

impl Wire {
    /// The version that a CONNECT packet asks for, from what follows its fixed header.
    pub(super) fn of_connect(rest: &[u8]) -> Option<Wire> {
        // Protocol name with its length, then the protocol level.
        match rest.first_chunk()? {
            [0, 4, b'M', b'Q', b'T', b'T', 4] => Some(Wire::V4),
            [0, 4, b'M', b'Q', b'T', b'T', 5] => Some(Wire::V5),
            _ => None,
        }
    }

    pub(super) fn read(self, stream: &mut BytesMut) -> Result<Packet, Error> {
        match self {
            Wire::V4 => V4.read_mut(stream, MAX_PACKET),
            Wire::V5 => V5.read_mut(stream, MAX_PACKET),
        }
    }

    pub(super) fn write(self, packet: Packet, out: &mut BytesMut) -> Result<usize, Error> {
        match self {
            Wire::V4 => V4.write(packet, out),
            Wire::V5 => V5.write(packet, out),
        }
    }

    /// The code by which this version tells a device that it may not connect.
    pub(super) fn refusal(self, code: ConnectReturnCode) -> ConnectReturnCode {
        match (self, code) {
            (Wire::V5, code)
            | (
                Wire::V4,
                code @ (ConnectReturnCode::ClientIdentifierNotValid | ConnectReturnCode::BadUserNamePassword),
            ) => code,
            (Wire::V4, ConnectReturnCode::ServerUnavailable | ConnectReturnCode::QuotaExceeded) => {
                ConnectReturnCode::ServiceUnavailable
            }
            (Wire::V4, _) => ConnectReturnCode::NotAuthorized,
        }
    }

    /// Writes that the connection ends, and why; MQTT 3.1.1 has no word for it.
    pub(super) fn write_disconnect(self, reason: DisconnectReasonCode, out: &mut BytesMut) {
        if self == Wire::V5 {
            // Byte by byte: without properties rumqttd writes a packet that is longer than it says, and
            // with an empty list of them one without the reason.
            out.extend_from_slice(&[DISCONNECT, 2, disconnect_code(reason), 0]);
        }
    }
}

/// The number of a reason to disconnect, as in MQTT 5.0, section 3.14.2.1.
fn disconnect_code(reason: DisconnectReasonCode) -> u8 {
    match reason {
        DisconnectReasonCode::MalformedPacket => 0x81,
        DisconnectReasonCode::ProtocolError => 0x82,
        DisconnectReasonCode::ServerBusy => 0x89,
        DisconnectReasonCode::ServerShuttingDown => 0x8b,
        DisconnectReasonCode::SessionTakenOver => 0x8e,
        DisconnectReasonCode::TopicNameInvalid => 0x90,
        DisconnectReasonCode::ReceiveMaximumExceeded => 0x93,
        DisconnectReasonCode::TopicAliasInvalid => 0x94,
        DisconnectReasonCode::PacketTooLarge => 0x95,
        DisconnectReasonCode::MessageRateTooHigh => 0x96,
        DisconnectReasonCode::AdministrativeAction => 0x98,
        DisconnectReasonCode::RetainNotSupported => 0x9a,
        DisconnectReasonCode::QoSNotSupported => 0x9b,
        _ => 0x80,
    }
}

/// Whether the first byte is that of a PUBLISH packet.
pub(super) fn is_publish(byte1: u8) -> bool {
    byte1 & 0xf0 == PUBLISH
}

/// The quality of service in the first byte of a PUBLISH packet.
pub(super) fn qos(byte1: u8) -> u8 {
    (byte1 >> 1) & 0b11
}

/// The packet identifier behind the topic name, from what follows a PUBLISH packet's fixed header. rumqttd
/// keeps it to itself.
pub(super) fn packet_identifier(rest: &[u8]) -> Option<u16> {
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let packet = rest
        .get(usize::from(u16::from_be_bytes(*length))..)?
        .first_chunk::<2>()?;
    Some(u16::from_be_bytes(*packet)).filter(|packet| *packet != 0)
}
