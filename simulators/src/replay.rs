//! Recorded series, published as by the devices that they came from.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use chrono::TimeDelta;
use homeward_record::DeviceId;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::counts::{Counts, Progress};
use crate::enrolment::SubjectEnrolment;
use crate::fleet::PROGRESS_EVERY;
use crate::link::Broker;
use crate::measurement::{Measurement, Message};
use crate::outcome::Hook;
use crate::series::{Recording, Series};
use crate::uplink::{Sender, UplinkOptions, Uplinks};

/// What is to be replayed, and how.
#[derive(Clone)]
pub struct ReplayConfig {
    /// Where to publish.
    pub broker: Broker,
    /// Which series it is.
    pub series: Series,
    /// Its file.
    pub file: PathBuf,
    /// The devices: one for each subject, named by it or in the order of the subjects' names.
    pub enrolments: Vec<SubjectEnrolment>,
    /// Most measurements in one message.
    pub per_message: usize,
    /// How the devices send, and what goes wrong with it.
    pub uplink: UplinkOptions,
    /// Is told of every message's first answer.
    pub hook: Option<Hook>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayReport {
    /// Messages and readings, over all devices.
    pub counts: Counts,
    /// Which device sent which subject's measurements, and how many.
    pub devices: Vec<(DeviceId, String, usize)>,
}

/// How long a replay tries to reach its broker.
const GIVE_UP_AFTER: Duration = Duration::from_secs(30);

impl ReplayConfig {
    /// A replay as fast as the broker acknowledges, ten measurements to a message, that gives up when the
    /// broker cannot be reached for half a minute.
    pub fn new(
        broker: Broker,
        series: Series,
        file: impl Into<PathBuf>,
        enrolments: Vec<SubjectEnrolment>,
    ) -> ReplayConfig {
        ReplayConfig {
            broker,
            series,
            file: file.into(),
            enrolments,
            per_message: 10,
            uplink: UplinkOptions {
                give_up_after: Some(GIVE_UP_AFTER),
                ..UplinkOptions::default()
            },
            hook: None,
        }
    }
}

/// Replays a series until all of it is acknowledged, or until it is cancelled. `progress` is called a few
/// times a second.
///
/// # Errors
///
/// If the file cannot be read, a subject has no device, the broker refuses a device, or cannot be reached
/// for longer than [`UplinkOptions::give_up_after`].
pub async fn run(
    config: ReplayConfig,
    cancel: CancellationToken,
    progress: impl Fn(Progress),
) -> Result<ReplayReport> {
    ensure!(config.per_message >= 1, "a message needs at least one reading");
    let recordings = config.series.read_file(&config.file)?;
    let assigned = assign(recordings, config.enrolments)?;
    let devices: Vec<_> = assigned
        .iter()
        .map(|(enrolment, recording)| {
            let measurements = recording.measurements.len();
            (enrolment.device_id, recording.subject.clone(), measurements)
        })
        .collect();
    let whole: usize = devices.iter().map(|(_, _, measurements)| measurements).sum();
    let replay = Arc::new(Replay {
        per_message: config.per_message,
        clock_skew: config.uplink.faults.clock_skew,
        uplinks: Uplinks::new(config.broker, config.uplink, config.hook),
        stop: cancel.child_token(),
    });
    let tracker = TaskTracker::new();
    let start = |(enrolment, recording)| tracker.spawn(Arc::clone(&replay).device(enrolment, recording));
    let tasks: Vec<_> = assigned.into_iter().map(start).collect();
    tracker.close();
    let telling = async {
        let mut ticks = interval(PROGRESS_EVERY);
        loop {
            ticks.tick().await;
            progress(replay.progress(devices.len(), whole));
        }
    };
    tokio::select! {
        () = tracker.wait() => {}
        () = telling => {}
    }
    progress(replay.progress(devices.len(), whole));
    for task in tasks {
        task.await.context("the task of a device died")??;
    }
    Ok(ReplayReport {
        counts: replay.uplinks.counts(),
        devices,
    })
}

/// What the devices of a replay share.
struct Replay {
    uplinks: Arc<Uplinks>,
    per_message: usize,
    clock_skew: TimeDelta,
    /// Cancelled from outside, or when a device fails: half a series is no replay.
    stop: CancellationToken,
}

impl Replay {
    async fn device(self: Arc<Self>, enrolment: SubjectEnrolment, recording: Recording) -> Result<()> {
        let (sender, uplink) = self.uplinks.uplink(enrolment.device_id, enrolment.secret);
        let feeding = async {
            tokio::select! {
                fed = self.feed(sender, &recording.measurements) => fed,
                () = self.stop.cancelled() => Ok(()),
            }
        };
        let ended = tokio::try_join!(feeding, uplink.run(&self.stop));
        if ended.is_err() {
            self.stop.cancel();
        }
        ended.map(|_| ())
    }

