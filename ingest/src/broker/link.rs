use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use rumqttd::Notification;
use rumqttd::local::{LinkError, LinkRx, LinkTx};
use rumqttd::protocol::{DisconnectReasonCode, Packet, Publish};

use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use super::control::Control;

/// The payload of a wake-up. The router takes an empty one for the end of a retained message.
const WAKE: Bytes = Bytes::from_static(b"w");

/// A publish that wakes the connection which has this topic.
pub(crate) fn wake(topic: Bytes) -> Packet {
    Packet::Publish(Publish::new(topic, WAKE, false), None)
}

/// The process's own connection to the router, over which it speaks to the connections of devices.
pub(crate) struct Link {
    tx: Mutex<LinkTx>,
    /// Never read: the link subscribes to nothing. The router wants to have it.
    _rx: LinkRx,
    broken: CancellationToken,
}

impl Link {
    /// Connects. `build` makes a link of the given name, since rumqttd does not name the type of its router.
    pub(crate) fn new(
        build: impl Fn(&str) -> Result<(LinkTx, LinkRx, Notification), Box<LinkError>>,
    ) -> Result<Link, Box<LinkError>> {
        let (tx, rx, _) = build("homeward")?;
        Ok(Link {
            tx: Mutex::new(tx),
            _rx: rx,
            broken: CancellationToken::new(),
        })
    }

    /// Says something to each of these connections.
    pub(crate) fn say<C: AsRef<Connection>>(&self, messages: impl IntoIterator<Item = (C, Control)>) {
        let to_wake = messages.into_iter().filter_map(|(connection, control)| {
            let connection = connection.as_ref();
            connection.post(control).then(|| connection.wake_topic.clone())
        });
        self.publish(to_wake);
    }

    /// Says one thing to one connection.
    pub(crate) fn say_to(&self, connection: &Connection, control: Control) {
        self.say([(connection, control)]);
    }

    /// Publishes on topics of the router; who listens is woken.
    fn publish(&self, mut topics: impl Iterator<Item = Bytes>) {
        let Some(mut last) = topics.next() else { return };
        let mut tx = self.tx.lock().unwrap_or_else(PoisonError::into_inner);
        {
            // The router takes all that is in the buffer when it is told of the last.
            let mut buffer = tx.buffer();
            for next in topics {
                buffer.push_back(wake(std::mem::replace(&mut last, next)));
            }
        }
        if let Err(error) = tx.publish(last, WAKE) {
            tracing::error!(%error, "the broker's router is gone");
            self.broken.cancel();
        }
    }

    /// Resolves when the router is gone: nobody can be told anything any more.
    pub(crate) async fn broken(&self) {
        self.broken.cancelled().await;
    }

    /// Ends a connection, telling the device why.
    pub(crate) fn close(&self, connection: &Connection, reason: DisconnectReasonCode) {
        self.say_to(connection, Control::Close(reason));
    }

    /// Makes the router look at its ready connections. When it meets one that has gone meanwhile, it waits
    /// for the next event before it looks at those behind it (rumqttd 0.20, `Scheduler::poll`); without a
    /// tick, their acknowledgements would wait for some other device to speak.
    pub(crate) fn tick(&self) {
        self.publish(std::iter::once(Bytes::from_static(b"tick")));
    }
}
