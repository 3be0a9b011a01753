//! Another number of lanes, and another process: the episodes stay those that the readings make.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use homeward_simulators::uplink::UplinkOptions;
use homeward_simulators::{Faults, Protocol};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::harness::*;
use crate::history::{Acknowledged, Person, broker, last_moment, moved, of_kind, send};
use crate::judged::assert_judged;
use crate::oracle::series::KINDS;

const SEED: u64 = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_6_other_lanes_and_another_process_make_the_same_episodes_of_every_kind() {
    let database = TestDatabase::create().await;
    let mut server = Server::start_with(&database, &[("HOMEWARD_LANES", "2")]).await;
    let mut people = Vec::new();
    for kind in KINDS {
        let (rules, series) = of_kind(kind, SEED);
        let series = moved(&series, last_moment(&series), now() - TimeDelta::minutes(1));
        people.push(Arc::new(Person::enrol(&server, rules, &series).await));
    }
    let readings: usize = people.iter().map(|person| person.readings().count()).sum();
    let options = UplinkOptions {
        faults: Faults {
            reorder: 0.1,
            duplicate: 0.05,
            ..Faults::default()
        },
        // What is not acknowledged when the process is replaced is sent to the other one.
        drain: Duration::ZERO,
        ..UplinkOptions::default()
    };
    let (acknowledged, stop) = (Acknowledged::new(), CancellationToken::new());
    let mut sending = JoinSet::new();
    {
        let (people, broker, options) = (people.clone(), broker(&server, Protocol::V4), options.clone());
        let (acknowledged, stop) = (acknowledged.clone(), stop.clone());
        sending.spawn(async move { send(&people, broker, options, &acknowledged, &stop).await });
    }

    // Nothing is left of what it remembers but the record, and patients come to other lanes.
    acknowledged.reach(readings / 4).await;
    server.kill().await;
    server.set("HOMEWARD_LANES", "5");
    server.start_again().await;
    acknowledged.reach(readings / 2).await;
    let mut successor = Server::start_with(&database, &[("HOMEWARD_LANES", "3")]).await;
    assert!(!server.exited().await.success(), "it has been replaced");
    stop.cancel();
    sending.join_all().await;
    let before = acknowledged.count();
    println!("{before} of {readings} readings before the other process");
    assert!(before < readings);

    let broker = broker(&successor, Protocol::V5);
    let counts = send(&people, broker, options, &acknowledged, &CancellationToken::new()).await;
    assert_eq!(counts.refused, 0);
    assert_eq!(acknowledged.count(), readings);
    for (kind, person) in KINDS.iter().zip(&people) {
        let episodes = assert_judged(&successor, person.patient, &person.rules, kind).await;
        println!("{kind}: {} episodes", episodes.len());
        assert!(episodes.len() > 1, "{kind}");
    }
    assert!(successor.stop().await.success());
}
