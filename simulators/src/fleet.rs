//! Many simulated devices at once: first through a period of the past, then, if wanted, live.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};
use homeward_record::{Clock, DeviceId};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;

use crate::cohort::profile;
use crate::counts::{Counts, Progress};
use crate::deterioration::DETERIORATIONS;
use crate::device::{Course, SimulatedDevice};
use crate::enrolment::Enrolment;
use crate::link::Broker;
use crate::outcome::Hook;
use crate::pace::{Pace, Speed};
use crate::physiology::{Condition, Patient};
use crate::plan::{Planned, Start};
use crate::uplink::{UplinkOptions, Uplinks};

/// What a fleet is to do.
#[derive(Clone)]
pub struct FleetConfig {
    /// Where to publish.
    pub broker: Broker,
    /// The devices.
    pub enrolments: Vec<Enrolment>,
    /// Where chance begins: the same seed gives the same patients.
    pub seed: u64,
    /// Beginning of the simulated period.
    pub from: DateTime<Utc>,
    /// Its end, not included.
    pub to: DateTime<Utc>,
    /// How fast its time passes.
    pub speed: Speed,
    /// Most readings in one message, as long as the period lasts; live, each goes out when it is due.
    pub per_message: usize,
    /// Whether the devices go on after the period until they are cancelled, at the same speed but never
    /// ahead of the clock.
    pub live: bool,
    /// What happens to whom.
    pub scripts: Vec<Planned>,
    /// Patients whose bodies differ from most others': the number in [`Enrolment::patient`], and how.
    pub conditions: BTreeMap<u64, Condition>,
    /// How devices send, and what goes wrong with it.
    pub uplink: UplinkOptions,
    /// Connections made a second, at first.
    pub connects_per_second: u32,
    /// What live devices take for the present.
    pub clock: Clock,
    /// Is told of every message's first answer.
    pub hook: Option<Hook>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct FleetReport {
    /// Messages and readings, over all devices.
    pub counts: Counts,
    /// Devices that had to give up, and why.
    pub failed: Vec<(DeviceId, String)>,
}

/// How often progress is told.
pub(crate) const PROGRESS_EVERY: Duration = Duration::from_millis(250);
/// How long the devices of patients with a live script may keep the others waiting, so that what happens
/// within the first minute is not stuck behind everybody's past.
const HEAD_START: Duration = Duration::from_secs(20);

impl FleetConfig {
    /// A fleet that sends this period's readings as fast as they are acknowledged, ten to a message.
    pub fn new(
        broker: Broker,
        enrolments: Vec<Enrolment>,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> FleetConfig {
        FleetConfig {
            broker,
            enrolments,
            seed: 1,
            from,
            to,
            speed: Speed::Max,
            per_message: 10,
            live: false,
            scripts: Vec::new(),
            conditions: BTreeMap::new(),
            uplink: UplinkOptions::default(),
            // A stock broker accepts about one connection a millisecond; a quarter of that leaves room.
            connects_per_second: 250,
            clock: Clock::System,
            hook: None,
        }
    }

    /// The same fleet, whose patients, in this order, are those of a demo: their bodies are those of their
    /// [`profile`], and the [`DETERIORATIONS`] happen to them, as far as they begin within the period.
    pub fn with_cohort(mut self, patients: &[u64]) -> FleetConfig {
        for (place, patient) in patients.iter().enumerate() {
            self.conditions.insert(*patient, profile(place).condition);
        }
        for deterioration in &DETERIORATIONS {
            let begins_within = deterioration.span(self.to).0 >= self.from;
            if let Some(patient) = patients.get(deterioration.place).filter(|_| begins_within) {
                self.scripts.push(deterioration.planned(*patient));
            }
        }
        self
    }

    /// What this patient's devices measure, as the fleet sends it, but for the clock skew.
    pub fn patient(&self, number: u64) -> Patient {
        let scripts = self.scripts.iter().filter(|planned| planned.patient == number);
        let condition = self.conditions.get(&number).copied().unwrap_or_default();
        Patient::with_condition(self.seed, number, condition)
            .with_scripts(scripts.map(|planned| planned.script(self.to)))
    }

    fn check(&self) -> Result<()> {
        ensure!(
            self.from <= self.to,
            "the period ends ({}) before it begins ({})",
            self.to,
            self.from
        );
        ensure!(self.per_message >= 1, "a message needs at least one reading");
        ensure!(
            self.connects_per_second >= 1,
            "a fleet needs at least one connection a second"
        );
        let mut seen = BTreeSet::new();
        for enrolment in &self.enrolments {
            let device = enrolment.device_id;
            ensure!(seen.insert(device), "device {device} is enrolled twice");
        }
        let patients: BTreeSet<_> = self
            .enrolments
            .iter()
            .map(|enrolment| enrolment.patient)
            .collect();
        for planned in &self.scripts {
            let patient = planned.patient;
            ensure!(
                patients.contains(&patient),
                "a script is for patient {patient}, who has no device"
            );
        }
        Ok(())
    }

    fn course(&self) -> Course {
        Course {
            from: self.from,
            to: self.to,
            live: self.live,
            pace: Pace {
                speed: self.speed,
                from: self.from,
                begun: Instant::now(),
                clock: self.clock.clone(),
            },
            per_message: self.per_message,
            clock_skew: self.uplink.faults.clock_skew,
        }
    }
}

/// Runs a fleet until its period is over and everything is acknowledged, or, live, until it is cancelled.
///
/// `progress` is called a few times a second. A device that the broker refuses is reported at the end and
/// does not stop the others.
///
/// # Errors
///
/// If the configuration contradicts itself.
pub async fn run(
    config: FleetConfig,
    cancel: CancellationToken,
    progress: impl Fn(Progress),
) -> Result<FleetReport> {
    config.check()?;
    let fleet = Fleet::new(config, cancel);
    let mut tasks = Vec::with_capacity(fleet.config.enrolments.len());
    let telling = async {
        let mut ticks = interval(PROGRESS_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            progress(fleet.progress());
        }
    };
    tokio::select! {
        () = fleet.start_and_wait(&mut tasks) => {}
        () = telling => {}
    }
    progress(fleet.progress());
    let mut failed = Vec::new();
    for (device, task) in tasks {
        let ended = task
            .await
            .with_context(|| format!("the task of device {device} died"))?;
        failed.extend(ended.err().map(|error| (device, format!("{error:#}"))));
    }
    Ok(FleetReport {
        counts: fleet.uplinks.counts(),
        failed,
    })
}

struct Fleet {
    config: FleetConfig,
    course: Arc<Course>,
    uplinks: Arc<Uplinks>,
    tracker: TaskTracker,
    cancel: CancellationToken,
}

type Task = (DeviceId, JoinHandle<Result<()>>);

impl Fleet {
    fn new(config: FleetConfig, cancel: CancellationToken) -> Fleet {
        let uplinks = Uplinks::new(config.broker.clone(), config.uplink.clone(), config.hook.clone());
        Fleet {
            course: Arc::new(config.course()),
            uplinks,
            tracker: TaskTracker::new(),
            cancel,
            config,
        }
    }

