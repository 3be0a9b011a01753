//! A well-behaved device that keeps working while others do not.

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::client::Client;
use super::device::{Device, heart_rate, times, upload};
use super::packet::{STORED, Version};
use super::server::Server;

/// A device that is connected the whole time and publishes one reading after the other, each when the one
/// before is acknowledged.
pub(crate) struct Witness {
    device: Device,
    stop: oneshot::Sender<()>,
    running: JoinSet<usize>,
}

impl Witness {
    /// Enrols and connects it, and waits for its first PUBACK.
    pub(crate) async fn start(server: &Server, version: Version) -> Witness {
        let device = server.enrol("witness").await;
        let mut client = device.connect(version).await;
        let (topic, mut at) = (device.topic("readings"), times());
        publish(&mut client, &topic, &mut at).await;

        let (stop, mut stopped) = oneshot::channel();
        let mut running = JoinSet::new();
        running.spawn(async move {
            let mut published = 1;
            while stopped.try_recv().is_err() {
                publish(&mut client, &topic, &mut at).await;
                published += 1;
                // As often as a busy device, so that one half-hour of times is enough.
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            // What happened last is behind it too.
            publish(&mut client, &topic, &mut at).await;
            client.disconnect().await;
            published + 1
        });
        Witness {
            device,
            stop,
            running,
        }
    }

    /// Ends it. Everything that it published must have been acknowledged as stored, and be in the record
    /// once, and its connection must not have been touched.
    pub(crate) async fn was_served(mut self, server: &Server) {
        let _ = self.stop.send(());
        let published = self
            .running
            .join_next()
            .await
            .unwrap()
            .expect("the witness was served all the time");
        assert_eq!(server.readings(&self.device).await.len(), published);
    }
}

async fn publish(
    client: &mut Client,
    topic: &str,
    at: &mut impl Iterator<Item = chrono::DateTime<chrono::Utc>>,
) {
    let at = at.next().expect("a test is over within half an hour");
    assert_eq!(client.upload(topic, upload(&[heart_rate(at, 60)])).await, STORED);
}
