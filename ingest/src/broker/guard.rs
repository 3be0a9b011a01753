//! The guard: sees every packet of one connection, in both directions.
//!
//! It stands where rumqttd expects the codec of a protocol version. Towards the device it is a broker for
//! MQTT 3.1.1 and 5 on one port. Towards the router it shows almost nothing: a connection under a name of
//! our own, its subscription to the topic on which it is woken, and pings. No topic, filter, session or will
//! of a device reaches the router, so none can be another's.
//!
//! A publish goes from here straight to the intake. Its PUBACK comes back through the connection's outbox, once
//! the record has it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use homeward_record::decode::{MAX_PAYLOAD, Reason};
use homeward_record::{DeviceId, DeviceTopic};
use rumqttd::protocol::v4::{self, V4};
use rumqttd::protocol::v5::V5;
use rumqttd::protocol::{
    ConnAck, ConnAckProperties, Connect, ConnectReturnCode, DisconnectReasonCode, Error, Filter, LastWill,
    Login, Packet, Protocol, Publish, PublishProperties, QoS, RetainForwardRule, Subscribe,
};

use super::answer;
use super::connection::{Connection, Phase};
use super::control::{Control, Downlink};
use super::link::wake;
use super::shared::Shared;
use crate::delivery::{Delivery, Receipt};
use crate::limits::{MAX_PACKET, TokenBucket};

/// The longest keep-alive there is, for a device that asks for none: a connection that says nothing for ever
/// cannot be told from a dead one.
const LONGEST_KEEP_ALIVE: u16 = u16::MAX;
/// What a connection may have sent that is not looked at yet, because the router does not know it so far or
/// because its window is full. With more than that it is ended.
const MAX_WAITING_BYTES: usize = 4 * MAX_PACKET;
/// The packet identifier of the guard's own subscription; devices' never reach the router.
const OWN_SUBSCRIPTION: u16 = 1;
/// So many refusals for want of quota in a row end a connection: each costs the broker work.
const PATIENCE: u32 = 256;

/// One connection's guard; as a prototype, the guard of none yet.
pub(crate) struct Guard {
    shared: Arc<Shared>,
    session: Option<Session>,
}

/// A connection after its CONNECT packet.
struct Session {
    connection: Arc<Connection>,
    wire: Wire,
    /// Published when the connection ends without a DISCONNECT packet.
    will: Option<LastWill>,
    /// The largest packet that the device takes.
    max_packet: usize,
    /// Whether the guard has asked the router to be woken.
    subscribed: bool,
    /// What the device has subscribed to.
    downlinks: Vec<Downlink>,
    bucket: TokenBucket,
    refused_in_a_row: u32,
    /// Why the connection ends, once that is settled: what the device still sends is not read, and when what
    /// it sent before is acknowledged, it is told. So a device that sends too much at once, and again after
    /// each end, still gets on.
    ending: Option<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wire {
    V4,
    V5,
}

/// rumqttd gives each connection a clone of the prototype.
impl Clone for Guard {
    fn clone(&self) -> Guard {
        Guard::prototype(Arc::clone(&self.shared))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(mut session) = self.session.take() else {
            return;
        };
        let admitted = session.connection.verdict().is_ok();
        if let Some(will) = session.will.take().filter(|_| admitted) {
            // Nobody waits for the outcome of a will; where there is no room for it, it is lost.
            let _ = session.deliver(&self.shared, &will.topic, &will.message, None);
        }
        self.shared.connections.close(&session.connection);
        metrics::gauge!("homeward_ingest_connections").decrement(1.0);
    }
}

impl Protocol for Guard {
    fn read_mut(&mut self, stream: &mut BytesMut, _: usize) -> Result<Packet, Error> {
        contain(|| self.read(stream))
    }

    fn write(&self, packet: Packet, out: &mut BytesMut) -> Result<usize, Error> {
        contain(|| self.write_for(packet, out))
    }
}

impl Guard {
    pub(crate) fn prototype(shared: Arc<Shared>) -> Guard {
        Guard {
            shared,
            session: None,
        }
    }

