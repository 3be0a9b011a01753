//! The histories of the oracle's simulated patients, as devices send them.
//!
//! A history is cut into letters: what one device sends in one message. They come in the order of the series,
//! with all that it has of outages and overtaking. Letters of one *epoch* are on their way at one time, and so
//! may overtake each other besides; the next epoch waits for all of them. So nothing comes later than the
//! rules allow, whatever fails on the way.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::{DeviceId, Metric, PatientId, PayloadKind, unit};
use homeward_simulators::enrolment::Secret;
use homeward_simulators::uplink::{Sender, UplinkOptions, Uplinks};
use homeward_simulators::{AckLog, Broker, Counts, Hook, Measured, Message, Protocol};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::harness::{Device, Server, stamp, upload};
use crate::judged::Rule;
use crate::oracle::{Observation, series};

/// With the 20 hours that a series may take on its way it makes 23: less than the 24 that rules allow.
const EPOCH: TimeDelta = TimeDelta::hours(3);
/// A message is at most an hour of a glucose sensor.
const READINGS_A_LETTER: usize = 12;

/// A patient, with a care plan and devices, and what these have to send.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) patient: PatientId,
    pub(crate) rules: Vec<Rule>,
    pub(crate) devices: Vec<Device>,
    /// In the order in which they are sent.
    pub(crate) letters: Vec<Letter>,
}

/// One message of a device.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) device: DeviceId,
    pub(crate) message: Message,
    epoch: i64,
}

/// A letter is known by its first reading.
type Key = (DeviceId, Metric, DateTime<Utc>);

impl Letter {
    fn key(&self) -> Key {
        key(self.device, &self.message)
    }
}

fn key(device: DeviceId, message: &Message) -> Key {
    let first = &message.readings[0];
    (device, first.metric, first.at)
}

/// The series moved in time, so that what was measured at `present` was measured at `now`. What comes after that
/// is yet to be measured, and left out.
pub(crate) fn moved(series: &[Observation], present: DateTime<Utc>, now: DateTime<Utc>) -> Vec<Observation> {
    let by = now - present;
    let past = series.iter().filter(|observation| observation.at <= present);
    past.map(|observation| Observation {
        at: observation.at + by,
        received_at: observation.received_at + by,
        ..*observation
    })
    .collect()
}

/// When the last of a series was measured.
pub(crate) fn last_moment(series: &[Observation]) -> DateTime<Utc> {
    series.iter().map(|observation| observation.at).max().unwrap()
}

/// Rules with all conditions of a kind that the product takes, and a patient's readings for them: the last days,
/// where a week has more than it takes to judge.
pub(crate) fn of_kind(kind: &str, seed: u64) -> (Vec<Rule>, Vec<Observation>) {
    let days = match kind {
        "threshold" | "sustained" => 3,
        "rate" => 7,
        "time_in_range" => 14,
        _ => 28,
    };
    let rules = series::conditions(kind).into_iter().enumerate();
    let rules = rules.map(|(number, condition)| Rule::new(format!("{kind}-{number}"), condition));
    let mut readings = series::patient_week(seed, kind);
    let last = last_moment(&readings);
    readings.retain(|observation| last - observation.at < TimeDelta::days(days));
    (rules.filter(Rule::is_taken).collect(), readings)
}

impl Person {
    /// Enrols a patient with these rules, and a device for each of the series'.
    pub(crate) async fn enrol(server: &Server, rules: Vec<Rule>, series: &[Observation]) -> Person {
        let patient = server.add_patient(&[]).await;
        server.give(patient, &rules).await;
        let mut simulated: Vec<DeviceId> = series.iter().map(|observation| observation.device).collect();
        simulated.sort_unstable();
        simulated.dedup();
        let devices = server
            .add_devices(&vec![patient; simulated.len()], "simulated")
            .await;
        let real = simulated
            .into_iter()
            .zip(devices.iter().map(|device| device.id))
            .collect();
        Person {
            patient,
            rules,
            letters: letters(series, &real),
            devices,
        }
    }