    async fn feed(&self, sender: Sender, measurements: &[Measurement]) -> Result<()> {
        for batch in measurements.chunks(self.per_message) {
            let skewed: Vec<_> = batch.iter().map(|m| m.clone().shifted(self.clock_skew)).collect();
            sender.send(Message::new(&skewed)?).await;
            let covered = batch.len() as u64;
            self.uplinks.totals.covered.fetch_add(covered, Ordering::Relaxed);
        }
        Ok(())
    }

    fn progress(&self, devices: usize, whole: usize) -> Progress {
        let totals = &self.uplinks.totals;
        Progress {
            devices,
            connected: totals.connected.load(Ordering::Relaxed),
            done: totals.done(whole as f64),
            live: false,
            counts: totals.counts(),
            trouble: totals.trouble(),
        }
    }
}

/// Finds a device for each recording: those that name its subject first, the others in their order.
fn assign(
    recordings: Vec<Recording>,
    enrolments: Vec<SubjectEnrolment>,
) -> Result<Vec<(SubjectEnrolment, Recording)>> {
    let (named, unnamed): (Vec<_>, Vec<_>) = enrolments
        .into_iter()
        .partition(|enrolment| enrolment.subject.is_some());
    let mut by_name = BTreeMap::new();
    for enrolment in named {
        let device = enrolment.device_id;
        let subject = enrolment.subject.clone().unwrap_or_default();
        let known = recordings.iter().any(|recording| recording.subject == subject);
        ensure!(
            known,
            "device {device} is enrolled for {subject:?}, whom the series does not have"
        );
        let twice = by_name.insert(subject, enrolment).is_some();
        ensure!(
            !twice,
            "device {device} is the second that is enrolled for its subject"
        );
    }
    let mut unnamed = unnamed.into_iter();
    let mut assigned = Vec::with_capacity(recordings.len());
    for recording in recordings {
        let subject = &recording.subject;
        let enrolment = by_name.remove(subject).or_else(|| unnamed.next());
        let enrolment =
            enrolment.with_context(|| format!("no device is enrolled for subject {subject:?}"))?;
        assigned.push((enrolment, recording));
    }
    Ok(assigned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrolment::read_lines;

    fn recordings() -> Vec<Recording> {
        let recording = |subject: &str| Recording {
            subject: subject.into(),
            measurements: Vec::new(),
        };
        vec![recording("A"), recording("B"), recording("C")]
    }

    fn check(lines: &str, expected: Result<[i64; 3], &str>) {
        let assigned = assign(recordings(), read_lines(lines).unwrap());
        let devices = assigned.map(|pairs| pairs.iter().map(|(e, _)| e.device_id.0).collect::<Vec<_>>());
        match (devices, expected) {
            (Ok(devices), expected) => assert_eq!(
                Ok(devices.as_slice()),
                expected.as_ref().map(|e| &e[..]).map_err(|e| *e)
            ),
            (Err(error), Err(expected)) => assert_eq!(error.to_string(), expected),
            (Err(error), Ok(_)) => panic!("{error}"),
        }
    }

    #[test]
    fn subjects_find_their_devices() {
        let line = |device: i64, subject: &str| {
            let subject = if subject.is_empty() {
                String::new()
            } else {
                format!(r#", "subject": "{subject}""#)
            };
            format!("{{\"device_id\": {device}, \"secret\": \"s\"{subject}}}\n")
        };
        let unnamed = line(1, "") + &line(2, "") + &line(3, "");
        check(&unnamed, Ok([1, 2, 3]));
        check(&(unnamed.clone() + &line(4, "B")), Ok([1, 4, 2]));
        check(&(line(1, "C") + &line(2, "A") + &line(3, "B")), Ok([2, 3, 1]));
        check(&line(1, ""), Err(r#"no device is enrolled for subject "B""#));
        check(
            &line(1, "D"),
            Err(r#"device 1 is enrolled for "D", whom the series does not have"#),
        );
        let twice = line(1, "A") + &line(2, "A");
        check(
            &twice,
            Err("device 2 is the second that is enrolled for its subject"),
        );
    }
}