    /// Starts the devices one by one, those first to which something happens as soon as they are live, and
    /// waits for all to end.
    async fn start_and_wait(&self, tasks: &mut Vec<Task>) {
        let soon: BTreeSet<u64> = self
            .config
            .scripts
            .iter()
            .filter(|planned| self.config.live && matches!(planned.at, Start::Live(_)))
            .map(|planned| planned.patient)
            .collect();
        let (first, others): (Vec<_>, Vec<_>) = self
            .config
            .enrolments
            .iter()
            .partition(|enrolment| soon.contains(&enrolment.patient));
        let mut ramp = interval(Duration::from_secs(1) / self.config.connects_per_second);
        // A late start is not made up for by a burst.
        ramp.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for enrolment in &first {
            ramp.tick().await;
            tasks.push((enrolment.device_id, self.start(enrolment)));
        }
        if !first.is_empty() && !others.is_empty() {
            self.head_start(first.len() as u64).await;
        }
        for enrolment in others {
            ramp.tick().await;
            if self.cancel.is_cancelled() {
                break;
            }
            tasks.push((enrolment.device_id, self.start(enrolment)));
        }
        self.tracker.close();
        self.tracker.wait().await;
    }

    async fn head_start(&self, devices: u64) {
        let begun = Instant::now();
        let caught_up = || self.uplinks.totals.caught_up.load(Ordering::Relaxed);
        while caught_up() < devices && begun.elapsed() < HEAD_START && !self.cancel.is_cancelled() {
            sleep(PROGRESS_EVERY / 5).await;
        }
    }

