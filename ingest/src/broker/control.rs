use bytes::Bytes;

/// What the process has to say to one connection: it waits in the connection's outbox until the connection's
/// task writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// A PUBACK: packet identifier and MQTT 5 reason code.
    PubAck(u16, u8),
    /// A SUBACK with its MQTT 5 reason codes.
    SubAck(u16, Vec<u8>),
    /// An UNSUBACK with its MQTT 5 reason codes.
    UnsubAck(u16, Vec<u8>),
    /// A publish to the device on one of its own topics.
    Deliver(Downlink, Bytes),
    /// The end of the connection, with the MQTT 5 reason code of DISCONNECT.
    Close(u8),
}

impl Control {
    /// About how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        let more = match self {
            Control::SubAck(_, codes) | Control::UnsubAck(_, codes) => codes.len(),
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
