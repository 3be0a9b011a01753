//! Whether the record is what it has to be, once everything that was sent is acknowledged.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use homeward_alerts::Programme;
use homeward_record::DeviceId;
use homeward_simulators::Measured;

use super::fleet::Fleet;
use crate::harness::Server;
use crate::judged::{Rule, StoredEpisode, assert_judged, programme};

/// A reading as it is known by: device, metric and time; with its patient and value.
type Readings = HashMap<(i64, i16, DateTime<Utc>), (i64, f64)>;

/// Every acknowledged reading is in the record once, everything that was sent is acknowledged, and nothing else
/// is there.
pub(crate) async fn assert_stored_once(
    server: &Server,
    fleets: &[Fleet],
    acknowledged: &[(DeviceId, Measured)],
) {
    let mut sent = Readings::new();
    for person in fleets.iter().flat_map(|fleet| &fleet.people) {
        for (device, reading) in person.readings() {
            let key = (device.0, reading.metric.code(), reading.at);
            let twice = sent.insert(key, (person.patient.0, reading.value));
            assert_eq!(twice, None, "a device measures a thing once at a time");
        }
    }
    let rows: Vec<(i64, i16, DateTime<Utc>, i64, f64)> =
        sqlx::query_as("SELECT device_id, metric, time, patient_id, value FROM reading")
            .fetch_all(&server.pool)
            .await
            .unwrap();
    let mut stored = Readings::new();
    for (device, metric, at, patient, value) in rows {
        let twice = stored.insert((device, metric, at), (patient, value));
        assert_eq!(
            twice, None,
            "metric {metric} of device {device} at {at} is there twice"
        );
    }
    let mut told = HashSet::new();
    for (device, reading) in acknowledged {
        let key = (device.0, reading.metric.code(), reading.at);
        assert!(told.insert(key), "{key:?} was acknowledged as two messages");
        assert_eq!(stored.get(&key), sent.get(&key), "acknowledged: {key:?}");
    }
    assert_eq!(told.len(), sent.len(), "all that was sent is acknowledged");
    assert!(stored == sent, "nothing is stored that was not sent");

    let rejected: i64 = sqlx::query_scalar("SELECT count(*) FROM rejected_message")
        .fetch_one(&server.pool)
        .await
        .unwrap();
    assert_eq!(rejected, 0);
}

/// The episodes of each person are those that the readings make. Answers them, with their rules.
pub(crate) async fn assert_fleet_judged(server: &Server, fleet: &Fleet) -> Vec<(Rule, StoredEpisode)> {
    let mut all = Vec::new();
    for person in &fleet.people {
        let whose = format!("patient {} ({:?})", person.patient, fleet.way);
        for episode in assert_judged(server, person.patient, &person.rules, &whose).await {
            let rule = person.rules.iter().find(|rule| rule.code == episode.code);
            all.push((rule.unwrap().clone(), episode));
        }
    }
    all
}

/// There was something to judge for every kind of rule of every programme, and of every sort.
pub(crate) fn assert_all_happened(judged: &[(Rule, StoredEpisode)]) {
    for name in Programme::names() {
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        for rule in programme(name) {
            let episodes = judged.iter().filter(|(of, _)| *of == rule).count();
            *kinds.entry(rule.kind().to_owned()).or_default() += episodes;
        }
        println!("{name}: {kinds:?}");
        assert!(kinds.values().all(|episodes| *episodes > 0), "{name}: {kinds:?}");
    }
    type Is = fn(&StoredEpisode) -> bool;
    let sorts: [(&str, Is); 5] = [
        ("open", StoredEpisode::is_open),
        ("cleared", |episode| episode.status == "cleared"),
        ("late", |episode| episode.late),
        ("of now", |episode| !episode.late),
        ("amended", |episode| {
            episode.transitions.iter().any(|kind| kind == "amended")
        }),
    ];
    for (sort, is) in sorts {
        let episodes = judged.iter().filter(|(_, episode)| is(episode)).count();
        println!("{sort}: {episodes}");
        assert!(episodes > 0, "{sort}");
    }
}
