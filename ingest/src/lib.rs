//! From MQTT to the record.
//!
//! A message comes in at the [broker](broker), whose guard knows its device; the [intake](intake) reads it and
//! finds its patients; their [lane](lane) commits it, with every episode that it raises; and only then does
//! the device hear that it is acknowledged. A PUBACK means that the reading, and every alert it raises, is
//! committed to the patient record.

pub mod again;
mod broker;
mod commit;
mod contacts;
mod delivery;
mod directory;
mod entrance;
mod intake;
mod lane;
mod limits;
mod message;

use std::net::SocketAddr;
use std::sync::Arc;

use chrono::TimeDelta;
use homeward_alerts::judging::Plans;
use homeward_front::Introductions;
use homeward_record::Clock;
use homeward_store::{Gate, PgPool};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::broker::BrokerError;
use self::broker::{Broker, Entry, Shared};
use self::directory::Directory;
pub use self::entrance::{Entrance, NotTaken};
use self::intake::Intake;
use self::lane::{Lane, LaneIndex};
pub use self::limits::Limits;
pub use self::message::Outcome;

/// Messages between the broker and the intake. Their bytes are bounded by [`Limits::bytes_in_flight`].
const INTAKE_QUEUE: usize = 32 * 1024;
/// Parts of messages between the intake and one lane: some batches' worth.
const LANE_QUEUE: usize = 4 * 1024;

/// How ingest is to work.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen for MQTT. Port 0 lets the system choose.
    pub mqtt_listen: SocketAddr,
    /// Whom the broker believes that they connect for others.
    pub introductions: Introductions,
    /// A device has to show a certificate whose common name is its id, beside its secret.
    pub device_certificates: bool,
    /// Lanes that commit side by side, each with its share of the patients.
    pub lanes: usize,
    /// For how long the record keeps readings: older ones are rejected.
    pub retention: TimeDelta,
    /// What devices may ask of the broker.
    pub limits: Limits,
}

/// Why ingest did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The record could not be read.
    #[error("could not read the record")]
    Record(#[from] homeward_store::Error),
    /// The broker did not start.
    #[error("could not start the MQTT broker")]
    Broker(#[from] BrokerError),
}

/// Running ingest.
pub struct Ingest {
    broker: Broker,
    intake: CancellationToken,
    watchers: CancellationToken,
    tasks: TaskTracker,
    deaths: mpsc::Receiver<&'static str>,
}

/// Starts the broker, the intake and the lanes. The lanes have a pool to themselves, of one connection each:
/// so devices that all connect at once, and whose credentials are looked up through `pool`, delay no reading.
pub async fn start(
    config: Config,
    pool: PgPool,
    lane_pool: PgPool,
    clock: Clock,
) -> Result<Ingest, StartError> {
    let gate = Gate::take_over(&pool).await?;
    let directory = Arc::new(Directory::new(pool, gate.version));
    let tasks = TaskTracker::new();
    let (deliver, deliveries) = mpsc::channel(INTAKE_QUEUE);
    let back_to_intake = deliver.downgrade();
    let entry = Entry {
        introductions: config.introductions,
        device_certificates: config.device_certificates,
    };
    let shared = Arc::new(Shared::new(config.limits, entry, clock.clone(), deliver));
    let broker = Broker::start(config.mqtt_listen, shared, Arc::clone(&directory), &tasks).await?;
    let watchers = CancellationToken::new();
    broker.watch(&directory, &tasks, &watchers);

    let count = config.lanes.max(1);
    // Each says when it ends, and so does the intake; none should before the stop.
    let (died, deaths) = mpsc::channel(count + 1);
    let mut lanes = Vec::with_capacity(count);
    for index in 0..count {
        let (parts_in, parts_out) = mpsc::channel(LANE_QUEUE);
        let lane = Lane {
            index: LaneIndex { index, lanes: count },
            pool: lane_pool.clone(),
            writer: gate.writer,
            clock: clock.clone(),
            directory: Arc::clone(&directory),
            link: Arc::clone(&broker.link),
            intake: back_to_intake.clone(),
            plans: Plans::default(),
            commit_within: lane::COMMIT_WITHIN,
        };
        tasks.spawn(announce_death("a lane", died.clone(), lane.run(parts_out)));
        lanes.push(parts_in);
    }
    let stop_intake = CancellationToken::new();
    let intake = Intake {
        directory,
        contacts: Arc::clone(&broker.shared.contacts),
        lanes,
        retention: config.retention,
    };
    let run_intake = intake.run(deliveries, stop_intake.clone());
    tasks.spawn(announce_death("the intake", died, run_intake));
    Ok(Ingest {
        broker,
        intake: stop_intake,
        watchers,
        tasks,
        deaths,
    })
}

/// Runs a task and says when it has ended, also by a panic.
async fn announce_death(
    name: &'static str,
    died: mpsc::Sender<&'static str>,
    task: impl Future<Output = ()> + Send,
) {
    struct Announcement(&'static str, mpsc::Sender<&'static str>);
    impl Drop for Announcement {
        fn drop(&mut self) {
            // There is room for each task's one word.
            let _ = self.1.try_send(self.0);
        }
    }
    let _announcement = Announcement(name, died);
    task.await;
}

impl Ingest {
    /// Where the broker listens.
    pub fn mqtt_address(&self) -> SocketAddr {
        self.broker.address
    }

    /// The way in for readings that come over no broker.
    pub fn entrance(&self) -> Entrance {
        Entrance::new(Arc::clone(&self.broker.shared))
    }

    /// Resolves when a part has died that must not: the process can no longer keep its promise. Says which.
    pub async fn died(&mut self) -> String {
        tokio::select! {
            () = self.broker.link.broken() => "the broker's router".to_owned(),
            name = self.deaths.recv() => name.unwrap_or("ingest").to_owned(),
            listener = &mut self.broker.listener => {
                listener.unwrap_or_else(|panic| format!("the MQTT listener: {panic}"))
            }
        }
    }

    /// Stops without loss: takes nothing more from devices, commits and acknowledges what was taken, and
    /// closes the connections.
    pub async fn stop(self) {
        self.broker.shared.drain();
        self.intake.cancel();
        self.watchers.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.broker.stop().await;
    }
}
