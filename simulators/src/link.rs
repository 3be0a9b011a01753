//! One connection of one device, over either version of MQTT.
//!
//! What rumqttc 0.25 does, read in its source, and what follows:
//!
//! - When a connection breaks it keeps what was in flight, and throws it away at the next CONNACK without
//!   session, which is what a broker that keeps no sessions always sends. So the [outbox](crate::outbox) is
//!   the only memory, and every connection gets a client of its own that is dropped with it.
//! - It tells the packet id of a publish afterwards, as `Outgoing::Publish(id)`, in the order in which the
//!   publishes were handed over.
//! - Packet ids go from 1 to its in-flight limit (MQTT 5: at most the broker's receive maximum) and begin
//!   again. One that is still awaited stops it, and an MQTT 5 refusal of the awaited message does not start
//!   it again. So the limit is a multiple of the window, and the outbox keeps clear of it.
//! - Acknowledgements that it has read when a connection breaks are left in its events, and are fetched
//!   from there.
//! - Cancelling `poll` can lose a packet that it was about to write, so a connection's `poll` is never
//!   cancelled before the connection ends.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use homeward_record::DeviceId;
use rumqttc::{mqttbytes, v5};

use crate::enrolment::Secret;
use crate::outbox::Limits;

/// Where the broker is, and which MQTT to speak to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its name or address; an IPv6 address in brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The version to speak.
    pub protocol: Protocol,
}

/// A version of MQTT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// MQTT 3.1.1.
    #[default]
    V4,
    /// MQTT 5: the broker says why it refuses a message.
    V5,
}

/// `HOST:PORT`, spoken to in MQTT 3.1.1.
impl FromStr for Broker {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Broker> {
        let (host, port) = text
            .rsplit_once(':')
            .with_context(|| format!("{text:?} is not HOST:PORT"))?;
        let bare_ipv6 = host.contains(':') && !host.starts_with('[');
        ensure!(
            !host.is_empty() && !bare_ipv6,
            "{text:?} is not HOST:PORT, or [IPV6]:PORT"
        );
        Ok(Broker {
            host: host.into(),
            port: port.parse().with_context(|| format!("{port:?} is not a port"))?,
            protocol: Protocol::V4,
        })
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// What a connection reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkEvent {
    /// The broker accepted it, and takes this many messages without acknowledgement.
    Connected { receive_maximum: u16 },
    /// The next submitted message was written under this packet id.
    Written(u16),
    /// The message with this packet id was answered; 0x80 and above is a refusal.
    Answered { packet_id: u16, reason: u8 },
    /// The farewell was written.
    Parted,
    /// Something of no interest here.
    Other,
}

/// Why a connection ended, or did not come about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LinkError {
    /// The broker does not know this device or its secret: trying again is no use.
    Rejected(String),
    /// The broker closed the connection. Some do that instead of answering a secret that they do not know.
    Closed,
    /// Anything else.
    Broken(String),
}

/// The receiving half of a connection. Poll it to make it work.
pub(crate) enum Link {
    V4(Box<rumqttc::EventLoop>),
    V5(Box<v5::EventLoop>),
}

/// The sending half.
pub(crate) enum Publisher {
    V4(rumqttc::AsyncClient),
    V5(v5::AsyncClient),
}

/// Also keeps the way through a firewall open; much shorter than the hour after which most forget it.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// A broker accepts its connections one by one; a burst of thousands has to queue.
const CONNECT_TIMEOUT_S: u64 = 20;
/// Above the 64 KiB that a payload may have.
const MAX_PACKET: usize = 80 * 1024;
/// Room for farewells beside a window of messages.
const REQUESTS_BESIDE_WINDOW: usize = 2;

