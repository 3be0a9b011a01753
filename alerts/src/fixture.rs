//! A record with patients, rules and receivers, for tests of what time and people do about episodes.

use std::sync::LazyLock;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use homeward_record::{EpisodeId, Metric, NhsNumber, PatientId};
use homeward_store::admin::{
    NewPatient, NewReceiver, NewRule, add_organisation, add_patients, add_receiver, set_rules,
};
use homeward_store::episodes::{Action, Outcome, act};
use homeward_store::outbox::enqueue_raised;
use homeward_store::secrets::Keyring;
use homeward_store::testing::TestDatabase;
use homeward_store::{EpisodeFacts, EpisodeWrite, PgPool, Touchable, load_touchable, write_episodes};
use serde_json::{Value, json};
use sqlx::Postgres;
use sqlx::pool::PoolConnection;

/// Minutes after noon.
pub(crate) fn minute(minute: i64) -> DateTime<Utc> {
    let noon: DateTime<Utc> = "2026-11-22T12:00:00Z".parse().unwrap();
    noon + TimeDelta::minutes(minute)
}

/// The name of every patient: nothing that leaves the record may have it in it.
pub(crate) const NAME: &str = "Ada Simulated";

/// How the NHS number of every patient begins.
pub(crate) const NHS_NUMBER: &str = "999";

/// What seals secrets in all tests.
pub(crate) static KEYS: LazyLock<Keyring> = LazyLock::new(Keyring::random);

pub(crate) struct Record {
    pub(crate) database: TestDatabase,
}

impl Record {
    pub(crate) async fn new() -> Record {
        let database = TestDatabase::create().await;
        Record { database }
    }

    pub(crate) fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    pub(crate) async fn connection(&self) -> PoolConnection<Postgres> {
        self.pool().acquire().await.unwrap()
    }

    /// Adds a patient; the first has the number 1001.
    pub(crate) async fn add_patient(&self, organisation: Option<i64>) -> PatientId {
        let mut connection = self.connection().await;
        let patients: u32 = self
            .one::<i64>("SELECT count(*) FROM patient")
            .await
            .try_into()
            .unwrap();
        let nhs_number = (999_000_000 + patients * 10..)
            .find_map(NhsNumber::from_stem)
            .unwrap();
        let new = NewPatient {
            nhs_number: &nhs_number,
            name: NAME,
            born: NaiveDate::default(),
            organisation,
            team: None,
        };
        add_patients(&mut connection, &[new]).await.unwrap()[0]
    }

    pub(crate) async fn add_organisation(&self) -> i64 {
        let mut connection = self.connection().await;
        add_organisation(&mut connection, "gp_practice", "High Street")
            .await
            .unwrap()
    }

    /// Adds a receiver, to whom e-mail goes where it has no secret.
    pub(crate) async fn add_receiver(&self, new: NewReceiver<'_>) -> i64 {
        let mut connection = self.connection().await;
        add_receiver(&mut connection, &KEYS, &new).await.unwrap()
    }

    /// Puts a rule into a patient's plan, with `more` above a definition of glucose below 3.
    pub(crate) async fn add_rule(&self, patient: PatientId, code: &str, severity: &str, more: Value) {
        let mut definition = json!({
            "name": "Glucose very low",
            "severity": severity,
            "condition": {"kind": "threshold", "limits": [{"metric": "glucose", "below": 3.0}]},
            "guidance": "Treat it.",
            "source": "A test.",
        });
        for (key, value) in more.as_object().unwrap() {
            definition[key] = value.clone();
        }
        let new = NewRule {
            patient,
            code,
            programme: "test",
            definition: &definition,
            always_on: false,
        };
        let mut transaction = self.pool().begin().await.unwrap();
        set_rules(&mut transaction, &[new], "a test", "a test", minute(0))
            .await
            .unwrap();
        transaction.commit().await.unwrap();
    }

    /// Adds a patient with one rule, raises an episode of it, and answers with the episode.
    pub(crate) async fn raise_for_new_patient(&self, severity: &str, now: DateTime<Utc>) -> EpisodeId {
        let patient = self.add_patient(None).await;
        self.add_rule(patient, "glucose", severity, json!({})).await;
        self.raise(patient, "glucose", now).await
    }

