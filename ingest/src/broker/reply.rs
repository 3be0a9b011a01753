//! What is written to a device.

use bytes::{Bytes, BytesMut};
use rumqttd::protocol::{
    ConnAck, ConnAckProperties, ConnectReturnCode, Error, Packet, PubAck, Publish, SubAck,
    SubscribeReasonCode, UnsubAck,
};

use super::connection::Phase;
use super::control::Control;
use super::session::Session;
use super::shared::Shared;
use super::wire::Wire;
use crate::limits::MAX_PACKET;

impl Session {
    /// Answers the CONNECT packet.
    pub(super) fn write_connack(&self, shared: &Shared, out: &mut BytesMut) -> Result<usize, Error> {
        let code = match self.connection.verdict() {
            Ok(()) => ConnectReturnCode::Success,
            Err(refusal) => self.wire.refusal(refusal),
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

    /// Writes all that waits to be said to the device.
    pub(super) fn write_outbox(&self, shared: &Shared, out: &mut BytesMut) -> Result<usize, Error> {
        if self.connection.phase() == Phase::Closing {
            // The last word has been said.
            return Ok(0);
        }
        let before = out.len();
        let mut close = None;
        for control in self.connection.collect() {
            match control {
                // Written last.
                Control::Close(reason) => close = Some(reason),
                control => {
                    if let Some(packet) = self.packet(shared, control) {
                        self.wire.write(packet, out)?;
                    }
                }
            }
        }
        let owed = self.connection.waiting() > 0;
        if let Some(reason) = close.or(self.ending.filter(|_| !owed)) {
            self.connection.advance(Phase::Closing);
            self.wire.write_disconnect(reason, out);
        }
        Ok(out.len() - before)
    }

    /// The packet that says it, if the device is to hear it.
    fn packet(&self, shared: &Shared, control: Control) -> Option<Packet> {
        match control {
            Control::PubAck(pkid, reason) => {
                let owed = shared.connections.arrive(&self.connection, pkid);
                owed.then(|| Packet::PubAck(PubAck { pkid, reason }, None))
            }
            Control::SubAck(pkid, mut return_codes) => {
                if self.wire == Wire::V4 {
                    // It knows one code for every failure.
                    for code in &mut return_codes {
                        if !matches!(code, SubscribeReasonCode::Success(_)) {
                            *code = SubscribeReasonCode::Failure;
                        }
                    }
                }
                Some(Packet::SubAck(SubAck { pkid, return_codes }, None))
            }
            Control::UnsubAck(pkid, reasons) => Some(Packet::UnsubAck(UnsubAck { pkid, reasons }, None)),
            Control::Deliver(downlink, payload) => {
                let topic = self.topic_of(downlink);
                // A margin for the header and an empty property list.
                let fits = topic.len() + payload.len() + 8 <= self.max_packet;
                let publish = Publish::new(Bytes::from(topic), payload, false);
                (fits && self.downlinks.contains(&downlink)).then_some(Packet::Publish(publish, None))
            }
            Control::Close(_) => None,
        }
    }
}