    fn read(&mut self, stream: &mut BytesMut) -> Result<Packet, Error> {
        let Some(session) = &mut self.session else {
            let (session, connect) = connect(&self.shared, stream)?;
            metrics::gauge!("homeward_ingest_connections").increment(1.0);
            self.session = Some(session);
            return Ok(connect);
        };
        if !session.subscribed {
            session.subscribed = true;
            return Ok(subscribe_to(&session.connection.wake_topic));
        }
        match session.connection.phase() {
            Phase::Opening => return Err(wait_for_router(stream)),
            Phase::Open => {}
            Phase::Closing => return Err(Error::InvalidProtocol),
        }
        loop {
            if session.ending.is_some() || self.shared.is_draining() {
                stream.clear();
                return Err(Error::InsufficientBytes(1));
            }
            if let Some(packet) = session.next(&self.shared, stream)? {
                return Ok(packet);
            }
        }
    }

    /// Writes what the router's packet means for the device.
    fn write_for(&self, packet: Packet, out: &mut BytesMut) -> Result<usize, Error> {
        let Some(session) = &self.session else {
            return Ok(0);
        };
        match packet {
            Packet::SubAck(..) => {
                // Not with the router's own CONNACK: rumqttd cannot stand that the device has gone by then.
                let connack = session.write_connack(&self.shared, out)?;
                if session.connection.verdict().is_err() {
                    session.connection.advance(Phase::Closing);
                    return Ok(connack);
                }
                session.connection.advance(Phase::Open);
                // What was posted before could wake nobody.
                Ok(connack + session.write_outbox(&self.shared, out)?)
            }
            Packet::Publish(..) => session.write_outbox(&self.shared, out),
            Packet::PingResp(ping) => session.wire.write(Packet::PingResp(ping), out),
            _ => Ok(0),
        }
    }
}

/// Turns a panic into the end of one connection. In rumqttd 0.20 a connection that ends in a way it does not
/// expect leaves an entry in a table that all share, and the next connection of that name panics over the entry
/// while it holds the table's lock: nobody could connect any more.
fn contain<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Error::InvalidProtocol))
}

/// Reads the CONNECT packet and rewrites it for the router. A refusal is noted as the verdict and told in
/// the CONNACK; only what is no CONNECT at all, or finds no room, ends the connection without a word.
fn connect(shared: &Shared, stream: &mut BytesMut) -> Result<(Session, Packet), Error> {
    let header = v4::check(stream.iter(), MAX_PACKET)?;
    if header.byte1 != 0x10 {
        return Err(Error::InvalidProtocol);
    }
    // Protocol name with its length, then the protocol level.
    let mut wire = match stream
        .get(header.fixed_header_len..)
        .and_then(|rest| rest.get(..7))
    {
        Some([0, 4, b'M', b'Q', b'T', b'T', 4]) => Wire::V4,
        Some([0, 4, b'M', b'Q', b'T', b'T', 5]) => Wire::V5,
        _ => return Err(Error::InvalidProtocol),
    };
    let Packet::Connect(connect, properties, will, _, login) = wire.read(stream)? else {
        return Err(Error::InvalidProtocol);
    };

    let claimed = login.as_ref().and_then(|login| login.username.parse().ok());
    let connection = shared
        .connections
        .open(claimed.unwrap_or(DeviceId(0)))
        .ok_or(Error::InvalidProtocol)?;
    let authentication_method = properties
        .as_ref()
        .is_some_and(|p| p.authentication_method.is_some());
    let refusal = if authentication_method && wire == Wire::V5 {
        Some(ConnectReturnCode::BadAuthenticationMethod)
    } else if claimed.is_none() {
        Some(ConnectReturnCode::BadUserNamePassword)
    } else if connect.client_id != connection.device.to_string() {
        Some(ConnectReturnCode::ClientIdentifierNotValid)
    } else if will
        .as_ref()
        .is_some_and(|will| !may_leave(connection.device, will))
    {
        Some(ConnectReturnCode::NotAuthorized)
    } else {
        None
    };
    if let Some(refusal) = refusal {
        connection.set_verdict(Err(refusal));
    }

    let rewritten = Packet::Connect(
        Connect {
            keep_alive: if connect.keep_alive == 0 {
                LONGEST_KEEP_ALIVE
            } else {
                connect.keep_alive
            },
            client_id: connection.slot.to_string(),
            clean_session: true,
        },
        None,
        None,
        None,
        Some(login.unwrap_or(Login {
            username: String::new(),
            password: String::new(),
        })),
    );
    let max_packet = properties
        .and_then(|p| p.max_packet_size)
        .map_or(usize::MAX, |max| max as usize);
    let session = Session {
        connection,
        wire,
        will,
        max_packet,
        subscribed: false,
        downlinks: Vec::new(),
        bucket: TokenBucket::full(&shared.limits, Instant::now()),
        refused_in_a_row: 0,
        ending: None,
    };
    Ok((session, rewritten))
}

