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

use bytes::{Bytes, BytesMut};
use homeward_front::{Introduction, Introductions, NotIntroduced};
use homeward_record::DeviceId;
use homeward_record::decode::MAX_PAYLOAD;
use rumqttd::protocol::{
    Connect, ConnectReturnCode, Error, Filter, LastWill, Login, Packet, Protocol, QoS, RetainForwardRule,
    Subscribe, v4,
};

use super::connection::Phase;
use super::session::{MAX_WAITING_BYTES, Session, owns};
use super::shared::Shared;
use super::wire::{CONNECT, Wire};
use crate::limits::MAX_PACKET;

/// The longest keep-alive there is, for a device that asks for none: a connection that says nothing for ever
/// cannot be told from a dead one.
const LONGEST_KEEP_ALIVE: u16 = u16::MAX;
/// The packet identifier of the guard's own subscription; devices' never reach the router.
const OWN_SUBSCRIPTION: u16 = 1;

/// One connection's guard; as a prototype, the guard of none yet.
pub(crate) struct Guard {
    shared: Arc<Shared>,
    /// For whom the connection is, once that is known.
    introduction: Option<Introduction>,
    session: Option<Session>,
    /// Whether it has asked the router to be woken.
    subscribed: bool,
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
        session.publish_will(&self.shared);
        if let Some(heard) = session.connection.heard() {
            self.shared.contacts.note(session.connection.device, heard);
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
            introduction: None,
            session: None,
            subscribed: false,
        }
    }

    fn read(&mut self, stream: &mut BytesMut) -> Result<Packet, Error> {
        let Some(session) = &mut self.session else {
            let introduction = match &self.introduction {
                Some(introduction) => introduction,
                None => self
                    .introduction
                    .insert(introduction(&self.shared.entry.introductions, stream)?),
            };
            let (session, connect) = connect(&self.shared, introduction, stream)?;
            metrics::gauge!("homeward_ingest_connections").increment(1.0);
            self.session = Some(session);
            return Ok(connect);
        };
        if !self.subscribed {
            self.subscribed = true;
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
                    let client = self
                        .introduction
                        .as_ref()
                        .and_then(|introduction| introduction.client);
                    tracing::info!(device_id = %session.connection.device, ?client, "a device may not connect");
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

/// Takes what a proxy says of its client before the first packet. Who comes by themselves says nothing, and is taken for
/// who they are.
fn introduction(introductions: &Introductions, stream: &mut BytesMut) -> Result<Introduction, Error> {
    let refuse = |why: NotIntroduced| {
        tracing::info!(
            error = &why as &dyn std::error::Error,
            "a connection to the MQTT listener is closed"
        );
        Error::InvalidProtocol
    };
    let first = *stream.first().ok_or(Error::InsufficientBytes(1))?;
    if !introductions.begins(first).map_err(refuse)? {
        return Ok(Introduction::default());
    }
    let head = stream
        .first_chunk::<{ homeward_front::HEAD }>()
        .ok_or(Error::InsufficientBytes(1))?;
    let length = introductions.length(head).map_err(refuse)?;
    if stream.len() < length {
        return Err(Error::InsufficientBytes(length - stream.len()));
    }
    introductions.read(&stream.split_to(length)).map_err(refuse)
}

/// Reads the CONNECT packet and rewrites it for the router. A refusal is noted as the verdict and told in
/// the CONNACK; only what is no CONNECT at all, or finds no room, ends the connection without a word.
fn connect(
    shared: &Shared,
    introduction: &Introduction,
    stream: &mut BytesMut,
) -> Result<(Session, Packet), Error> {
    let header = v4::check(stream.iter(), MAX_PACKET)?;
    if header.byte1 != CONNECT {
        return Err(Error::InvalidProtocol);
    }
    let wire = stream
        .get(header.fixed_header_len..)
        .and_then(Wire::of_connect)
        .ok_or(Error::InvalidProtocol)?;
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
    } else if !certified(shared, introduction, &connect.client_id)
        || will
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
    let session = Session::new(shared, connection, wire, will, max_packet);
    Ok((session, rewritten))
}

/// Whether a device has shown the certificate that it has to show, if it has to.
fn certified(shared: &Shared, introduction: &Introduction, device: &str) -> bool {
    !shared.entry.device_certificates || introduction.certificate.as_deref() == Some(device)
}

/// Whether a device may leave this will: a message that it could publish itself.
fn may_leave(device: DeviceId, will: &LastWill) -> bool {
    owns(device, &will.topic)
        && !will.retain
        && will.qos != QoS::ExactlyOnce
        && will.message.len() <= MAX_PAYLOAD
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
