//! Readings in the wrong order: devices that send what they kept the newest first, or after what came later.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use homeward_simulators::Protocol;
use homeward_simulators::uplink::UplinkOptions;
use tokio_util::sync::CancellationToken;

use crate::harness::*;
use crate::history::{Acknowledged, Person, broker, last_moment, moved, of_kind, send};
use crate::judged::{StoredEpisode, assert_judged, assert_same};
use crate::oracle::Observation;
use crate::oracle::series::KINDS;

const SEED: u64 = 5;
const HALF_DAY: i64 = 12 * 3_600;

/// The series as it comes when each reading is sent at once.
fn in_order(series: &[Observation]) -> Vec<Observation> {
    let at_once = series.iter().map(|observation| Observation {
        received_at: observation.at,
        ..*observation
    });
    at_once.collect()
}

/// The series as it comes when each half of a day is sent after it, the last first, so slowly that what was measured
/// later has been judged when the rest comes. Nothing takes longer than 20 hours.
fn reversed(series: &[Observation]) -> Vec<Observation> {
    let backwards = series.iter().map(|observation| {
        let half_day = observation.at.timestamp().div_euclid(HALF_DAY);
        let end = DateTime::<Utc>::from_timestamp((half_day + 1) * HALF_DAY, 0).unwrap();
        Observation {
            received_at: end + (end - observation.at) * 2 / 3,
            ..*observation
        }
    });
    backwards.collect()
}

/// The series as it comes when what is measured in every other five minutes is kept for six hours.
fn interleaved(series: &[Observation]) -> Vec<Observation> {
    let delayed = series.iter().map(|observation| {
        let is_kept = observation.at.timestamp().div_euclid(300) % 2 == 0;
        Observation {
            received_at: observation.at + TimeDelta::hours(if is_kept { 6 } else { 0 }),
            ..*observation
        }
    });
    delayed.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_6_readings_in_the_wrong_order_make_the_episodes_of_the_right_one() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let token = server.add_token("a test").await;
    let mut people = Vec::new();
    for kind in KINDS {
        let (rules, series) = of_kind(kind, SEED);
        // All of it is long over, so that it does not matter to an episode when its readings came.
        let series = moved(&series, last_moment(&series), now() - TimeDelta::days(2));
        for series in [in_order(&series), reversed(&series), interleaved(&series)] {
            people.push(Arc::new(Person::enrol(&server, rules.clone(), &series).await));
        }
    }
    let (broker, options) = (broker(&server, Protocol::V5), UplinkOptions::default());
    let counts = send(
        &people,
        broker,
        options,
        &Acknowledged::new(),
        &CancellationToken::new(),
    )
    .await;
    assert_eq!(counts.refused, 0);

    let mut withdrawn = 0;
    for (kind, people) in KINDS.iter().zip(people.chunks(3)) {
        let mut judged = Vec::new();
        for (person, order) in people.iter().zip(["in order", "backwards", "interleaved"]) {
            let whose = format!("{kind} {order}");
            let episodes = assert_judged(&server, person.patient, &person.rules, &whose).await;
            for episode in &episodes {
                withdrawn += usize::from(episode.is_withdrawn());
                if episode.is_withdrawn() {
                    assert_shown_as_withdrawn(&server, &token, episode).await;
                }
            }
            println!("{whose}: {} episodes", episodes.len());
            judged.push(episodes);
        }
        assert_same(&judged[0], &judged[1]);
        assert_same(&judged[0], &judged[2]);
    }
    assert!(withdrawn > 0, "none turned out to rest on nothing");
}

/// It does not vanish: whoever was told of it can see what became of it.
async fn assert_shown_as_withdrawn(server: &Server, token: &str, episode: &StoredEpisode) {
    let path = format!("/api/v1/alerts/{}", episode.episode_id);
    let answer = server.get(&path, token).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    let alert = answer.json();
    assert_eq!(alert["status"], "closed", "{alert}");
    assert!(alert["withdrawn_at"].is_string(), "{alert}");
    let transitions = alert["transitions"].as_array().unwrap();
    let kinds: Vec<_> = transitions
        .iter()
        .map(|transition| transition["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, episode.transitions, "{alert}");
    assert_eq!(kinds.last(), Some(&"withdrawn"), "{alert}");
}
