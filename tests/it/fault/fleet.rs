//! Simulated devices that publish while everything around them fails.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::{DeviceId, PatientId};
use homeward_simulators::enrolment::{Enrolment, Secret};
use homeward_simulators::fleet::{FleetConfig, FleetReport, run};
use homeward_simulators::physiology::{DeviceKind, ScriptKind};
use homeward_simulators::{AckLog, Broker, Faults, Measurement, Planned, Protocol, Start};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::harness::{Device, Server};
use crate::oracle::Sample;

/// How much of the past the devices send, up to the present: so most readings are late, and the last are not.
const PAST: TimeDelta = TimeDelta::hours(40);
const READINGS_A_MESSAGE: usize = 3;

/// How a fleet's messages travel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Way {
    /// Connections break and messages come twice, but each device's messages come in their order.
    InOrder,
    /// Messages are also lost for a while, and overtake each other.
    Reordered,
}

/// A simulated fleet, enrolled.
pub(crate) struct Fleet {
    pub(crate) way: Way,
    pub(crate) people: Vec<Person>,
    config: FleetConfig,
}

/// A patient of a fleet.
pub(crate) struct Person {
    pub(crate) patient: PatientId,
    pub(crate) programme: &'static str,
    /// What the patient's devices send, each in the order of time.
    pub(crate) sent: BTreeMap<DeviceId, Vec<Sample>>,
}

/// The acknowledgements of all fleets.
#[derive(Clone)]
pub(crate) struct Acknowledged {
    pub(crate) log: AckLog,
    readings: Arc<watch::Sender<usize>>,
}

impl Acknowledged {
    pub(crate) fn new() -> Acknowledged {
        Acknowledged {
            log: AckLog::new(),
            readings: Arc::new(watch::Sender::new(0)),
        }
    }

    /// Waits until so many readings are acknowledged.
    pub(crate) async fn reach(&self, readings: usize) {
        let mut seen = self.readings.subscribe();
        seen.wait_for(|seen| *seen >= readings).await.unwrap();
    }
}

/// The people of a fleet: their devices, and how many there are of them.
const PEOPLE: [(&[DeviceKind], &str, usize); 4] = [
    (&[DeviceKind::Cgm], "diabetes", 20),
    (&[DeviceKind::Cuff, DeviceKind::Smartwatch], "hypertension", 8),
    (&[DeviceKind::Cuff], "hypertension", 4),
    // A measurement by another device comes in between: a matter of luck which comes first.
    (&[DeviceKind::Cgm, DeviceKind::Meter], "diabetes", 6),
];

impl Fleet {
    /// Enrols a fleet and decides what happens to its patients.
    pub(crate) async fn enrol(
        server: &Server,
        way: Way,
        acknowledged: &Acknowledged,
        seed: u64,
        now: DateTime<Utc>,
    ) -> Fleet {
        let mut chance = StdRng::seed_from_u64(seed);
        let mut members = Vec::new();
        let mut scripts = Vec::new();
        for (kinds, programme, count) in PEOPLE {
            // In order is what one device of a metric sends.
            if way == Way::InOrder && kinds.contains(&DeviceKind::Meter) {
                continue;
            }
            for _ in 0..count {
                let number = members.len() as u64 + 1;
                let patient = server.add_patient(&[programme]).await;
                let mut devices = Vec::new();
                for kind in kinds {
                    devices.push((*kind, server.enrol_for(patient, "simulated").await));
                }
                scripts.extend(happenings(number, kinds, &mut chance));
                members.push((number, patient, programme, devices));
            }
        }
        let enrolments = members
            .iter()
            .flat_map(|(number, .., devices)| {
                devices
                    .iter()
                    .map(|(kind, device)| enrolment(device, *kind, *number))
            })
            .collect();
        let mut config = FleetConfig::new(broker(server, way), enrolments, now - PAST, now);
        config.seed = seed;
        config.per_message = READINGS_A_MESSAGE;
        config.scripts = scripts;
        config.uplink.faults = faults(way, seed);
        let (log, readings) = (acknowledged.log.hook(), Arc::clone(&acknowledged.readings));
        config.hook = Some(Arc::new(move |outcome| {
            log(outcome);
            readings.send_modify(|count| *count += outcome.message.readings.len());
        }));
        let people = members
            .into_iter()
            .map(|(number, patient, programme, devices)| Person {
                patient,
                programme,
                sent: devices
                    .iter()
                    .map(|(kind, device)| {
                        let kind = enrolment(device, *kind, number).device();
                        let measured = config.patient(number).readings(kind, config.from, config.to);
                        (device.id, samples(&measured))
                    })
                    .collect(),
            })
            .collect();
        Fleet { way, people, config }
    }

