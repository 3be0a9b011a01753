//! A connection to the broker that a test drives packet by packet.

use std::collections::VecDeque;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::packet::{self, ConnAck, Connect, Incoming, Publish, Version};
use super::soon;

/// One connection. It does nothing by itself: no acknowledgement, no ping.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) version: Version,
    stream: TcpStream,
    received: Vec<u8>,
    /// Packets that came while another was waited for.
    passed_over: VecDeque<Incoming>,
    last_packet: u16,
}

impl Client {
    /// Opens a connection and says nothing.
    pub(crate) async fn dial(address: SocketAddr, version: Version) -> Client {
        let stream = soon("the broker accepts a connection", TcpStream::connect(address))
            .await
            .unwrap();
        Client::on(stream, version)
    }

    /// Opens a connection whose end here takes little: what is not read soon holds the broker up.
    pub(crate) async fn dial_narrow(address: SocketAddr, version: Version) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        Client::on(
            soon("the broker accepts a connection", socket.connect(address))
                .await
                .unwrap(),
            version,
        )
    }

    fn on(stream: TcpStream, version: Version) -> Client {
        stream.set_nodelay(true).unwrap();
        Client {
            version,
            stream,
            received: Vec::new(),
            passed_over: VecDeque::new(),
            last_packet: 0,
        }
    }

    /// Opens a connection, sends CONNECT and waits for the CONNACK.
    pub(crate) async fn connect(address: SocketAddr, connect: &Connect) -> (Client, ConnAck) {
        let mut client = Client::dial(address, connect.version).await;
        client.send(&connect.encode()).await;
        match client.next().await {
            Some(Incoming::ConnAck(ack)) => (client, ack),
            other => panic!("expected a CONNACK, not {other:?}"),
        }
    }

    /// Sends bytes, whatever they are. That the broker has closed the connection meanwhile shows where the
    /// test reads.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = soon("the broker reads", self.stream.write_all(bytes)).await;
    }

    /// The next packet; none once the connection has ended.
    pub(crate) async fn next(&mut self) -> Option<Incoming> {
        match self.passed_over.pop_front() {
            Some(incoming) => Some(incoming),
            None => self.receive().await,
        }
    }

    async fn receive(&mut self) -> Option<Incoming> {
        loop {
            if let Some(incoming) = Incoming::take(&mut self.received, self.version) {
                return Some(incoming);
            }
            let reading = self.stream.read_buf(&mut self.received);
            match soon("the broker sends something, or ends the connection", reading).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The first packet, of those that came or come, of which `pick` makes something. Panics when the
    /// connection ends before.
    async fn find<T>(&mut self, what: &str, pick: impl Fn(&Incoming) -> Option<T>) -> T {
        for (position, incoming) in self.passed_over.iter().enumerate() {
            if let Some(found) = pick(incoming) {
                self.passed_over.remove(position);
                return found;
            }
        }
        loop {
            let Some(incoming) = self.receive().await else {
                panic!(
                    "the connection ended before {what} came; before that came {:?}",
                    self.passed_over
                );
            };
            if let Some(found) = pick(&incoming) {
                return found;
            }
            self.passed_over.push_back(incoming);
        }
    }

    /// A packet identifier that was not used for a while.
    pub(crate) fn next_packet(&mut self) -> u16 {
        self.last_packet = self.last_packet % u16::MAX + 1;
        self.last_packet
    }

    /// Publishes with QoS 1 and answers the packet identifier.
    pub(crate) async fn publish(&mut self, topic: &str, payload: impl Into<Vec<u8>>) -> u16 {
        let packet = self.next_packet();
        let publish = Publish::new(packet, topic, payload);
        self.send(&publish.encode(self.version)).await;
        packet
    }

    /// Waits for the PUBACK of a packet and answers its reason.
    pub(crate) async fn acknowledged(&mut self, packet: u16) -> u8 {
        self.find("a PUBACK", |incoming| match incoming {
            Incoming::PubAck { packet: of, reason } if *of == packet => Some(*reason),
            _ => None,
        })
        .await
    }

    /// Publishes with QoS 1, waits for the PUBACK and answers its reason.
    pub(crate) async fn upload(&mut self, topic: &str, payload: impl Into<Vec<u8>>) -> u8 {
        let packet = self.publish(topic, payload).await;
        self.acknowledged(packet).await
    }

    /// Subscribes and answers the codes of the SUBACK.
    pub(crate) async fn subscribe(&mut self, filters: &[&str]) -> Vec<u8> {
        let packet = self.next_packet();
        self.send(&packet::subscribe(self.version, packet, &[], filters))
            .await;
        self.subscribed(packet).await
    }

    /// Waits for a SUBACK and answers its codes.
    pub(crate) async fn subscribed(&mut self, packet: u16) -> Vec<u8> {
        self.find("a SUBACK", |incoming| match incoming {
            Incoming::SubAck { packet: of, codes } if *of == packet => Some(codes.clone()),
            _ => None,
        })
        .await
    }

    /// Takes subscriptions back and answers the codes of the UNSUBACK.
    pub(crate) async fn unsubscribe(&mut self, filters: &[&str]) -> Vec<u8> {
        let packet = self.next_packet();
        self.send(&packet::unsubscribe(self.version, packet, filters))
            .await;
        self.find("an UNSUBACK", |incoming| match incoming {
            Incoming::UnsubAck { packet: of, codes } if *of == packet => Some(codes.clone()),
            _ => None,
        })
        .await
    }

    /// The next message: topic and payload.
    pub(crate) async fn message(&mut self) -> (String, Vec<u8>) {
        self.find("a message", |incoming| match incoming {
            Incoming::Publish { topic, payload } => Some((topic.clone(), payload.clone())),
            _ => None,
        })
        .await
    }

    /// Sends a ping and waits for its answer. Everything sent before has been looked at then.
    pub(crate) async fn ping(&mut self) {
        self.send(&packet::ping()).await;
        self.find("a PINGRESP", |incoming| {
            (*incoming == Incoming::PingResp).then_some(())
        })
        .await;
    }

    /// Makes sure that nothing came that was not asked for, once everything sent before has been looked at.
    pub(crate) async fn hears_nothing_else(&mut self) {
        self.ping().await;
        assert!(
            self.passed_over.is_empty(),
            "nothing more is said: {:?}",
            self.passed_over
        );
    }

    /// Waits until the broker ends the connection. Answers the reason of its DISCONNECT, which MQTT 3.1.1
    /// does not have.
    pub(crate) async fn ended(&mut self) -> Option<u8> {
        let mut told = None;
        while let Some(incoming) = self.next().await {
            if let Incoming::Disconnect { reason } = incoming {
                assert_eq!(told, None, "one DISCONNECT is enough");
                told = Some(reason);
            }
        }
        assert!(
            self.received.is_empty(),
            "what came last is no packet: {:x?}",
            self.received
        );
        told
    }

    /// Says good-bye, which takes the will back, and closes.
    pub(crate) async fn disconnect(mut self) {
        self.send(&packet::disconnect()).await;
        assert_eq!(self.ended().await, None, "nobody ended it before");
    }

    /// Closes its own half of the connection: the broker gets nothing more.
    pub(crate) async fn say_no_more(&mut self) {
        // Where the broker has closed already, there is nothing to close.
        let _ = self.stream.shutdown().await;
    }

    /// Breaks the connection off, as a device does that loses its network: a reset, nothing said.
    pub(crate) fn vanish(self) {
        self.stream.set_zero_linger().unwrap();
    }
}