    /// All that its devices send.
    pub(crate) fn readings(&self) -> impl Iterator<Item = (DeviceId, &Measured)> {
        self.letters.iter().flat_map(|letter| {
            letter
                .message
                .readings
                .iter()
                .map(|reading| (letter.device, reading))
        })
    }

    /// Sends what is not acknowledged yet, and waits until it is.
    async fn send(&self, senders: &BTreeMap<DeviceId, Sender>, acknowledged: &Acknowledged) {
        for epoch in self.letters.chunk_by(|one, next| one.epoch == next.epoch) {
            for letter in epoch.iter().filter(|letter| !acknowledged.has(&letter.key())) {
                senders[&letter.device].send(letter.message.clone()).await;
            }
            acknowledged
                .wait_for(epoch.iter().map(Letter::key).collect())
                .await;
        }
    }
}

/// Sends all that these people's devices have to send and that is not acknowledged, until it is, or until it is
/// stopped.
pub(crate) async fn send(
    people: &[Arc<Person>],
    broker: Broker,
    options: UplinkOptions,
    acknowledged: &Acknowledged,
    stop: &CancellationToken,
) -> Counts {
    let uplinks = Uplinks::new(broker, options, Some(acknowledged.hook()));
    let mut tasks = JoinSet::new();
    for person in people {
        let mut senders = BTreeMap::new();
        for device in &person.devices {
            let (sender, uplink) = uplinks.uplink(device.id, Secret(device.secret.clone()));
            senders.insert(device.id, sender);
            let stop = stop.clone();
            tasks.spawn(async move { uplink.run(&stop).await.unwrap() });
        }
        let (person, acknowledged, stop) = (Arc::clone(person), acknowledged.clone(), stop.clone());
        tasks.spawn(async move {
            let _ = stop
                .run_until_cancelled(person.send(&senders, &acknowledged))
                .await;
        });
    }
    tasks.join_all().await;
    uplinks.counts()
}

/// The broker of a server, spoken to in a version of MQTT.
pub(crate) fn broker(server: &Server, protocol: Protocol) -> Broker {
    Broker {
        host: server.mqtt.ip().to_string(),
        port: server.mqtt.port(),
        protocol,
    }
}

/// What was acknowledged, to all devices.
#[derive(Clone)]
pub(crate) struct Acknowledged {
    pub(crate) log: AckLog,
    letters: Arc<Mutex<HashSet<Key>>>,
    readings: Arc<watch::Sender<usize>>,
}

impl Acknowledged {
    pub(crate) fn new() -> Acknowledged {
        Acknowledged {
            log: AckLog::new(),
            letters: Arc::default(),
            readings: Arc::new(watch::Sender::new(0)),
        }
    }

    /// Waits until so many readings are.
    pub(crate) async fn reach(&self, readings: usize) {
        let mut seen = self.readings.subscribe();
        seen.wait_for(|seen| *seen >= readings).await.unwrap();
    }

    /// How many readings are.
    pub(crate) fn count(&self) -> usize {
        *self.readings.borrow()
    }

    fn has(&self, letter: &Key) -> bool {
        self.letters.lock().unwrap().contains(letter)
    }

    async fn wait_for(&self, letters: Vec<Key>) {
        let mut seen = self.readings.subscribe();
        seen.wait_for(|_| letters.iter().all(|letter| self.has(letter)))
            .await
            .unwrap();
    }

    fn hook(&self) -> Hook {
        let (log, all) = (self.log.hook(), self.clone());
        Arc::new(move |outcome| {
            if outcome.acknowledged() {
                log(outcome);
                let letter = key(outcome.device, outcome.message);
                all.letters.lock().unwrap().insert(letter);
                all.readings
                    .send_modify(|count| *count += outcome.message.readings.len());
            }
        })
    }
}

