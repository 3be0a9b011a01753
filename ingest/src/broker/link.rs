use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use rumqttd::Notification;
use rumqttd::local::{LinkError, LinkRx, LinkTx};
use rumqttd::protocol::{DisconnectReasonCode, Packet, Publish};

use super::answer;
use super::connection::Connection;
use super::control::Control;

/// The process's own connection to the router, over which it speaks to the connections of devices.
pub(crate) struct Link {
    tx: Mutex<LinkTx>,
    /// Never read: the link subscribes to nothing. The router wants to have it.
    _rx: LinkRx,
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
        })
    }

    /// Says something to each of these connections; one that has ended does not hear it.
    pub(crate) fn say(&self, messages: impl IntoIterator<Item = (Bytes, u64, Control)>) {
        let mut publishes = messages
            .into_iter()
            .map(|(topic, nonce, control)| (topic, control.encode(nonce)));
        let Some(mut last) = publishes.next() else { return };
        let mut tx = self.tx.lock().unwrap_or_else(PoisonError::into_inner);
        {
            // The router takes all that is in the buffer when it is told of the last.
            let mut buffer = tx.buffer();
            for next in publishes {
                let (topic, payload) = std::mem::replace(&mut last, next);
                buffer.push_back(Packet::Publish(Publish::new(topic, payload, false), None));
            }
        }
        if let Err(error) = tx.publish(last.0, last.1) {
            tracing::error!(%error, "the broker's router is gone");
        }
    }

    /// Says one thing to one connection.
    pub(crate) fn say_to(&self, connection: &Connection, control: Control) {
        self.say([(connection.control_topic.clone(), connection.nonce, control)]);
    }

    /// Ends a connection, telling the device why.
    pub(crate) fn close(&self, connection: &Connection, reason: DisconnectReasonCode) {
        self.say_to(connection, Control::Close(answer::disconnect_code(reason)));
    }

    /// Makes the router look at its ready connections. When it meets one that has gone meanwhile, it waits
    /// for the next event before it looks at those behind it (rumqttd 0.20, `Scheduler::poll`); without a
    /// tick, their acknowledgements would wait for some other device to speak.
    pub(crate) fn tick(&self) {
        self.say([(Bytes::from_static(b"tick"), 0, Control::Wake)]);
    }
}
