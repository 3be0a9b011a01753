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
    for connection in shared.connections.all() {
        let late = |since| now.saturating_duration_since(since) > shared.limits.acknowledge_within;
        if connection.oldest_departure().is_some_and(late) {
            metrics::counter!("homeward_ingest_deadlines_passed_total").increment(1);
            tracing::info!(device_id = %connection.device, "a message waits too long: its connection is ended");
            link.close(&connection, DisconnectReasonCode::ServerBusy);
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