/// Whether a device may leave this will: a message that it could publish itself.
fn may_leave(device: DeviceId, will: &LastWill) -> bool {
    owns(device, &will.topic)
        && !will.retain
        && will.qos != QoS::ExactlyOnce
        && will.message.len() <= MAX_PAYLOAD
}

/// Whether a topic is one that the device publishes to.
fn owns(device: DeviceId, topic: &[u8]) -> bool {
    let topic = std::str::from_utf8(topic)
        .ok()
        .and_then(|topic| DeviceTopic::parse(topic).ok());
    topic.is_some_and(|topic| topic.device == device)
}

fn subscribe_to(topic: &Bytes) -> Packet {
    let filter = Filter {
        path: String::from_utf8_lossy(topic).into_owned(),
        qos: QoS::AtMostOnce,
        nolocal: false,
        preserve_retain: false,
        retain_forward_rule: RetainForwardRule::Never,
    };
    Packet::Subscribe(
        Subscribe {
            pkid: OWN_SUBSCRIPTION,
            filters: vec![filter],
        },
        None,
    )
}

/// The router answers within a millisecond or so; what arrives until then waits, up to a bound.
fn wait_for_router(stream: &BytesMut) -> Error {
    if stream.len() > MAX_WAITING_BYTES {
        Error::PayloadSizeLimitExceeded(stream.len())
    } else {
        Error::InsufficientBytes(1)
    }
}

impl Wire {
    fn read(&mut self, stream: &mut BytesMut) -> Result<Packet, Error> {
        match self {
            Wire::V4 => V4.read_mut(stream, MAX_PACKET),
            Wire::V5 => V5.read_mut(stream, MAX_PACKET),
        }
    }

    fn write(self, packet: Packet, out: &mut BytesMut) -> Result<usize, Error> {
        match self {
            Wire::V4 => V4.write(packet, out),
            Wire::V5 => V5.write(packet, out),
        }
    }
}

impl Session {
    /// Handles the next packet of the device. Answers what the router is to see, if anything.
    fn next(&mut self, shared: &Shared, stream: &mut BytesMut) -> Result<Option<Packet>, Error> {
        let header = match v4::check(stream.iter(), MAX_PACKET) {
            Ok(header) => header,
            Err(Error::InsufficientBytes(more)) => return Err(Error::InsufficientBytes(more)),
            Err(Error::PayloadSizeLimitExceeded(_)) => {
                return Ok(self.end(DisconnectReasonCode::PacketTooLarge));
            }
            Err(_) => return Ok(self.end(DisconnectReasonCode::MalformedPacket)),
        };
        // Some clients send all that they have when they come back, whatever the window (Paho for Python 2.1).
        if wants_puback(header.byte1) && self.connection.waiting() >= shared.limits.window.into() {
            if stream.len() > MAX_WAITING_BYTES {
                return Ok(self.end(DisconnectReasonCode::ReceiveMaximumExceeded));
            }
            return Err(Error::InsufficientBytes(1));
        }
        let mut frame = stream.split_to(header.frame_length());
        let within_rate = self.bucket.take(&shared.limits, Instant::now());
        if header.byte1 >> 4 == PUBLISH {
            return Ok(self.publish(shared, header.byte1, header.fixed_header_len, frame, within_rate));
        }
        if !within_rate {
            return Ok(self.end(DisconnectReasonCode::MessageRateTooHigh));
        }
        if !matches!(header.byte1, SUBSCRIBE | UNSUBSCRIBE | PINGREQ | DISCONNECT) {
            // Not a device's to send: rumqttd panics over some of it.
            return Ok(self.end(DisconnectReasonCode::ProtocolError));
        }
        if let (Wire::V5, [DISCONNECT, 1, reason]) = (self.wire, &frame[..]) {
            // MQTT 5 lets the length of no properties be left out, which rumqttd does not know.
            frame = BytesMut::from(&[DISCONNECT, 2, *reason, 0][..]);
        }
        match (header.byte1, self.wire.read(&mut frame)) {
            (SUBSCRIBE, Ok(Packet::Subscribe(subscribe, properties))) => {
                let identified = properties.is_some_and(|properties| properties.id.is_some());
                Ok(self.subscribe(&subscribe, identified))
            }
            (UNSUBSCRIBE, Ok(Packet::Unsubscribe(unsubscribe, _))) if !unsubscribe.filters.is_empty() => {
                let codes = unsubscribe
                    .filters
                    .iter()
                    .map(|filter| self.unsubscribe(filter))
                    .collect();
                Ok(self.say(Control::UnsubAck(unsubscribe.pkid, codes)))
            }
            (PINGREQ, Ok(ping @ Packet::PingReq(_))) => Ok(Some(ping)),
            (DISCONNECT, Ok(Packet::Disconnect(disconnect, _))) => {
                if disconnect.reason_code != DisconnectReasonCode::DisconnectWithWillMessage {
                    self.will = None;
                }
                Err(Error::InvalidProtocol)
            }
            (_, Ok(_)) => Ok(self.end(DisconnectReasonCode::ProtocolError)),
            (_, Err(_)) => Ok(self.end(DisconnectReasonCode::MalformedPacket)),
        }
    }