    fn start(&self, enrolment: &Enrolment) -> JoinHandle<Result<()>> {
        let patient = self.config.patient(enrolment.patient);
        let device = enrolment.device();
        let course = Arc::clone(&self.course);
        let uplinks = Arc::clone(&self.uplinks);
        let cancel = self.cancel.clone();
        let (sender, uplink) = self.uplinks.uplink(enrolment.device_id, enrolment.secret.clone());
        self.tracker.spawn(async move {
            let simulated = SimulatedDevice {
                patient,
                device,
                course: &course,
                uplinks: &uplinks,
            };
            let ended = tokio::try_join!(simulated.run(sender, &cancel), uplink.run(&cancel));
            ended.map(|_| ()).inspect_err(|reason| error!("{reason:#}"))
        })
    }

    fn progress(&self) -> Progress {
        let totals = &self.uplinks.totals;
        let devices = self.config.enrolments.len();
        let whole = (self.config.to - self.config.from).num_seconds() as f64 * devices as f64;
        Progress {
            devices,
            connected: totals.connected.load(Ordering::Relaxed),
            done: totals.done(whole),
            live: self.config.live && totals.caught_up.load(Ordering::Relaxed) >= devices as u64,
            counts: totals.counts(),
            trouble: totals.trouble(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrolment::Secret;
    use crate::physiology::{DeviceKind, Script, ScriptKind};

    fn config() -> FleetConfig {
        let enrolments = vec![Enrolment {
            device_id: DeviceId(17),
            secret: Secret("s".into()),
            kind: DeviceKind::Cgm,
            patient: 4,
            every_s: None,
        }];
        let to: DateTime<Utc> = "2026-11-22T08:00:00Z".parse().unwrap();
        let broker = "127.0.0.1:1".parse().unwrap();
        FleetConfig::new(broker, enrolments, to - chrono::TimeDelta::days(1), to)
    }

    #[test]
    fn contradictions_are_refused() {
        let faults: [fn(&mut FleetConfig); 5] = [
            |c| c.from = c.to + chrono::TimeDelta::seconds(1),
            |c| c.per_message = 0,
            |c| c.connects_per_second = 0,
            |c| c.enrolments.push(c.enrolments[0].clone()),
            |c| c.scripts.push("hypo:5@live".parse().unwrap()),
        ];
        assert!(config().check().is_ok());
        for fault in faults {
            let mut config = config();
            fault(&mut config);
            assert!(config.check().is_err());
        }
    }

    #[test]
    fn the_patient_of_a_fleet_has_its_scripts() {
        let mut config = config();
        config.scripts = vec!["hypo:4@live-3600".parse().unwrap()];
        let device = config.enrolments[0].device();
        let plain = Patient::new(config.seed, 4);
        let [with, without] = [config.patient(4), plain].map(|p| p.readings(device, config.from, config.to));
        assert_ne!(with, without);
        let script = Script {
            kind: ScriptKind::Hypo,
            at: config.to - chrono::TimeDelta::hours(1),
        };
        assert!(with.iter().any(|measurement| measurement.at() == script.at));
    }

    #[tokio::test]
    async fn a_cancelled_fleet_ends_though_no_broker_is_there() {
        let mut config = config();
        config.uplink.drain = Duration::from_millis(50);
        let cancel = CancellationToken::new();
        let stop = cancel.clone();
        let report = run(config, cancel, move |progress| {
            if progress.trouble.is_some() {
                stop.cancel();
            }
        })
        .await
        .unwrap();
        assert_eq!(report.counts, Counts::default());
        assert!(report.failed.is_empty());
    }

    #[tokio::test]
    async fn a_device_that_measures_nothing_rests_while_it_is_live() {
        let mut config = config();
        config.to = Clock::System.now();
        config.from = config.to - chrono::TimeDelta::hours(1);
        config.live = true;
        config.scripts = vec!["silent_sensor:4@live-7200".parse().unwrap()];
        config.uplink.drain = Duration::ZERO;
        let cancel = CancellationToken::new();
        let stop = cancel.clone();
        let report = run(config, cancel, move |progress| {
            if progress.live {
                stop.cancel();
            }
        })
        .await
        .unwrap();
        assert_eq!(report.counts, Counts::default());
    }

    #[tokio::test]
    async fn an_unreachable_broker_is_named() {
        let mut config = config();
        config.uplink.give_up_after = Some(Duration::ZERO);
        let report = run(config, CancellationToken::new(), |_| {}).await.unwrap();
        let (device, why) = &report.failed[0];
        assert_eq!(*device, DeviceId(17));
        assert!(
            why.starts_with("the broker at 127.0.0.1:1 cannot be reached: "),
            "{why}"
        );
    }
}
