//! Reason codes, and the packets that carry them. The numbers are those of MQTT 5.0, section 2.4.

use rumqttd::protocol::{
    ConnectReturnCode, DisconnectReasonCode, Packet, PubAck, PubAckReason, QoS, SubAck, SubscribeReasonCode,
    UnsubAck, UnsubAckReason,
};

pub(crate) const SUCCESS: u8 = 0x00;
pub(crate) const GRANTED_QOS_0: u8 = 0x00;
/// "No matching subscribers": here, the record had every reading of the message before.
pub(crate) const STORED_EARLIER: u8 = 0x10;
pub(crate) const NO_SUBSCRIPTION_EXISTED: u8 = 0x11;
pub(crate) const NOT_AUTHORIZED: u8 = 0x87;
pub(crate) const QUOTA_EXCEEDED: u8 = 0x97;
pub(crate) const PAYLOAD_INVALID: u8 = 0x99;
pub(crate) const SHARED_SUBSCRIPTIONS_NOT_SUPPORTED: u8 = 0x9e;
pub(crate) const SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED: u8 = 0xa1;
pub(crate) const WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED: u8 = 0xa2;

/// A PUBACK; MQTT 3.1.1 leaves the reason out.
pub(crate) fn puback(packet: u16, reason: u8) -> Packet {
    let reason = match reason {
        SUCCESS => PubAckReason::Success,
        STORED_EARLIER => PubAckReason::NoMatchingSubscribers,
        NOT_AUTHORIZED => PubAckReason::NotAuthorized,
        QUOTA_EXCEEDED => PubAckReason::QuotaExceeded,
        PAYLOAD_INVALID => PubAckReason::PayloadFormatInvalid,
        _ => PubAckReason::UnspecifiedError,
    };
    Packet::PubAck(PubAck { pkid: packet, reason }, None)
}

/// A SUBACK; MQTT 3.1.1 knows one code for every failure.
pub(crate) fn suback(packet: u16, codes: &[u8], plain: bool) -> Packet {
    let code = |code: &u8| match *code {
        GRANTED_QOS_0 => SubscribeReasonCode::Success(QoS::AtMostOnce),
        _ if plain => SubscribeReasonCode::Failure,
        NOT_AUTHORIZED => SubscribeReasonCode::NotAuthorized,
        SHARED_SUBSCRIPTIONS_NOT_SUPPORTED => SubscribeReasonCode::SharedSubscriptionsNotSupported,
        SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED => SubscribeReasonCode::SubscriptionIdNotSupported,
        WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED => SubscribeReasonCode::WildcardSubscriptionsNotSupported,
        _ => SubscribeReasonCode::Unspecified,
    };
    Packet::SubAck(
        SubAck {
            pkid: packet,
            return_codes: codes.iter().map(code).collect(),
        },
        None,
    )
}

/// An UNSUBACK; MQTT 3.1.1 leaves the codes out.
pub(crate) fn unsuback(packet: u16, codes: &[u8]) -> Packet {
    let reason = |code: &u8| match *code {
        SUCCESS => UnsubAckReason::Success,
        _ => UnsubAckReason::NoSubscriptionExisted,
    };
    Packet::UnsubAck(
        UnsubAck {
            pkid: packet,
            reasons: codes.iter().map(reason).collect(),
        },
        None,
    )
}

/// The return code of MQTT 3.1.1 that comes nearest.
pub(crate) fn connack_v4(code: ConnectReturnCode) -> ConnectReturnCode {
    match code {
        ConnectReturnCode::ClientIdentifierNotValid | ConnectReturnCode::BadUserNamePassword => code,
        ConnectReturnCode::ServerUnavailable | ConnectReturnCode::QuotaExceeded => {
            ConnectReturnCode::ServiceUnavailable
        }
        _ => ConnectReturnCode::NotAuthorized,
    }
}

/// Why the broker ends connections: the reasons and their numbers.
const DISCONNECTS: [(DisconnectReasonCode, u8); 14] = [
    (DisconnectReasonCode::UnspecifiedError, 0x80),
    (DisconnectReasonCode::MalformedPacket, 0x81),
    (DisconnectReasonCode::ProtocolError, 0x82),
    (DisconnectReasonCode::ServerBusy, 0x89),
    (DisconnectReasonCode::ServerShuttingDown, 0x8b),
    (DisconnectReasonCode::SessionTakenOver, 0x8e),
    (DisconnectReasonCode::TopicNameInvalid, 0x90),
    (DisconnectReasonCode::ReceiveMaximumExceeded, 0x93),
    (DisconnectReasonCode::TopicAliasInvalid, 0x94),
    (DisconnectReasonCode::PacketTooLarge, 0x95),
    (DisconnectReasonCode::MessageRateTooHigh, 0x96),
    (DisconnectReasonCode::AdministrativeAction, 0x98),
    (DisconnectReasonCode::RetainNotSupported, 0x9a),
    (DisconnectReasonCode::QoSNotSupported, 0x9b),
];

pub(crate) fn disconnect_code(reason: DisconnectReasonCode) -> u8 {
    DISCONNECTS
        .iter()
        .find(|(known, _)| *known == reason)
        .map_or(0x80, |(_, code)| *code)
}