/// Prepares a connection. It is made when the link is first polled.
pub(crate) fn link(broker: &Broker, device: DeviceId, secret: &Secret, limits: Limits) -> (Publisher, Link) {
    let capacity = usize::from(limits.window) + REQUESTS_BESIDE_WINDOW;
    let name = device.to_string();
    match broker.protocol {
        Protocol::V4 => {
            let mut options = rumqttc::MqttOptions::new(&name, &broker.host, broker.port);
            options
                .set_credentials(&name, &secret.0)
                .set_clean_session(true)
                .set_keep_alive(KEEP_ALIVE)
                .set_max_packet_size(MAX_PACKET, MAX_PACKET)
                .set_inflight(limits.packet_ids);
            let (client, mut events) = rumqttc::AsyncClient::new(options, capacity);
            let mut network = rumqttc::NetworkOptions::new();
            network.set_connection_timeout(CONNECT_TIMEOUT_S);
            network.set_tcp_nodelay(true);
            events.set_network_options(network);
            (Publisher::V4(client), Link::V4(Box::new(events)))
        }
        Protocol::V5 => {
            let mut options = v5::MqttOptions::new(&name, &broker.host, broker.port);
            let mut network = rumqttc::NetworkOptions::new();
            network.set_tcp_nodelay(true);
            options
                .set_credentials(&name, &secret.0)
                .set_clean_start(true)
                .set_keep_alive(KEEP_ALIVE)
                .set_connection_timeout(CONNECT_TIMEOUT_S)
                .set_network_options(network)
                .set_outgoing_inflight_upper_limit(limits.packet_ids);
            let (client, events) = v5::AsyncClient::new(options, capacity);
            (Publisher::V5(client), Link::V5(Box::new(events)))
        }
    }
}

impl Publisher {
    /// Hands a message over. There is room for a window of them.
    pub(crate) fn publish(&self, topic: &str, payload: &[u8]) -> Result<(), LinkError> {
        let full = || LinkError::Broken("the client takes no message".into());
        match self {
            Publisher::V4(client) => client
                .try_publish(topic, mqttbytes::QoS::AtLeastOnce, false, payload)
                .map_err(|_| full()),
            Publisher::V5(client) => client
                .try_publish(topic, v5::mqttbytes::QoS::AtLeastOnce, false, payload.to_vec())
                .map_err(|_| full()),
        }
    }

    /// Says farewell after what was handed over before.
    pub(crate) fn part(&self) {
        // A full queue or a closed one: the connection is dropped without a farewell then.
        let _no_matter = match self {
            Publisher::V4(client) => client.try_disconnect().is_ok(),
            Publisher::V5(client) => client.try_disconnect().is_ok(),
        };
    }
}

impl Link {
    /// The next event. Not to be cancelled while the connection is to go on.
    pub(crate) async fn poll(&mut self) -> Result<LinkEvent, LinkError> {
        match self {
            Link::V4(events) => events
                .poll()
                .await
                .map(|event| event_v4(&event))
                .map_err(error_v4),
            Link::V5(events) => events
                .poll()
                .await
                .map(|event| event_v5(&event))
                .map_err(error_v5),
        }
    }

    /// An event that was read before the connection ended.
    pub(crate) fn left_over(&mut self) -> Option<LinkEvent> {
        match self {
            Link::V4(events) => events.state.events.pop_front().map(|event| event_v4(&event)),
            Link::V5(events) => events.state.events.pop_front().map(|event| event_v5(&event)),
        }
    }
}

fn event_v4(event: &rumqttc::Event) -> LinkEvent {
    use rumqttc::{Event, Outgoing, Packet};
    match event {
        Event::Incoming(Packet::ConnAck(_)) => LinkEvent::Connected {
            receive_maximum: u16::MAX,
        },
        Event::Incoming(Packet::PubAck(ack)) => LinkEvent::Answered {
            packet_id: ack.pkid,
            reason: 0,
        },
        Event::Outgoing(Outgoing::Publish(packet_id)) => LinkEvent::Written(*packet_id),
        Event::Outgoing(Outgoing::Disconnect) => LinkEvent::Parted,
        _ => LinkEvent::Other,
    }
}

