//! What the record holds of episodes, and whether those are the ones that the patient's readings make.
//!
//! The second opinion is the [`oracle`]'s: it reads the programmes' own JSON, works on all readings at once, and
//! shares no code with what judges them as they come. It has no opinion on silence, which a timer raises and not
//! a reading: rules of that kind are left out of every comparison here.

use std::path::Path;

use chrono::{DateTime, Utc};
use homeward_alerts::Definition;
use homeward_record::{DeviceId, Metric, PatientId};
use homeward_store::admin::{self, NewRule};
use serde_json::{Value, json};

use crate::harness::{Server, now};
use crate::oracle::{self, Episode, Observation, Reading};

/// A rule of a care plan.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rule {
    pub(crate) code: String,
    pub(crate) definition: Value,
}

impl Rule {
    /// A rule with this condition.
    pub(crate) fn new(code: impl Into<String>, condition: Value) -> Rule {
        let code = code.into();
        let definition = json!({
            "name": code, "severity": "low", "condition": condition, "guidance": "None.", "source": "A test.",
        });
        Rule { code, definition }
    }

    pub(crate) fn condition(&self) -> &Value {
        &self.definition["condition"]
    }

    /// The kind of its condition.
    pub(crate) fn kind(&self) -> &str {
        self.condition()["kind"].as_str().unwrap()
    }

    /// Whether the product takes it.
    pub(crate) fn is_taken(&self) -> bool {
        Definition::parse(&self.definition).is_ok()
    }
}

/// The rules of a programme but those of silence, read from its file.
pub(crate) fn programme(name: &str) -> Vec<Rule> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("alerts/programmes/{name}.json"));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let programme: Value = serde_json::from_str(&text).unwrap();
    let rules = programme["rules"].as_array().unwrap().iter().map(|rule| Rule {
        code: rule["code"].as_str().unwrap().to_owned(),
        definition: rule["definition"].clone(),
    });
    rules.filter(|rule| rule.kind() != "silence").collect()
}

impl Server {
    /// Gives a patient a care plan of these rules.
    pub(crate) async fn give(&self, patient: PatientId, rules: &[Rule]) {
        // As the product reads and writes them.
        let definitions = rules
            .iter()
            .map(|rule| serde_json::to_value(Definition::parse(&rule.definition).unwrap()).unwrap());
        let definitions: Vec<_> = definitions.collect();
        let new: Vec<_> = rules
            .iter()
            .zip(&definitions)
            .map(|(rule, definition)| NewRule {
                patient,
                code: &rule.code,
                programme: "a test",
                definition,
                always_on: false,
            })
            .collect();
        let mut transaction = self.pool.begin().await.unwrap();
        admin::set_rules(&mut transaction, &new, "a test", "a test", now())
            .await
            .unwrap();
        transaction.commit().await.unwrap();
    }

    /// All readings of a patient.
    pub(crate) async fn observations(&self, patient: PatientId) -> Vec<Observation> {
        type Row = (i16, DateTime<Utc>, f64, i64, DateTime<Utc>);
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT metric, time, value, device_id, received_at FROM reading WHERE patient_id = $1",
        )
        .bind(patient.0)
        .fetch_all(&self.pool)
        .await
        .unwrap();
        rows.into_iter()
            .map(|(metric, at, value, device, received_at)| Observation {
                metric: metric_of(metric),
                at,
                value,
                device: DeviceId(device),
                received_at,
            })
            .collect()
    }

    /// The episodes of a patient with what happened to them, in the order in which their conditions came to hold;
    /// also those that were withdrawn, but none of silence.
    pub(crate) async fn judged(&self, patient: PatientId) -> Vec<StoredEpisode> {
        sqlx::query_as(
            "SELECT episode.*, ARRAY(SELECT kind FROM episode_transition
                 WHERE episode_transition.episode_id = episode.episode_id ORDER BY transition_id) AS transitions
             FROM episode JOIN care_plan_rule USING (rule_id)
             WHERE episode.patient_id = $1 AND definition #>> '{condition,kind}' <> 'silence'
             ORDER BY met_at, episode_id",
        )
        .bind(patient.0)
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }
}

/// An episode as the record has it, with everything that happened to it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct StoredEpisode {
    pub(crate) episode_id: i64,
    pub(crate) code: String,
    pub(crate) status: String,
    pub(crate) late: bool,
    met_at: DateTime<Utc>,
    onset_at: DateTime<Utc>,
    onset_value: f64,
    onset_metric: i16,
    onset_figure: Option<f64>,
    latest_at: DateTime<Utc>,
    latest_value: f64,
    latest_metric: i16,
    latest_figure: Option<f64>,
    worst_at: DateTime<Utc>,
    worst_value: f64,
    worst_metric: i16,
    worst_figure: Option<f64>,
    ended_at: Option<DateTime<Utc>>,
    withdrawn_at: Option<DateTime<Utc>>,
    pub(crate) transitions: Vec<String>,
}

impl StoredEpisode {
    pub(crate) fn is_withdrawn(&self) -> bool {
        self.withdrawn_at.is_some()
    }

    pub(crate) fn is_open(&self) -> bool {
        self.status == "raised" || self.status == "acknowledged"
    }