    /// Handles a PUBLISH packet.
    fn publish(
        &mut self,
        shared: &Shared,
        byte1: u8,
        header_length: usize,
        mut frame: BytesMut,
        within_rate: bool,
    ) -> Option<Packet> {
        let qos = (byte1 >> 1) & 0b11;
        // rumqttd keeps the packet identifier to itself, so it is read from the frame.
        let packet = if qos == 0 {
            Ok(None)
        } else {
            packet_identifier(&frame[header_length..]).map(Some).ok_or(())
        };
        let (Ok(packet), Ok(Packet::Publish(publish, properties))) = (packet, self.wire.read(&mut frame))
        else {
            return self.end(DisconnectReasonCode::MalformedPacket);
        };
        if let Some(fault) = protocol_fault(qos, self.wire, &publish, properties.as_ref()) {
            return self.end(fault);
        }
        if !within_rate {
            return self.refuse(packet, DisconnectReasonCode::MessageRateTooHigh);
        }
        if let Some(packet) = packet {
            let (_, new) = shared
                .connections
                .depart(&self.connection, packet, Instant::now());
            if !new {
                return None;
            }
        }
        match self.deliver(shared, &publish.topic, &publish.payload, packet) {
            Ok(()) => {
                self.refused_in_a_row = 0;
                None
            }
            Err(NoRoom) => {
                if let Some(packet) = packet {
                    shared.connections.arrive(&self.connection, packet);
                }
                self.refuse(packet, DisconnectReasonCode::ServerBusy)
            }
        }
    }

    /// Hands a message to the intake.
    fn deliver(
        &self,
        shared: &Shared,
        topic: &[u8],
        payload: &[u8],
        packet: Option<u16>,
    ) -> Result<(), NoRoom> {
        let device = self.connection.device;
        let refused = if !owns(device, topic) {
            Some(Reason::NotAuthorized)
        } else if payload.len() > MAX_PAYLOAD {
            Some(Reason::TooLarge)
        } else {
            None
        };
        let share = shared.share_of_bytes(topic.len() + payload.len()).ok_or(NoRoom)?;
        let delivery = Delivery {
            device,
            topic: String::from_utf8_lossy(topic).into_owned(),
            // A copy: a slice would keep the connection's whole read buffer alive.
            payload: Bytes::copy_from_slice(payload),
            received_at: shared.clock.now(),
            refused,
            receipt: Receipt {
                connection: Arc::clone(&self.connection),
                packet,
            },
            _share: share,
        };
        shared.intake.try_send(delivery).map_err(|_| NoRoom)
    }