/// A series as letters of devices that are called otherwise in the record.
fn letters(series: &[Observation], devices: &BTreeMap<DeviceId, DeviceId>) -> Vec<Letter> {
    // What a device measures at one time comes at one time.
    let mut taken: BTreeMap<(DeviceId, DateTime<Utc>), Vec<&Observation>> = BTreeMap::new();
    for observation in series {
        taken
            .entry((observation.device, observation.at))
            .or_default()
            .push(observation);
    }
    let comes = |taken: &[&Observation]| taken.iter().map(|o| o.received_at).min().unwrap();
    let mut taken: Vec<_> = taken
        .into_iter()
        .map(|(key, taken)| (comes(&taken), key, taken))
        .collect();
    taken.sort_by_key(|(comes, key, _)| (*comes, *key));

    let mut letters: Vec<Letter> = Vec::new();
    // The letter that each device is writing.
    let mut open: BTreeMap<DeviceId, usize> = BTreeMap::new();
    let mut written: Vec<Vec<Value>> = Vec::new();
    for (comes, (device, _), taken) in taken {
        let epoch = comes.timestamp().div_euclid(EPOCH.num_seconds());
        let (values, measured) = measurements(&taken);
        let goes_on = open.get(&device).copied().filter(|index| {
            let letter = &letters[*index];
            letter.epoch == epoch && letter.message.readings.len() + measured.len() <= READINGS_A_LETTER
        });
        let index = goes_on.unwrap_or_else(|| {
            letters.push(Letter {
                device: devices[&device],
                message: Message {
                    kind: PayloadKind::Readings,
                    payload: Vec::new(),
                    readings: Vec::new(),
                },
                epoch,
            });
            written.push(Vec::new());
            letters.len() - 1
        });
        open.insert(device, index);
        written[index].extend(values);
        letters[index].message.readings.extend(measured);
    }
    for (letter, written) in letters.iter_mut().zip(written) {
        letter.message.payload = upload(&written);
    }
    letters
}

/// What a device measured at one time, as it writes it, and as the record has it then.
fn measurements(taken: &[&Observation]) -> (Vec<Value>, Vec<Measured>) {
    let at = taken[0].at;
    let of = |metric| taken.iter().find(|o| o.metric == metric).map(|o| o.value);
    let (mut values, mut measured) = (Vec::new(), Vec::new());
    let mut add = |value: Value, readings: &[(Metric, f64)]| {
        let mut value = value;
        value["at"] = json!(stamp(at));
        values.push(value);
        let readings = readings.iter().map(|(metric, value)| Measured {
            metric: *metric,
            at,
            value: *value,
        });
        measured.extend(readings);
    };
    if let Some(systolic) = of(Metric::Systolic) {
        // Nobody can send one without the other.
        let diastolic = of(Metric::Diastolic).unwrap_or((systolic * 0.6).round());
        let mut value = json!({"type": "blood_pressure", "systolic": systolic, "diastolic": diastolic});
        let mut readings = vec![(Metric::Systolic, systolic), (Metric::Diastolic, diastolic)];
        if let Some(irregular) = of(Metric::IrregularPulse) {
            value["irregular_pulse"] = json!(irregular > 0.0);
            readings.push((Metric::IrregularPulse, irregular));
        }
        add(value, &readings);
    }
    for observation in taken {
        let Observation { metric, value, .. } = **observation;
        let mut written = json!({"type": metric.name(), "value": value});
        match metric {
            Metric::Systolic | Metric::Diastolic | Metric::IrregularPulse => continue,
            Metric::Glucose => {
                let mg_per_dl = unit::mmol_per_l_to_mg_per_dl(value).round();
                let whole = unit::mg_per_dl_to_mmol_per_l(mg_per_dl) == value;
                let (value, unit) = if whole {
                    (mg_per_dl, "mg/dL")
                } else {
                    (value, "mmol/L")
                };
                written["value"] = json!(value);
                written["unit"] = json!(unit);
            }
            Metric::Steps => written["from"] = json!(stamp(at - TimeDelta::minutes(5))),
            Metric::Consciousness => written["value"] = json!(["A", "C", "V", "P", "U"][value as usize]),
            _ => {}
        }
        add(written, &[(metric, value)]);
    }
    (values, measured)
}
