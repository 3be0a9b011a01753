//! What is in the record: patients, devices, readings, rules and episodes.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use homeward_record::{Context, DeviceId, EpisodeId, Metric, NhsNumber, PatientId, RuleId};
use homeward_store::admin::{NewDevice, NewPatient, NewRule, add_devices, add_patients, set_rules};
use homeward_store::{BatchRow, Gate, insert_batch, mark_dirty};
use serde_json::{Value, json};

use super::{TestApp, at, now};

/// The rule of [`TestApp::raise`].
const RULE_CODE: &str = "glucose-very-low";

impl TestApp {
    /// Adds a patient; the first has the number 1001.
    pub(crate) async fn add_patient(&self) -> PatientId {
        self.add_patient_of(None, None).await
    }

    /// Adds a patient of a practice and a team.
    pub(crate) async fn add_patient_of(&self, organisation: Option<i64>, team: Option<i64>) -> PatientId {
        let mut connection = self.pool().acquire().await.unwrap();
        let patients: i64 = sqlx::query_scalar("SELECT count(*) FROM patient")
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        let nhs_number = (999_000_000 + u32::try_from(patients).unwrap() * 10..)
            .find_map(NhsNumber::from_stem)
            .unwrap();
        let new = NewPatient {
            nhs_number: &nhs_number,
            name: "Ada Simulated",
            born: NaiveDate::default(),
            organisation,
            team,
        };
        let patient = add_patients(&mut connection, &[new]).await.unwrap()[0];
        // The clock of the test stands still, in the past of the database's.
        sqlx::query("UPDATE enrolment SET enrolled_at = $2 WHERE patient_id = $1")
            .bind(patient.0)
            .bind(at("2026-11-01T00:00:00Z"))
            .execute(&mut *connection)
            .await
            .unwrap();
        patient
    }

    /// Adds a cuff that has measured a patient since the first of the month; the first has the number 10001.
    pub(crate) async fn add_device(&self, patient: PatientId) -> DeviceId {
        let new = NewDevice {
            kind: "cuff",
            secret: "a secret",
            utc_offset_minutes: 0,
            patient,
            from: at("2026-11-01T00:00:00Z"),
        };
        add_devices(&mut *self.connection().await, &[new]).await.unwrap()[0]
    }

    /// Stores readings of a device, as a lane does.
    pub(crate) async fn store(
        &self,
        patient: PatientId,
        device: DeviceId,
        readings: &[(Metric, DateTime<Utc>, f64)],
    ) {
        let row = |&(metric, at, value)| BatchRow {
            part: 0,
            patient,
            metric,
            at,
            device,
            value,
            context: Context::default(),
            received_at: at + TimeDelta::seconds(2),
        };
        self.store_rows(readings.iter().map(row).collect()).await;
    }

    /// Stores readings, as a lane does.
    pub(crate) async fn store_rows(&self, mut batch: Vec<BatchRow>) {
        let (mut transaction, gate) = Gate::enter(self.pool()).await.unwrap();
        let new = insert_batch(&mut transaction, &mut batch).await.unwrap();
        let new = batch.iter().zip(new).filter(|(_, new)| *new).map(|(row, _)| row);
        mark_dirty(&mut transaction, &gate, new).await.unwrap();
        transaction.commit().await.unwrap();
    }

    /// Puts a rule into a patient's care plan.
    pub(crate) async fn add_rule(&self, patient: PatientId) -> RuleId {
        let definition = json!({
            "name": "Glucose very low",
            "severity": "high",
            "condition": {
                "kind": "threshold",
                "limits": [{"metric": "glucose", "below": 3.0, "clear": 3.9}],
            },
            "guidance": "Treat the low glucose now.",
            "source": "International Consensus on Time in Range, 2019",
        });
        let new = NewRule {
            patient,
            code: RULE_CODE,
            programme: "test",
            definition: &definition,
            always_on: false,
        };
        let mut connection = self.pool().acquire().await.unwrap();
        set_rules(&mut connection, &[new], "a test", "to have a rule", now())
            .await
            .unwrap();
        let rule = sqlx::query_scalar("SELECT max(rule_id) FROM care_plan_rule");
        RuleId(rule.fetch_one(&mut *connection).await.unwrap())
    }

    /// Raises an episode of the patient's rule, as a lane does; a late one is over. The first has the number 1.
    pub(crate) async fn raise(
        &self,
        patient: PatientId,
        rule: RuleId,
        severity: &'static str,
        late: bool,
    ) -> EpisodeId {
        let minutes_ago = |minutes| now() - TimeDelta::minutes(minutes);
        let raise = sqlx::query_scalar(
            "WITH raised AS (
                 INSERT INTO episode (patient_id, rule_id, code, severity, status, late, raised_at, cleared_at,
                     onset_at, onset_value, onset_metric, latest_at, latest_value, latest_metric,
                     worst_at, worst_value, worst_metric)
                 VALUES ($1, $2, $3, $4, CASE WHEN $5 THEN 'cleared' ELSE 'raised' END, $5, $6,
                     CASE WHEN $5 THEN $6 END, $7, 2.8, $10, $8, 2.6, $10, $9, 2.4, $10)
                 RETURNING episode_id, late
             ), transitions AS (
                 INSERT INTO episode_transition (episode_id, kind, at)
                 SELECT episode_id, kind, $6 FROM raised CROSS JOIN UNNEST(ARRAY['raised', 'cleared']) AS kind
                 WHERE late OR kind = 'raised'
             )
             SELECT episode_id FROM raised",
        )
        .bind(patient.0)
        .bind(rule.0)
        .bind(RULE_CODE)
        .bind(severity)
        .bind(late)
        .bind(now())
        .bind(minutes_ago(10))
        .bind(minutes_ago(5))
        .bind(minutes_ago(7))
        .bind(Metric::Glucose.code());
        EpisodeId(raise.fetch_one(self.pool()).await.unwrap())
    }

    /// Ends the patient's open episode, as a lane does.
    pub(crate) async fn clear(&self, patient: PatientId) {
        sqlx::query(
            "WITH cleared AS (
                 UPDATE episode SET cleared_at = $2,
                     status = CASE WHEN status = 'raised' THEN 'cleared' ELSE 'closed' END
                 WHERE patient_id = $1 AND cleared_at IS NULL RETURNING episode_id, status
             )
             INSERT INTO episode_transition (episode_id, kind, at)
             SELECT episode_id, kind, $2 FROM cleared CROSS JOIN UNNEST(ARRAY['cleared', 'closed']) AS kind
             WHERE status = 'closed' OR kind = 'cleared'",
        )
        .bind(patient.0)
        .bind(now())
        .execute(self.pool())
        .await
        .unwrap();
    }

    /// The kind and the detail of everything that happened to an episode.
    pub(crate) async fn happenings(&self, episode: i64) -> Vec<(String, Option<Value>)> {
        sqlx::query_as(
            "SELECT kind, detail FROM episode_transition WHERE episode_id = $1 ORDER BY transition_id",
        )
        .bind(episode)
        .fetch_all(self.pool())
        .await
        .unwrap()
    }
}