    /// What it says, as the oracle would.
    pub(crate) fn told(&self) -> Episode {
        let reading = |metric, at, value, figure| Reading {
            metric: metric_of(metric),
            at,
            value,
            figure,
        };
        Episode {
            onset: reading(
                self.onset_metric,
                self.onset_at,
                self.onset_value,
                self.onset_figure,
            ),
            latest: reading(
                self.latest_metric,
                self.latest_at,
                self.latest_value,
                self.latest_figure,
            ),
            worst: reading(
                self.worst_metric,
                self.worst_at,
                self.worst_value,
                self.worst_figure,
            ),
            cleared_at: self.ended_at,
            late: self.late,
        }
    }

    /// How often this happened to it.
    fn times(&self, kind: &str) -> usize {
        self.transitions.iter().filter(|other| *other == kind).count()
    }

    /// What happened to it makes it what it is. Nobody has seen to it.
    fn assert_transitions(&self, whose: &str) {
        let what = format!("{self:?} of {whose}");
        assert_eq!(self.transitions[0], "raised", "{what}");
        assert_eq!(self.times("raised"), 1, "{what}");
        let known = [
            "raised",
            "became_current",
            "amended",
            "reopened",
            "cleared",
            "withdrawn",
        ];
        let all_known = self.transitions.iter().all(|kind| known.contains(&kind.as_str()));
        assert!(all_known, "{what}");
        if self.is_withdrawn() {
            assert_eq!(self.status, "closed", "{what}");
            assert_eq!(self.transitions.last().unwrap(), "withdrawn", "{what}");
            assert_eq!(self.times("withdrawn"), 1, "{what}");
            return;
        }
        let status = if self.ended_at.is_none() {
            "raised"
        } else {
            "cleared"
        };
        assert_eq!(self.status, status, "{what}");
        let ended = self.times("cleared") - self.times("reopened");
        assert_eq!(ended, usize::from(self.ended_at.is_some()), "{what}");
        assert_eq!(self.times("withdrawn"), 0, "{what}");
        if self.times("amended") == 0 {
            let became_current = self.times("became_current");
            assert!(became_current <= usize::from(!self.late), "{what}");
        }
    }
}

fn metric_of(code: i16) -> Metric {
    Metric::from_code(code).expect("the record holds metrics that there are")
}

/// Compares the episodes of a patient who has these rules with those that the patient's readings make, one by
/// one: the readings with which each began, its latest and its worst with their figures, when it ended, and
/// whether it is late. Answers them, with those that were withdrawn.
pub(crate) async fn assert_judged(
    server: &Server,
    patient: PatientId,
    rules: &[Rule],
    whose: &str,
) -> Vec<StoredEpisode> {
    let observations = server.observations(patient).await;
    let episodes = server.judged(patient).await;
    for episode in &episodes {
        let planned = rules.iter().any(|rule| rule.code == episode.code);
        assert!(planned, "{episode:?} of {whose} is of none of the rules");
        episode.assert_transitions(whose);
    }
    for rule in rules.iter().filter(|rule| rule.kind() != "silence") {
        let stored: Vec<_> = episodes
            .iter()
            .filter(|episode| episode.code == rule.code && !episode.is_withdrawn())
            .collect();
        let expected = oracle::episodes(rule.condition(), &observations);
        let what = format!("episodes of {} of {whose}, {}", rule.code, rule.condition());
        for (stored, expected) in stored.iter().zip(&expected) {
            let told = stored.told();
            assert!(
                same(&told, expected),
                "{what}: the record has {told:#?}, the readings make {expected:#?}; it happened: {:?}",
                stored.transitions
            );
        }
        assert_eq!(stored.len(), expected.len(), "{what}");
    }
    episodes
}

/// Nothing overtook anything: no episode turned out to be other than it was thought.
pub(crate) fn assert_nothing_amended(episodes: &[StoredEpisode]) {
    for episode in episodes {
        let other = ["amended", "reopened", "withdrawn"]
            .iter()
            .any(|kind| episode.times(kind) > 0);
        assert!(!other, "{episode:?}");
    }
}

/// Two patients have the same episodes, but for what was withdrawn.
pub(crate) fn assert_same(one: &[StoredEpisode], other: &[StoredEpisode]) {
    let lasting = |episodes: &[StoredEpisode]| {
        let mut lasting: Vec<_> = episodes.iter().filter(|e| !e.is_withdrawn()).cloned().collect();
        // The order of those of several rules that began at one time is that of their recording.
        lasting.sort_by_key(|episode| (episode.code.clone(), episode.met_at));
        lasting
    };
    let (one, other) = (lasting(one), lasting(other));
    for (one, other) in one.iter().zip(&other) {
        assert_eq!(one.code, other.code);
        assert!(same(&one.told(), &other.told()), "{one:#?} {other:#?}");
    }
    assert_eq!(one.len(), other.len());
}

/// Whether two episodes are the same. Figures may differ by the noise of summing in another order.
fn same(one: &Episode, other: &Episode) -> bool {
    let close = |one: Option<f64>, other: Option<f64>| match (one, other) {
        (Some(one), Some(other)) => (one - other).abs() <= 1e-9 * one.abs().max(1.0),
        (one, other) => one == other,
    };
    let reading = |one: &Reading, other: &Reading| {
        (one.metric, one.at, one.value) == (other.metric, other.at, other.value)
            && close(one.figure, other.figure)
    };
    reading(&one.onset, &other.onset)
        && reading(&one.latest, &other.latest)
        && reading(&one.worst, &other.worst)
        && one.cleared_at == other.cleared_at
        && one.late == other.late
}
