//! Loops that look after the connections that there are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use homeward_record::DeviceId;
use rumqttd::protocol::DisconnectReasonCode;
use tokio_util::sync::CancellationToken;

use super::link::Link;
use super::shared::Shared;
use crate::directory::Directory;

/// How long an acknowledgement may lie in the router for the reason that [`Link::tick`] gives.
const TICK: Duration = Duration::from_millis(50);
/// Ticks between two looks at all connections' oldest messages.
const TICKS_A_SWEEP: u32 = 20;
/// How often the record is asked for changes of devices when nothing announces one.
const POLL: Duration = Duration::from_secs(2);
/// How often it is written down when devices were last heard of: who asks wants to know of minutes.
const CONTACTS_WRITTEN: Duration = Duration::from_secs(10);

/// Keeps acknowledgements moving, and ends connections whose oldest message waits too long.
pub(super) async fn watch_connections(shared: Arc<Shared>, link: Arc<Link>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(TICK);
    for tick in 0_u32.. {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if shared.connections.waiting() > 0 {
            link.tick();
        }
        if tick.is_multiple_of(TICKS_A_SWEEP) {
            sweep(&shared, &link, Instant::now());
        }
    }
}

fn sweep(shared: &Shared, link: &Link, now: Instant) {
    let mut longest = Duration::ZERO;
    for connection in shared.connections.all() {
        let waits = connection
            .oldest_departure()
            .map(|since| now.saturating_duration_since(since));
        longest = longest.max(waits.unwrap_or_default());
        if waits.is_some_and(|waits| waits > shared.limits.acknowledge_within) {
            metrics::counter!("homeward_ingest_deadlines_passed_total").increment(1);
            tracing::info!(device_id = %connection.device, "a message waits too long: its connection is ended");
            link.close(&connection, DisconnectReasonCode::ServerBusy);
        }
    }
    metrics::gauge!("homeward_ingest_waiting_messages").set(shared.connections.waiting() as f64);
    metrics::gauge!("homeward_ingest_longest_wait_seconds").set(longest.as_secs_f64());
}

/// Writes down when devices were last heard of, every [`CONTACTS_WRITTEN`], and once more at the end.
pub(super) async fn watch_contacts(shared: Arc<Shared>, directory: Arc<Directory>, stop: CancellationToken) {
    let mut written = None;
    loop {
        let last = tokio::select! {
            () = stop.cancelled() => true,
            () = tokio::time::sleep(CONTACTS_WRITTEN) => false,
        };
        let heard = shared.connections.all();
        let heard = heard.iter().filter_map(|c| Some((c.device, c.heard()?)));
        let news = heard.filter(|(_, at)| written.is_none_or(|written| *at > written));
        let now = shared.clock.now();
        for (device, at) in news {
            shared.contacts.note(device, at);
        }
        // What is heard meanwhile is news the next time.
        written = Some(now);
        let contacts = shared.contacts.take();
        if let Err(error) = directory.note_contacts(&contacts).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "could not write down when devices were last heard of"
            );
            shared.contacts.put_back(contacts);
        }
        if last {
            return;
        }
    }
}

/// Ends the connections of devices that were revoked.
pub(super) async fn watch_devices(
    shared: Arc<Shared>,
    link: Arc<Link>,
    directory: Arc<Directory>,
    stop: CancellationToken,
) {
    let mut changes = directory.listen();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = changes.announced() => {}
            () = tokio::time::sleep(POLL) => {}
        }
        let connected = |device: DeviceId| shared.connections.of_device(device).is_some();
        match directory
            .refresh(connected, || {
                shared.connections.all().iter().map(|c| c.device).collect()
            })
            .await
        {
            Ok(revoked) => {
                for connection in revoked
                    .into_iter()
                    .filter_map(|device| shared.connections.of_device(device))
                {
                    tracing::info!(device_id = %connection.device, "a revoked device is disconnected");
                    link.close(&connection, DisconnectReasonCode::AdministrativeAction);
                }
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "could not look for changed devices"
                );
            }
        }
    }
}