    /// Refuses a message that there is no room for. MQTT 5 has words for that; a device of 3.1.1 can only
    /// be disconnected, else it would believe its reading stored.
    fn refuse(&mut self, packet: Option<u16>, fault: DisconnectReasonCode) -> Option<Packet> {
        metrics::counter!("homeward_ingest_refused_total").increment(1);
        self.refused_in_a_row += 1;
        match (self.wire, packet) {
            _ if self.refused_in_a_row > PATIENCE => self.end(fault),
            (Wire::V5, Some(packet)) => self.say(Control::PubAck(packet, answer::QUOTA_EXCEEDED)),
            (Wire::V4, Some(_)) => self.end(fault),
            (_, None) => None,
        }
    }

    /// Answers a SUBSCRIBE packet: a device has its own two topics, by name and with QoS 0, and no others.
    fn subscribe(&mut self, subscribe: &Subscribe, identified: bool) -> Option<Packet> {
        let codes = subscribe.filters.iter().map(|filter| {
            let path = &filter.path;
            match self.own_downlink(path) {
                _ if identified => answer::SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED,
                Some(downlink) => {
                    if !self.downlinks.contains(&downlink) {
                        self.downlinks.push(downlink);
                    }
                    answer::GRANTED_QOS_0
                }
                None if path.starts_with("$share/") => answer::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED,
                None if path.contains(['+', '#']) => answer::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED,
                None => answer::NOT_AUTHORIZED,
            }
        });
        let codes = codes.collect();
        self.say(Control::SubAck(subscribe.pkid, codes))
    }

    fn unsubscribe(&mut self, filter: &str) -> u8 {
        match self
            .own_downlink(filter)
            .and_then(|link| self.downlinks.iter().position(|have| *have == link))
        {
            Some(position) => {
                self.downlinks.swap_remove(position);
                answer::SUCCESS
            }
            None => answer::NO_SUBSCRIPTION_EXISTED,
        }
    }

    fn own_downlink(&self, filter: &str) -> Option<Downlink> {
        Downlink::ALL
            .into_iter()
            .find(|downlink| self.topic_of(*downlink) == filter)
    }

    fn topic_of(&self, downlink: Downlink) -> String {
        format!("v1/devices/{}/{}", self.connection.device, downlink.level())
    }

    /// Ends the connection, once what it is owed is written.
    fn end(&mut self, reason: DisconnectReasonCode) -> Option<Packet> {
        self.ending = Some(answer::disconnect_code(reason));
        metrics::counter!("homeward_ingest_connections_ended_total").increment(1);
        tracing::info!(device_id = %self.connection.device, ?reason, "a connection is ended for what it sent");
        self.connection
            .wake()
            .then(|| wake(self.connection.wake_topic.clone()))
    }

    /// Says something to this connection itself: in its order among all that is said to it. Answers what
    /// wakes the connection, if it must be woken.
    fn say(&self, control: Control) -> Option<Packet> {
        self.connection
            .post(control)
            .then(|| wake(self.connection.wake_topic.clone()))
    }

    fn write_connack(&self, shared: &Shared, out: &mut BytesMut) -> Result<usize, Error> {
        let code = match self.connection.verdict() {
            Ok(()) => ConnectReturnCode::Success,
            Err(refusal) if self.wire == Wire::V5 => refusal,
            Err(refusal) => answer::connack_v4(refusal),
        };
        let properties = ConnAckProperties {
            session_expiry_interval: Some(0),
            receive_max: Some(shared.limits.window),
            max_qos: Some(1),
            retain_available: Some(0),
            max_packet_size: u32::try_from(MAX_PACKET).ok(),
            topic_alias_max: Some(0),
            wildcard_subscription_available: Some(0),
            subscription_identifiers_available: Some(0),
            shared_subscription_available: Some(0),
            ..ConnAckProperties::default()
        };
        self.wire.write(
            Packet::ConnAck(
                ConnAck {
                    session_present: false,
                    code,
                },
                Some(properties),
            ),
            out,
        )
    }

    fn write_outbox(&self, shared: &Shared, out: &mut BytesMut) -> Result<usize, Error> {
        if self.connection.phase() == Phase::Closing {
            // The last word has been said.
            return Ok(0);
        }
        let before = out.len();
        let mut close = None;
        for control in self.connection.collect() {
            match control {
                Control::Close(code) => close = Some(code),
                control => drop(self.write_control(shared, control, out)?),
            }
        }
        let owed = self.connection.waiting() > 0;
        if let Some(code) = close.or(self.ending.filter(|_| !owed)) {
            self.write_close(code, out);
        }
        Ok(out.len() - before)
    }

