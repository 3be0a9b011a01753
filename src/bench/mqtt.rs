//! The least MQTT 3.1.1 that a load generator needs: its work shares the processors with the server that it
//! measures.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// A connected device: packet identifiers come in, publishes go out.
pub(super) struct Device {
    pub(super) acknowledged: Acknowledgements,
    pub(super) publisher: Publisher,
}

/// The half that hears PUBACKs.
pub(super) struct Acknowledgements {
    stream: OwnedReadHalf,
    buffer: Vec<u8>,
}

/// The half that publishes.
pub(super) struct Publisher {
    stream: OwnedWriteHalf,
    topic: String,
    buffer: Vec<u8>,
}

impl Device {
    /// Connects as a device and waits for the CONNACK.
    pub(super) async fn connect(broker: SocketAddr, id: &str, secret: &str) -> Result<Device> {
        let mut stream = TcpStream::connect(broker)
            .await
            .context("could not reach the broker")?;
        stream.set_nodelay(true)?;
        let mut connect = vec![0, 4, b'M', b'Q', b'T', b'T', 4, 0b1100_0010];
        connect.extend(600_u16.to_be_bytes());
        for text in [id, id, secret] {
            connect.extend(u16::try_from(text.len())?.to_be_bytes());
            connect.extend(text.as_bytes());
        }
        let mut packet = vec![0x10];
        put_length(&mut packet, connect.len());
        packet.extend(connect);
        stream.write_all(&packet).await?;
        let mut connack = [0; 4];
        stream.read_exact(&mut connack).await.context("no CONNACK")?;
        ensure!(
            connack == [0x20, 2, 0, 0],
            "the broker refused the connection: {connack:?}"
        );
        let (reader, writer) = stream.into_split();
        let topic = format!("v1/devices/{id}/readings");
        Ok(Device {
            acknowledged: Acknowledgements {
                stream: reader,
                buffer: Vec::with_capacity(1024),
            },
            publisher: Publisher {
                stream: writer,
                topic,
                buffer: Vec::with_capacity(4096),
            },
        })
    }
}

impl Publisher {
    /// Adds a publish to those that the next flush sends.
    pub(super) fn publish(&mut self, packet_id: u16, payload: &[u8]) {
        self.buffer.push(0x32);
        put_length(&mut self.buffer, 2 + self.topic.len() + 2 + payload.len());
        let topic_length = u16::try_from(self.topic.len()).expect("a device's topic is short");
        self.buffer.extend(topic_length.to_be_bytes());
        self.buffer.extend(self.topic.as_bytes());
        self.buffer.extend(packet_id.to_be_bytes());
        self.buffer.extend(payload);
    }

    pub(super) async fn flush(&mut self) -> Result<()> {
        self.stream.write_all(&self.buffer).await?;
        self.buffer.clear();
        Ok(())
    }
}

impl Acknowledgements {
    /// Waits for PUBACKs and answers their packet identifiers.
    pub(super) async fn next(&mut self) -> Result<Vec<u16>> {
        loop {
            let whole = self.buffer.len() / 4 * 4;
            if whole > 0 {
                let mut packets = Vec::with_capacity(whole / 4);
                for ack in self.buffer.drain(..whole).collect::<Vec<_>>().chunks_exact(4) {
                    let [0x40, 2, high, low] = *ack else {
                        bail!("not a PUBACK: {ack:?}")
                    };
                    packets.push(u16::from_be_bytes([high, low]));
                }
                return Ok(packets);
            }
            let read = self.stream.read_buf(&mut self.buffer).await?;
            ensure!(read > 0, "the broker closed the connection");
        }
    }
}

fn put_length(out: &mut Vec<u8>, mut length: usize) {
    loop {
        let low = u8::try_from(length % 128).expect("less than 128");
        length /= 128;
        out.push(if length > 0 { low | 128 } else { low });
        if length == 0 {
            return;
        }
    }
}
