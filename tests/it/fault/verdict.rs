//! Whether the record is what it has to be, once everything that was sent is acknowledged.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use homeward_record::DeviceId;
use homeward_simulators::Measured;

use super::fleet::{Fleet, Person, Way};
use crate::harness::Server;
use crate::oracle::{Rule, Sample, StoredEpisode, assert_judged_in_order, programme};

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
        for (device, samples) in &person.sent {
            for sample in samples {
                let key = (device.0, sample.metric.code(), sample.at);
                let twice = sent.insert(key, (person.patient.0, sample.value));
                assert_eq!(twice, None, "a device measures a thing once at a time");
            }
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

/// Every episode is one that the readings make. Answers how many there are.
pub(crate) async fn assert_judged(server: &Server, fleet: &Fleet) -> usize {
    let mut count = 0;
    for person in &fleet.people {
        let rules = programme(person.programme);
        let stored = server.judged(person.patient).await;
        let whose = format!("patient {} ({:?})", person.patient, fleet.way);
        for rule in &rules {
            let stored: Vec<_> = stored
                .iter()
                .filter(|episode| episode.code == rule.code)
                .collect();
            assert_sound(rule, person, &stored, &whose);
        }
        if fleet.way == Way::InOrder {
            let arrivals = server.arrivals(person.patient).await;
            assert_judged_in_order(&rules, &person.series(), &arrivals, &stored, &whose);
        }
        count += stored.len();
    }
    count
}

/// What must hold of a rule's episodes in whichever order the readings came.
fn assert_sound(rule: &Rule, person: &Person, stored: &[&StoredEpisode], whose: &str) {
    let series = person.series();
    let breaching: Vec<&Sample> = series
        .iter()
        .filter(|sample| rule.is_breached_by(sample))
        .collect();
    let open = stored.iter().filter(|episode| episode.is_open()).count();
    assert!(open <= 1, "{open} open episodes of {} of {whose}", rule.code);
    // Each reading is judged once, so it begins one episode at most.
    let mut onsets: Vec<Sample> = Vec::new();
    for episode in stored {
        let what = format!("{episode:?} of {whose}");
        let (onset, latest, worst) = (episode.onset(), episode.latest(), episode.worst());
        for reading in [onset, latest, worst] {
            assert!(
                breaching.contains(&&reading),
                "{reading:?} does not breach the rule: {what}"
            );
            assert!(episode.covers(reading.at), "{reading:?} is outside: {what}");
        }
        assert!(rule.excess(&worst) >= rule.excess(&onset), "{what}");
        assert!(rule.excess(&worst) >= rule.excess(&latest), "{what}");
        onsets.push(onset);
        let begins = |at: &Sample| onsets.iter().filter(|onset| *onset == at).count();
        let measured = |at: &Sample| breaching.iter().filter(|sample| **sample == at).count();
        assert!(begins(&onset) <= measured(&onset), "raised twice: {what}");
        assert_transitions(episode, &what);
        if rule.is_threshold() && episode.is_open() {
            // Whatever breached the rule since the onset belongs to it.
            let members = breaching.iter().filter(|sample| sample.at >= onset.at).copied();
            let excess = members.clone().map(|sample| rule.excess(sample));
            assert_eq!(
                Some(latest.at),
                members.clone().map(|sample| sample.at).max(),
                "{what}"
            );
            assert_eq!(rule.excess(&worst), excess.fold(0.0, f64::max), "{what}");
        }
    }
    if rule.is_threshold() {
        for sample in breaching {
            let covered = stored.iter().any(|episode| episode.covers(sample.at));
            assert!(covered, "{sample:?} of {whose} is in no episode of {}", rule.code);
        }
    }
}

/// Raised once, and cleared once if it is over; nobody has seen to it.
fn assert_transitions(episode: &StoredEpisode, what: &str) {
    let mut kinds = episode.transitions.iter().map(String::as_str);
    assert_eq!(kinds.next(), Some("raised"), "{what}");
    let rest: Vec<_> = kinds.collect();
    let expected: &[&[&str]] = match (episode.is_open(), episode.late) {
        (true, true) => &[&[]],
        (true, false) => &[&[], &["became_current"]],
        (false, true) => &[&["cleared"]],
        (false, false) => &[&["cleared"], &["became_current", "cleared"]],
    };
    assert!(expected.contains(&rest.as_slice()), "{what}");
}