    fn write_control(&self, shared: &Shared, control: Control, out: &mut BytesMut) -> Result<usize, Error> {
        match control {
            Control::PubAck(packet, reason) => {
                // What was refused for want of quota is not waiting any more.
                if shared.connections.arrive(&self.connection, packet) || reason == answer::QUOTA_EXCEEDED {
                    self.wire.write(answer::puback(packet, reason), out)
                } else {
                    Ok(0)
                }
            }
            Control::SubAck(packet, codes) => self
                .wire
                .write(answer::suback(packet, &codes, self.wire == Wire::V4), out),
            Control::UnsubAck(packet, codes) => self.wire.write(answer::unsuback(packet, &codes), out),
            Control::Deliver(downlink, payload) => {
                let topic = self.topic_of(downlink);
                // A margin for the header and an empty property list.
                let fits = topic.len() + payload.len() + 8 <= self.max_packet;
                if !fits || !self.downlinks.contains(&downlink) {
                    return Ok(0);
                }
                let publish = Publish::new(Bytes::from(topic), payload, false);
                self.wire.write(Packet::Publish(publish, None), out)
            }
            // Written last.
            Control::Close(_) => Ok(0),
        }
    }

    /// Says that the connection ends, and why, where MQTT has a word for it.
    fn write_close(&self, code: u8, out: &mut BytesMut) -> usize {
        self.connection.advance(Phase::Closing);
        match self.wire {
            Wire::V4 => 0,
            Wire::V5 => {
                // Byte by byte: without properties rumqttd writes a packet that is longer than it says, and
                // with an empty list of them one without the reason.
                let disconnect = [DISCONNECT, 2, code, 0];
                out.extend_from_slice(&disconnect);
                disconnect.len()
            }
        }
    }
}

/// There is no room for a message in the process.
struct NoRoom;

/// The type of a PUBLISH packet; its flags vary.
const PUBLISH: u8 = 3;
// The first bytes of the other packets that a device may send.
const SUBSCRIBE: u8 = 0x82;
const UNSUBSCRIBE: u8 = 0xa2;
const PINGREQ: u8 = 0xc0;
const DISCONNECT: u8 = 0xe0;

/// Whether the first byte is that of a PUBLISH packet that is to be acknowledged.
fn wants_puback(byte1: u8) -> bool {
    byte1 >> 4 == PUBLISH && byte1 & 0b110 != 0
}

/// What in a PUBLISH packet is against the protocol as the CONNACK announced it.
fn protocol_fault(
    qos: u8,
    wire: Wire,
    publish: &Publish,
    properties: Option<&PublishProperties>,
) -> Option<DisconnectReasonCode> {
    let topic = &publish.topic;
    if qos > 1 {
        // MQTT 3.1.1 cannot announce it, but the large cloud brokers end such a connection too.
        Some(DisconnectReasonCode::QoSNotSupported)
    } else if properties.is_some_and(|properties| properties.topic_alias.is_some()) {
        Some(DisconnectReasonCode::TopicAliasInvalid)
    } else if properties.is_some_and(|properties| !properties.subscription_identifiers.is_empty()) {
        Some(DisconnectReasonCode::ProtocolError)
    } else if publish.retain && wire == Wire::V5 {
        Some(DisconnectReasonCode::RetainNotSupported)
    } else if topic.is_empty()
        || topic.iter().any(|b| matches!(b, 0 | b'+' | b'#'))
        || std::str::from_utf8(topic).is_err()
    {
        Some(DisconnectReasonCode::TopicNameInvalid)
    } else {
        None
    }
}

/// The packet identifier behind the topic name, from what follows a PUBLISH packet's fixed header.
fn packet_identifier(rest: &[u8]) -> Option<u16> {
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let packet = rest
        .get(usize::from(u16::from_be_bytes(*length))..)?
        .first_chunk::<2>()?;
    Some(u16::from_be_bytes(*packet)).filter(|packet| *packet != 0)
}