    /// How many devices there are.
    pub(crate) fn devices(&self) -> usize {
        self.config.enrolments.len()
    }

    /// How many readings its devices send.
    pub(crate) fn readings(&self) -> usize {
        self.people
            .iter()
            .flat_map(|person| person.sent.values())
            .map(Vec::len)
            .sum()
    }

    /// Runs until everything is acknowledged.
    pub(crate) fn run(&self) -> impl Future<Output = FleetReport> + Send + use<> {
        let config = self.config.clone();
        async move { run(config, CancellationToken::new(), |_| {}).await.unwrap() }
    }
}

impl Person {
    /// What all devices of the patient send, in the order in which it is judged.
    pub(crate) fn series(&self) -> Vec<Sample> {
        let mut series: Vec<_> = self.sent.values().flatten().copied().collect();
        series.sort_by_key(|sample| (sample.at, sample.metric.code()));
        series
    }
}

/// What happens to a patient: something in most cases, and something that lasts until now in some.
fn happenings(patient: u64, kinds: &[DeviceKind], chance: &mut StdRng) -> Vec<Planned> {
    let acute = match kinds.contains(&DeviceKind::Cgm) {
        true => ScriptKind::Hypo,
        false => ScriptKind::HypertensiveCrisis,
    };
    let mut planned = Vec::new();
    for (kind, most, likely) in [(acute, 4, 0.8), (ScriptKind::Deterioration, 1, 0.3)] {
        for _ in 0..most {
            let minutes = chance.random_range(0..PAST.num_minutes());
            if chance.random_bool(likely) {
                planned.push((kind, minutes));
            }
        }
    }
    if chance.random_bool(0.3) {
        planned.push((acute, chance.random_range(1..25)));
    }
    planned
        .into_iter()
        .map(|(kind, minutes)| Planned {
            patient,
            kind,
            at: Start::Live(TimeDelta::minutes(-minutes)),
        })
        .collect()
}

fn faults(way: Way, seed: u64) -> Faults {
    let reorder = match way {
        Way::InOrder => 0.0,
        Way::Reordered => 0.1,
    };
    Faults {
        drop: reorder / 5.0,
        duplicate: 0.05,
        reorder,
        disconnect: 0.005,
        seed,
        ..Faults::default()
    }
}

fn broker(server: &Server, way: Way) -> Broker {
    Broker {
        host: server.mqtt.ip().to_string(),
        port: server.mqtt.port(),
        protocol: match way {
            Way::InOrder => Protocol::V5,
            Way::Reordered => Protocol::V4,
        },
    }
}

fn enrolment(device: &Device, kind: DeviceKind, patient: u64) -> Enrolment {
    Enrolment {
        device_id: device.id,
        secret: Secret(device.secret.clone()),
        kind,
        patient,
        every_s: None,
    }
}

fn samples(measured: &[Measurement]) -> Vec<Sample> {
    let readings = measured.iter().flat_map(Measurement::readings);
    readings
        .map(|reading| Sample {
            metric: reading.metric,
            at: reading.at,
            value: reading.value,
        })
        .collect()
}
