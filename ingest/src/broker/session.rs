//! A connection after its CONNECT packet: what its device sends.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use homeward_record::decode::{MAX_PAYLOAD, Reason};
use homeward_record::{DeviceId, DeviceTopic};
use rumqttd::protocol::{
    DisconnectReasonCode, Error, LastWill, Packet, PubAckReason, Publish, PublishProperties, QoS, Subscribe,
    SubscribeReasonCode, UnsubAckReason, v4,
};

use super::connection::Connection;
use super::control::{Control, Downlink};
use super::link::wake;
use super::shared::Shared;
use super::wire::{DISCONNECT, PINGREQ, SUBSCRIBE, UNSUBSCRIBE, Wire, is_publish, packet_identifier, qos};
use crate::delivery::{Delivery, Receipt};
use crate::limits::{MAX_PACKET, TokenBucket};

/// What a connection may have sent that is not looked at yet, because the router does not know it so far or
/// because its window is full. With more than that it is ended.
pub(super) const MAX_WAITING_BYTES: usize = 4 * MAX_PACKET;
/// So many refusals for want of quota in a row end a connection: each costs the broker work.
const PATIENCE: u32 = 256;

/// A connection after its CONNECT packet.
pub(super) struct Session {
    pub(super) connection: Arc<Connection>,
    pub(super) wire: Wire,
    /// Published when the connection ends without a DISCONNECT packet.
    will: Option<LastWill>,
    /// The largest packet that the device takes.
    pub(super) max_packet: usize,
    /// What the device has subscribed to.
    pub(super) downlinks: Vec<Downlink>,
    bucket: TokenBucket,
    refused_in_a_row: u32,
    /// Why the connection ends, once that is settled: what the device still sends is not read, and when what
    /// it sent before is acknowledged, it is told. So a device that sends too much at once, and again after
    /// each end, still gets on.
    pub(super) ending: Option<DisconnectReasonCode>,
}

impl Session {
    pub(super) fn new(
        shared: &Shared,
        connection: Arc<Connection>,
        wire: Wire,
        will: Option<LastWill>,
        max_packet: usize,
    ) -> Session {
        Session {
            connection,
            wire,
            will,
            max_packet,
            downlinks: Vec::new(),
            bucket: TokenBucket::full(&shared.limits, Instant::now()),
            refused_in_a_row: 0,
            ending: None,
        }
    }

    /// Publishes the will, unless the device took it back by a DISCONNECT packet or was never let in.
    pub(super) fn publish_will(&mut self, shared: &Shared) {
        let admitted = self.connection.verdict().is_ok();
        if let Some(will) = self.will.take().filter(|_| admitted) {
            // Nobody waits for the outcome of a will; where there is no room for it, it is lost.
            let _ = self.deliver(shared, &will.topic, &will.message, None);
        }
    }

