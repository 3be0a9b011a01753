//! Simulated patients on every programme, whose devices publish while everything around them fails.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::Metric;
use homeward_simulators::uplink::UplinkOptions;
use homeward_simulators::{Broker, Counts, Faults, Protocol};
use tokio_util::sync::CancellationToken;

use crate::harness::Server;
use crate::history::{Acknowledged, Person, broker, moved, send};
use crate::judged::{Rule, programme};
use crate::oracle::Observation;
use crate::oracle::series::{Days, patient_of_all_programmes};

/// How a fleet's messages travel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Way {
    /// Connections break and messages come twice, but each device's messages come in their order.
    InOrder,
    /// Messages are also lost for a while, and overtake each other.
    Reordered,
}

/// The programmes that a patient has one of, each of which has rules of the same names; and the one that goes
/// with all of them.
const DIABETES: [&str; 4] = [
    "diabetes-type-1",
    "diabetes-type-2",
    "diabetes-older",
    "diabetes-pregnancy",
];
const HYPERTENSION: [&str; 2] = ["hypertension", "hypertension-over-80"];
const EARLY_WARNING: [&str; 2] = ["virtual-ward", "copd"];
const HEART_FAILURE: &str = "heart-failure";

/// Every programme with every other: a patient each.
pub(crate) const PEOPLE: usize = DIABETES.len() * HYPERTENSION.len() * EARLY_WARNING.len();

/// How much of the past the devices send, up to the present: so most readings are late, and the last are not.
const DAYS: i64 = 13;
/// The days of the glucose sensors: of half of the patients long enough for the figures of two weeks, and of the
/// others shorter, since these are most of all readings.
const SENSOR_DAYS: [i64; 2] = [DAYS, 2];
const WATCH_DAYS: i64 = 1;
/// The days on which vital signs are measured. Before that the pressure at home is averaged without theirs.
const WARD_DAYS: i64 = 5;

/// A simulated fleet, enrolled.
pub(crate) struct Fleet {
    pub(crate) way: Way,
    pub(crate) people: Vec<Arc<Person>>,
    broker: Broker,
    options: UplinkOptions,
}

impl Fleet {
    /// Enrols the people who travel this way: half of all.
    pub(crate) async fn enrol(server: &Server, way: Way, seed: u64, now: DateTime<Utc>) -> Fleet {
        let mut people = Vec::new();
        for number in 0..PEOPLE {
            let (hypertension, early_warning) = (number / 4 % 2, number / 8);
            let travels = [Way::InOrder, Way::Reordered][(number + hypertension + early_warning) % 2];
            if travels != way {
                continue;
            }
            let programmes = [
                DIABETES[number % 4],
                HYPERTENSION[hypertension],
                EARLY_WARNING[early_warning],
                HEART_FAILURE,
            ];
            let sensor_days = SENSOR_DAYS[early_warning];
            let days = Days {
                all: DAYS,
                sensor: sensor_days,
                watch: WATCH_DAYS,
                ward: WARD_DAYS,
            };
            // The same people in every run: what happens to them is known to be enough.
            let series = patient_of_all_programmes(number as u64, &days);
            let series = moved(&series, present(&series), now - TimeDelta::minutes(1));
            people.push(Arc::new(Person::enrol(server, rules(&programmes), &series).await));
        }
        Fleet {
            way,
            people,
            broker: broker(
                server,
                match way {
                    Way::InOrder => Protocol::V5,
                    Way::Reordered => Protocol::V4,
                },
            ),
            options: UplinkOptions {
                faults: faults(way, seed),
                ..UplinkOptions::default()
            },
        }
    }

    /// How many devices there are.
    pub(crate) fn devices(&self) -> usize {
        self.people.iter().map(|person| person.devices.len()).sum()
    }

    /// How many readings they send.
    pub(crate) fn readings(&self) -> usize {
        self.people.iter().map(|person| person.readings().count()).sum()
    }

    /// Runs until everything is acknowledged.
    pub(crate) fn run(&self, acknowledged: &Acknowledged) -> impl Future<Output = Counts> + Send + use<> {
        let (people, broker, options) = (self.people.clone(), self.broker.clone(), self.options.clone());
        let acknowledged = acknowledged.clone();
        async move { send(&people, broker, options, &acknowledged, &CancellationToken::new()).await }
    }
}

/// The rules of these programmes, of which those that several have are taken once.
fn rules(programmes: &[&str]) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for rule in programmes.iter().flat_map(|name| programme(name)) {
        match rules.iter().find(|known| known.code == rule.code) {
            Some(known) => assert_eq!(*known, rule, "one code means one thing"),
            None => rules.push(rule),
        }
    }
    rules
}

/// When a series is broken off, so that something is going on at that time: at its last very low glucose.
fn present(series: &[Observation]) -> DateTime<Utc> {
    let last = series.iter().map(|observation| observation.at).max().unwrap();
    let very_low = series
        .iter()
        .filter(|o| o.metric == Metric::Glucose && o.value < 2.9);
    let very_low = very_low.map(|observation| observation.at).max();
    very_low
        .filter(|at| last - *at < TimeDelta::days(1))
        .unwrap_or(last)
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