fn event_v5(event: &v5::Event) -> LinkEvent {
    use rumqttc::Outgoing;
    use v5::Event;
    use v5::mqttbytes::v5::Packet;
    match event {
        Event::Incoming(Packet::ConnAck(ack)) => LinkEvent::Connected {
            receive_maximum: ack
                .properties
                .as_ref()
                .and_then(|properties| properties.receive_max)
                .unwrap_or(u16::MAX),
        },
        Event::Incoming(Packet::PubAck(ack)) => LinkEvent::Answered {
            packet_id: ack.pkid,
            reason: reason_code(ack.reason),
        },
        Event::Outgoing(Outgoing::Publish(packet_id)) => LinkEvent::Written(*packet_id),
        Event::Outgoing(Outgoing::Disconnect) => LinkEvent::Parted,
        _ => LinkEvent::Other,
    }
}

/// The code of a PUBACK's reason (MQTT 5, table 3-4).
fn reason_code(reason: v5::mqttbytes::v5::PubAckReason) -> u8 {
    use v5::mqttbytes::v5::PubAckReason as Reason;
    match reason {
        Reason::Success => 0x00,
        Reason::NoMatchingSubscribers => 0x10,
        Reason::UnspecifiedError => 0x80,
        Reason::ImplementationSpecificError => 0x83,
        Reason::NotAuthorized => 0x87,
        Reason::TopicNameInvalid => 0x90,
        Reason::PacketIdentifierInUse => 0x91,
        Reason::QuotaExceeded => 0x97,
        Reason::PayloadFormatInvalid => 0x99,
    }
}

fn error_v4(error: rumqttc::ConnectionError) -> LinkError {
    use rumqttc::{ConnectReturnCode as Code, ConnectionError as Error, StateError};
    match error {
        Error::ConnectionRefused(code) => match code {
            Code::BadUserNamePassword
            | Code::NotAuthorized
            | Code::BadClientId
            | Code::RefusedProtocolVersion => LinkError::Rejected(format!("{code:?}")),
            _ => LinkError::Broken(format!("the broker refused the connection: {code:?}")),
        },
        Error::MqttState(StateError::ConnectionAborted) => LinkError::Closed,
        Error::Io(error) => io_error(&error),
        other => LinkError::Broken(other.to_string()),
    }
}

fn error_v5(error: v5::ConnectionError) -> LinkError {
    use v5::ConnectionError as Error;
    use v5::StateError;
    use v5::mqttbytes::v5::ConnectReturnCode as Code;
    match error {
        Error::ConnectionRefused(code) => match code {
            Code::BadUserNamePassword
            | Code::NotAuthorized
            | Code::ClientIdentifierNotValid
            | Code::BadClientId
            | Code::Banned
            | Code::BadAuthenticationMethod
            | Code::UnsupportedProtocolVersion
            | Code::RefusedProtocolVersion => LinkError::Rejected(format!("{code:?}")),
            _ => LinkError::Broken(format!("the broker refused the connection: {code:?}")),
        },
        Error::MqttState(StateError::ConnectionAborted) => LinkError::Closed,
        Error::Io(error) => io_error(&error),
        other => LinkError::Broken(other.to_string()),
    }
}

fn io_error(error: &std::io::Error) -> LinkError {
    /// The error number of "too many open files", the same on every Unix.
    const EMFILE: i32 = 24;
    match error.raw_os_error() {
        Some(EMFILE) => {
            LinkError::Broken("this process may open no more connections: raise `ulimit -n`".into())
        }
        _ => LinkError::Broken(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_host_and_port() {
        let broker: Broker = "broker.example:1883".parse().unwrap();
        assert_eq!((broker.host.as_str(), broker.port), ("broker.example", 1883));
        assert_eq!(broker.to_string(), "broker.example:1883");
        assert_eq!("[::1]:1883".parse::<Broker>().unwrap().host, "[::1]");
        for wrong in ["localhost", ":1883", "localhost:", "localhost:99999", "::1:1883"] {
            assert!(wrong.parse::<Broker>().is_err(), "{wrong}");
        }
    }
}