    /// Handles the next packet of the device. Answers what the router is to see, if anything.
    pub(super) fn next(&mut self, shared: &Shared, stream: &mut BytesMut) -> Result<Option<Packet>, Error> {
        let header = match v4::check(stream.iter(), MAX_PACKET) {
            Ok(header) => header,
            Err(Error::InsufficientBytes(more)) => return Err(Error::InsufficientBytes(more)),
            Err(Error::PayloadSizeLimitExceeded(_)) => {
                return Ok(self.end(DisconnectReasonCode::PacketTooLarge));
            }
            Err(_) => return Ok(self.end(DisconnectReasonCode::MalformedPacket)),
        };
        // Some clients send all that they have when they come back, whatever the window (Paho for Python 2.1).
        if is_publish(header.byte1)
            && qos(header.byte1) > 0
            && self.connection.waiting() >= shared.limits.window.into()
        {
            if stream.len() > MAX_WAITING_BYTES {
                return Ok(self.end(DisconnectReasonCode::ReceiveMaximumExceeded));
            }
            return Err(Error::InsufficientBytes(1));
        }
        let mut frame = stream.split_to(header.frame_length());
        self.connection.hear(shared.clock.now());
        let within_rate = self.bucket.take(&shared.limits, Instant::now());
        if is_publish(header.byte1) {
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
        let qos = qos(byte1);
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
        if let Some(packet) = packet {
            let (_, new) = shared
                .connections
                .depart(&self.connection, packet, Instant::now());
            if !new {
                return None;
            }
        }
        let taken = if within_rate {
            self.deliver(shared, &publish.topic, &publish.payload, packet)
                .map_err(|NoRoom| DisconnectReasonCode::ServerBusy)
        } else {
            Err(DisconnectReasonCode::MessageRateTooHigh)
        };
        match taken {
            Ok(()) => {
                self.refused_in_a_row = 0;
                None
            }
            Err(fault) => self.refuse(shared, packet, fault),
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
        let (device, now) = (self.connection.device, shared.clock.now());
        let share = shared.share_of_bytes(topic.len() + payload.len()).ok_or(NoRoom)?;
        let delivery = Delivery {
            device,
            subject: None,
            topic: String::from_utf8_lossy(topic).into_owned(),
            // A copy: a slice would keep the connection's whole read buffer alive.
            payload: Bytes::copy_from_slice(payload),
            received_at: now,
            first_received_at: now,
            refused: refusal(device, topic, payload),
            receipt: Receipt::Device {
                connection: Arc::clone(&self.connection),
                packet,
            },
            _share: share,
        };
        shared.intake.try_send(delivery).map_err(|_| NoRoom)
    }

    /// Refuses a message that there is no room for. MQTT 5 has words for that; a device of 3.1.1 can only
    /// be disconnected, else it would believe its reading stored.
    fn refuse(
        &mut self,
        shared: &Shared,
        packet: Option<u16>,
        fault: DisconnectReasonCode,
    ) -> Option<Packet> {
        metrics::counter!("homeward_ingest_refused_total").increment(1);
        self.refused_in_a_row += 1;
        let patient = self.refused_in_a_row <= PATIENCE;
        match packet {
            Some(packet) if patient && self.wire == Wire::V5 => {
                return self.say(Control::PubAck(packet, PubAckReason::QuotaExceeded));
            }
            // The end would wait for its acknowledgement.
            Some(packet) => drop(shared.connections.arrive(&self.connection, packet)),
            None if patient => return None,
            None => {}
        }
        self.end(fault)
    }

    /// Answers a SUBSCRIBE packet: a device has its own two topics, by name and with QoS 0, and no others.
    fn subscribe(&mut self, subscribe: &Subscribe, identified: bool) -> Option<Packet> {
        let codes = subscribe.filters.iter().map(|filter| {
            let path = &filter.path;
            match self.own_downlink(path) {
                _ if identified => SubscribeReasonCode::SubscriptionIdNotSupported,
                Some(downlink) => {
                    if !self.downlinks.contains(&downlink) {
                        self.downlinks.push(downlink);
                    }
                    SubscribeReasonCode::Success(QoS::AtMostOnce)
                }
                None if path.starts_with("$share/") => SubscribeReasonCode::SharedSubscriptionsNotSupported,
                None if path.contains(['+', '#']) => SubscribeReasonCode::WildcardSubscriptionsNotSupported,
                None => SubscribeReasonCode::NotAuthorized,
            }
        });
        let codes = codes.collect();
        self.say(Control::SubAck(subscribe.pkid, codes))
    }

    fn unsubscribe(&mut self, filter: &str) -> UnsubAckReason {
        match self
            .own_downlink(filter)
            .and_then(|link| self.downlinks.iter().position(|have| *have == link))
        {
            Some(position) => {
                self.downlinks.swap_remove(position);
                UnsubAckReason::Success
            }
            None => UnsubAckReason::NoSubscriptionExisted,
        }
    }

    fn own_downlink(&self, filter: &str) -> Option<Downlink> {
        Downlink::ALL
            .into_iter()
            .find(|downlink| self.topic_of(*downlink) == filter)
    }

    /// The name of one of the device's own topics.
    pub(super) fn topic_of(&self, downlink: Downlink) -> String {
        format!("v1/devices/{}/{}", self.connection.device, downlink.level())
    }

    /// Ends the connection, once what it is owed is written.
    fn end(&mut self, reason: DisconnectReasonCode) -> Option<Packet> {
        self.ending = Some(reason);
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
}

/// There is no room for a message in the process.
struct NoRoom;

/// Why nothing of a message may be stored, where that is known before it is read.
pub(crate) fn refusal(device: DeviceId, topic: &[u8], payload: &[u8]) -> Option<Reason> {
    if !owns(device, topic) {
        Some(Reason::NotAuthorized)
    } else if payload.len() > MAX_PAYLOAD {
        Some(Reason::TooLarge)
    } else {
        None
    }
}

/// Whether a topic is one that the device publishes to.
pub(super) fn owns(device: DeviceId, topic: &[u8]) -> bool {
    let topic = std::str::from_utf8(topic)
        .ok()
        .and_then(|topic| DeviceTopic::parse(topic).ok());
    topic.is_some_and(|topic| topic.device == device)
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
