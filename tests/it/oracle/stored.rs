//! What the record holds of episodes, and whether that is what has to be there.

use chrono::{DateTime, Utc};
use homeward_record::{Metric, PatientId};

use super::{Arrivals, Rule, Sample, episodes, is_late};
use crate::harness::Server;

/// An episode as the record has it, with everything that happened to it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct StoredEpisode {
    pub(crate) code: String,
    pub(crate) status: String,
    pub(crate) late: bool,
    onset_at: DateTime<Utc>,
    onset_value: f64,
    onset_metric: i16,
    latest_at: DateTime<Utc>,
    latest_value: f64,
    latest_metric: i16,
    worst_at: DateTime<Utc>,
    worst_value: f64,
    worst_metric: i16,
    pub(crate) transitions: Vec<String>,
}

impl StoredEpisode {
    pub(crate) fn onset(&self) -> Sample {
        sample(self.onset_metric, self.onset_at, self.onset_value)
    }

    pub(crate) fn latest(&self) -> Sample {
        sample(self.latest_metric, self.latest_at, self.latest_value)
    }

    pub(crate) fn worst(&self) -> Sample {
        sample(self.worst_metric, self.worst_at, self.worst_value)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.status == "raised" || self.status == "acknowledged"
    }

    /// Whether an instant is between its onset and its latest reading.
    pub(crate) fn covers(&self, at: DateTime<Utc>) -> bool {
        (self.onset_at..=self.latest_at).contains(&at)
    }
}

fn sample(metric: i16, at: DateTime<Utc>, value: f64) -> Sample {
    let metric = Metric::from_code(metric).expect("the record holds metrics that there are");
    Sample { metric, at, value }
}

impl Server {
    /// The episodes of a patient with what happened to them, in the order of their onsets.
    pub(crate) async fn judged(&self, patient: PatientId) -> Vec<StoredEpisode> {
        sqlx::query_as(
            "SELECT episode.*, ARRAY(SELECT kind FROM episode_transition
                 WHERE episode_transition.episode_id = episode.episode_id ORDER BY transition_id) AS transitions
             FROM episode WHERE patient_id = $1 ORDER BY onset_at, episode_id",
        )
        .bind(patient.0)
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    /// When each reading of a patient arrived. The patient must have one device for a metric.
    pub(crate) async fn arrivals(&self, patient: PatientId) -> Arrivals {
        let rows: Vec<(i16, DateTime<Utc>, DateTime<Utc>)> =
            sqlx::query_as("SELECT metric, time, received_at FROM reading WHERE patient_id = $1")
                .bind(patient.0)
                .fetch_all(&self.pool)
                .await
                .unwrap();
        rows.into_iter()
            .map(|(metric, at, received_at)| ((Metric::from_code(metric).unwrap(), at), received_at))
            .collect()
    }
}

/// What is compared of an episode.
#[derive(Debug, PartialEq)]
struct Told<'a> {
    onset: Sample,
    latest: Sample,
    worst: Sample,
    late: bool,
    status: &'static str,
    transitions: Vec<&'a str>,
}

/// Compares the episodes of one patient with those that the patient's readings make when they are judged in
/// their order, one by one. Nobody may have acknowledged any.
pub(crate) fn assert_judged_in_order(
    rules: &[Rule],
    series: &[Sample],
    arrivals: &Arrivals,
    stored: &[StoredEpisode],
    whose: &str,
) {
    for rule in rules {
        let expected: Vec<_> = episodes(rule, series)
            .into_iter()
            .map(|episode| {
                let raised_late = is_late(&episode.members[0], arrivals);
                let late = episode.members.iter().all(|sample| is_late(sample, arrivals));
                let happened = [
                    ("raised", true),
                    ("became_current", raised_late && !late),
                    ("cleared", episode.cleared),
                ];
                Told {
                    onset: episode.onset,
                    latest: episode.latest,
                    worst: episode.worst,
                    late,
                    status: if episode.cleared { "cleared" } else { "raised" },
                    transitions: happened
                        .into_iter()
                        .filter(|(_, happened)| *happened)
                        .map(|(kind, _)| kind)
                        .collect(),
                }
            })
            .collect();
        let stored: Vec<_> = stored
            .iter()
            .filter(|episode| episode.code == rule.code)
            .map(|episode| Told {
                onset: episode.onset(),
                latest: episode.latest(),
                worst: episode.worst(),
                late: episode.late,
                status: if episode.is_open() { "raised" } else { "cleared" },
                transitions: episode.transitions.iter().map(String::as_str).collect(),
            })
            .collect();
        assert_eq!(stored, expected, "episodes of rule {} of {whose}", rule.code);
    }
}
