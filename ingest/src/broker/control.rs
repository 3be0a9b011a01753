use bytes::Bytes;
use rumqttd::protocol::{DisconnectReasonCode, PubAckReason, SubscribeReasonCode, UnsubAckReason};

/// What the process has to say to one connection: it waits in the connection's outbox until the connection's
/// task writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// A PUBACK: packet identifier and reason.
    PubAck(u16, PubAckReason),
    /// A SUBACK: packet identifier and a reason for each filter.
    SubAck(u16, Vec<SubscribeReasonCode>),
    /// An UNSUBACK: packet identifier and a reason for each filter.
    UnsubAck(u16, Vec<UnsubAckReason>),
    /// A publish to the device on one of its own topics.
    Deliver(Downlink, Bytes),
    /// The end of the connection, and why.
    Close(DisconnectReasonCode),
}

impl Control {
    /// About how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        let more = match self {
            Control::SubAck(_, reasons) => size_of_val(&reasons[..]),
            Control::UnsubAck(_, reasons) => size_of_val(&reasons[..]),
            Control::Deliver(_, payload) => payload.len(),
            Control::PubAck(..) | Control::Close(_) => 0,
        };
        size_of::<Control>() + more
    }
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