    /// Raises an episode of a patient's rule, as a lane does.
    pub(crate) async fn raise(&self, patient: PatientId, code: &str, now: DateTime<Utc>) -> EpisodeId {
        let mut transaction = self.pool().begin().await.unwrap();
        let episode: i64 = sqlx::query_scalar(
            "INSERT INTO episode (patient_id, rule_id, code, severity, status, late, raised_at,
                 onset_at, onset_value, onset_metric, latest_at, latest_value, latest_metric,
                 worst_at, worst_value, worst_metric)
             SELECT patient_id, rule_id, code, definition ->> 'severity', 'raised', false, $3,
                 $3, 2.5, $4, $3, 2.5, $4, $3, 2.5, $4
             FROM care_plan_rule WHERE patient_id = $1 AND code = $2 AND valid_until IS NULL
             RETURNING episode_id",
        )
        .bind(patient.0)
        .bind(code)
        .bind(now)
        .bind(Metric::Glucose.code())
        .fetch_one(&mut *transaction)
        .await
        .unwrap();
        sqlx::query("INSERT INTO episode_transition (episode_id, kind, at) VALUES ($1, 'raised', $2)")
            .bind(episode)
            .bind(now)
            .execute(&mut *transaction)
            .await
            .unwrap();
        enqueue_raised(&mut transaction, &[episode], now).await.unwrap();
        transaction.commit().await.unwrap();
        EpisodeId(episode)
    }

    /// Clears an episode, as a lane does.
    pub(crate) async fn clear(&self, episode: EpisodeId, now: DateTime<Utc>) {
        let mut transaction = self.pool().begin().await.unwrap();
        sqlx::query(
            "UPDATE episode SET cleared_at = $2, ended_at = $2,
                 status = CASE WHEN status = 'raised' THEN 'cleared' ELSE 'closed' END
             WHERE episode_id = $1",
        )
        .bind(episode.0)
        .bind(now)
        .execute(&mut *transaction)
        .await
        .unwrap();
        sqlx::query("INSERT INTO episode_transition (episode_id, kind, at) VALUES ($1, 'cleared', $2)")
            .bind(episode.0)
            .bind(now)
            .execute(&mut *transaction)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
    }

    /// Opens an episode again that had cleared, as a lane does.
    pub(crate) async fn reopen(&self, episode: EpisodeId, now: DateTime<Utc>) {
        let mut transaction = self.pool().begin().await.unwrap();
        let (patient, code): (i64, String) =
            sqlx::query_as("SELECT patient_id, code FROM episode WHERE episode_id = $1")
                .bind(episode.0)
                .fetch_one(&mut *transaction)
                .await
                .unwrap();
        let touchable = Touchable {
            patient: PatientId(patient),
            code: &code,
            ended_after: Some(minute(-1)),
        };
        let episodes = load_touchable(&mut transaction, &[touchable]).await.unwrap();
        let stored = episodes.into_iter().find(|stored| stored.episode == episode.0);
        let facts = EpisodeFacts {
            ended_at: None,
            ..stored.unwrap().facts
        };
        let write = EpisodeWrite::Update {
            episode: episode.0,
            facts,
            kinds: vec!["reopened"],
        };
        write_episodes(&mut transaction, vec![write], now).await.unwrap();
        transaction.commit().await.unwrap();
    }

    /// Does something about an episode, as a team does.
    pub(crate) async fn act(&self, episode: EpisodeId, action: Action, now: DateTime<Utc>) {
        let outcome = act(&mut *self.connection().await, episode, &action, "ward 3", now)
            .await
            .unwrap();
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    }

    /// Receiver, episode (0: a digest), kind and state of every notification, in the order in which they were
    /// written.
    pub(crate) async fn notifications(&self) -> Vec<(i64, i64, String, String)> {
        sqlx::query_as(
            "SELECT receiver_id, COALESCE(episode_id, 0), kind, state FROM notification ORDER BY notification_id",
        )
        .fetch_all(self.pool())
        .await
        .unwrap()
    }

    /// Kind and detail of everything that happened to an episode.
    pub(crate) async fn happenings(&self, episode: EpisodeId) -> Vec<(String, Option<Value>)> {
        sqlx::query_as(
            "SELECT kind, detail FROM episode_transition WHERE episode_id = $1 ORDER BY transition_id",
        )
        .bind(episode.0)
        .fetch_all(self.pool())
        .await
        .unwrap()
    }

    /// The one value that a query answers.
    pub(crate) async fn one<T>(&self, query: &'static str) -> T
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        sqlx::query_scalar(query).fetch_one(self.pool()).await.unwrap()
    }
}

/// A receiver in the team that hears of everything by e-mail.
pub(crate) fn team() -> NewReceiver<'static> {
    NewReceiver {
        name: "the team",
        role: "team",
        organisation: None,
        secret: None,
        address: "team@homeward.example",
        lowest_severity: "info",
        hourly_limit: 20,
    }
}
