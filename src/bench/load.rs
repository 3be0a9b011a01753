//! Load on the broker, and what it measures.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::task::TaskTracker;

use super::mqtt::Device;

/// Between two readings of a device, by its own clock: what a smartwatch that measures all day has. The time for which
/// rules look back is full of readings then, and of no more than there are of a patient.
pub(super) const BETWEEN_READINGS: TimeDelta = TimeDelta::minutes(1);

/// A device that the record knows.
#[derive(Clone, Debug)]
pub(super) struct Enrolled {
    pub(super) id: String,
    pub(super) secret: String,
}

/// How the devices publish.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Readings in each message.
    pub(super) readings: usize,
    /// Messages that each device has unacknowledged.
    pub(super) window: usize,
    /// Time between a device's messages; none publishes as fast as they are acknowledged.
    pub(super) pace: Option<Duration>,
    /// When the first reading was measured.
    pub(super) first_reading: DateTime<Utc>,
    /// Between two readings of a device, by its own clock.
    pub(super) between: TimeDelta,
}

/// What a load brought.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// Readings acknowledged in the time measured.
    pub(super) readings: u64,
    /// For how long it was measured.
    pub(super) seconds: f64,
    /// Publish to PUBACK, of each message in the time measured.
    pub(super) latencies: Vec<Duration>,
}

impl Load {
    /// Acknowledged readings a second.
    pub(super) fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let readings = self.readings as f64;
        readings / self.seconds
    }
}

/// Connects every device. Gently: a listener has a backlog.
pub(super) async fn connect(broker: SocketAddr, devices: &[Enrolled]) -> Result<Vec<Device>> {
    let mut connected = Vec::with_capacity(devices.len());
    for some in devices.chunks(50) {
        let tasks: Vec<_> = some
            .iter()
            .cloned()
            .map(|device| async move { Device::connect(broker, &device.id, &device.secret).await })
            .collect();
        let mut set = tokio::task::JoinSet::new();
        tasks.into_iter().for_each(|task| drop(set.spawn(task)));
        while let Some(device) = set.join_next().await {
            connected.push(device??);
        }
    }
    Ok(connected)
}

/// Publishes from all devices, and measures after a warm-up.
pub(super) async fn run(
    devices: Vec<Device>,
    shape: Shape,
    warm_up: Duration,
    measure: Duration,
) -> Result<Load> {
    let acknowledged = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let tracker = TaskTracker::new();
    let measure_from = Instant::now() + warm_up;
    let started = Instant::now();
    let handles: Vec<_> = devices
        .into_iter()
        .enumerate()
        .map(|(index, device)| {
            let (acknowledged, stop) = (Arc::clone(&acknowledged), Arc::clone(&stop));
            tracker.spawn(async move {
                // Paced devices do not all speak at once.
                if let Some(pace) = shape.pace {
                    tokio::time::sleep(pace.mul_f64(fraction(index))).await;
                }
                publish(device, shape, measure_from, &acknowledged, &stop).await
            })
        })
        .collect();

    tokio::time::sleep_until((started + warm_up).into()).await;
    let (from, before) = (Instant::now(), acknowledged.load(Ordering::Relaxed));
    tokio::time::sleep(measure).await;
    let (seconds, after) = (from.elapsed().as_secs_f64(), acknowledged.load(Ordering::Relaxed));
    stop.store(true, Ordering::Relaxed);

    let mut load = Load {
        readings: after - before,
        seconds,
        latencies: Vec::new(),
    };
    for handle in handles {
        load.latencies.extend(handle.await??);
    }
    load.latencies.sort_unstable();
    Ok(load)
}

async fn publish(
    device: Device,
    shape: Shape,
    measure_from: Instant,
    acknowledged: &AtomicU64,
    stop: &AtomicBool,
) -> Result<Vec<Duration>> {
    let Device {
        acknowledged: mut acks,
        mut publisher,
    } = device;
    let mut payload = Payload {
        next: shape.first_reading,
        between: shape.between,
        count: 0,
    };
    let mut in_flight: HashMap<u16, Instant> = HashMap::with_capacity(shape.window);
    let mut latencies = Vec::new();
    let mut packet_id = 0_u16;
    let mut next_publish = Instant::now();
    loop {
        let stopping = stop.load(Ordering::Relaxed);
        if stopping && in_flight.is_empty() {
            return Ok(latencies);
        }
        let mut due = if stopping {
            0
        } else {
            shape.window - in_flight.len()
        };
        if let Some(pace) = shape.pace.filter(|_| due > 0) {
            due = usize::from(Instant::now() >= next_publish);
            if due > 0 {
                next_publish += pace;
            }
        }
        for _ in 0..due {
            packet_id = packet_id.checked_add(1).unwrap_or(1);
            publisher.publish(packet_id, &payload.next(shape.readings));
            in_flight.insert(packet_id, Instant::now());
        }
        if due > 0 {
            publisher.flush().await?;
        }
        let heard = match shape.pace {
            Some(_) if !stopping && in_flight.len() < shape.window => {
                tokio::time::timeout_at(next_publish.into(), acks.next())
                    .await
                    .ok()
                    .transpose()?
            }
            _ => Some(acks.next().await?),
        };
        for packet in heard.into_iter().flatten() {
            if let Some(since) = in_flight.remove(&packet).filter(|since| *since >= measure_from) {
                latencies.push(since.elapsed());
            }
            acknowledged.fetch_add(shape.readings as u64, Ordering::Relaxed);
        }
    }
}

/// Native JSON of heart rates.
struct Payload {
    next: DateTime<Utc>,
    between: TimeDelta,
    count: u64,
}

impl Payload {
    fn next(&mut self, readings: usize) -> Vec<u8> {
        use std::io::Write;
        let mut json = Vec::with_capacity(80 * readings + 16);
        json.extend(br#"{"readings":["#);
        for index in 0..readings {
            let comma = if index > 0 { "," } else { "" };
            let (at, value) = (self.next.format("%Y-%m-%dT%H:%M:%S%.3fZ"), 60 + self.count % 40);
            write!(
                json,
                r#"{comma}{{"type":"heart_rate","at":"{at}","value":{value}}}"#
            )
            .expect("writing to memory succeeds");
            self.next += self.between;
            self.count += 1;
        }
        json.extend(b"]}");
        json
    }
}

/// Spreads numbers evenly between 0 and 1, however many there are.
fn fraction(index: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "an index is far below 2^52")]
    let index = index as f64;
    (index * 0.618_033_988_75).fract()
}
