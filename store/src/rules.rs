use std::sync::Arc;

use chrono::{DateTime, Utc};
use homeward_record::{PatientId, Point, RuleId};
use serde_json::Value;
use sqlx::PgConnection;

use crate::Error;

/// The current version of a rule of a patient's care plan, with what it remembers.
#[derive(Clone, Debug)]
pub struct PatientRule {
    /// Whose care plan it belongs to.
    pub patient: PatientId,
    /// This version of the rule.
    pub rule: RuleId,
    /// Names the rule across its versions.
    pub code: String,
    /// The rule itself.
    pub definition: Value,
    /// Its state after the last reading that it judged, if that was worth saving.
    pub state: Option<Value>,
}

struct CurrentRule {
    patient_id: i64,
    rule_id: i64,
    code: String,
    definition: Value,
    state: Option<Value>,
}

/// The current rules of these patients, by patient and code.
pub async fn load_rules(
    connection: &mut PgConnection,
    patients: &[PatientId],
) -> Result<Vec<PatientRule>, Error> {
    let patients: Vec<i64> = patients.iter().map(|patient| patient.0).collect();
    let rows = sqlx::query_as!(
        CurrentRule,
        r#"
        SELECT patient_id AS "patient_id!", rule_id AS "rule_id!", code AS "code!",
               definition AS "definition!", state AS "state?"
        FROM care_plan_rule LEFT JOIN rule_state USING (patient_id, code)
        WHERE patient_id = ANY ($1) AND valid_until IS NULL
        ORDER BY patient_id, code
        "#,
        &patients
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("load care plans", source))?;
    let rule = |row: CurrentRule| PatientRule {
        patient: PatientId(row.patient_id),
        rule: RuleId(row.rule_id),
        code: row.code,
        definition: row.definition,
        state: row.state,
    };
    Ok(rows.into_iter().map(rule).collect())
}

/// Saves what rules remember, with the readings that they judged.
pub async fn save_states(
    connection: &mut PgConnection,
    states: &[(PatientId, Arc<str>, Value)],
) -> Result<(), Error> {
    if states.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO rule_state (patient_id, code, state)
         SELECT * FROM UNNEST($1::bigint[], $2::text[], $3::jsonb[])
         ON CONFLICT (patient_id, code) DO UPDATE SET state = excluded.state",
        &states.iter().map(|(patient, ..)| patient.0).collect::<Vec<_>>(),
        &states
            .iter()
            .map(|(_, code, _)| code.to_string())
            .collect::<Vec<_>>(),
        &states.iter().map(|(.., state)| state.clone()).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("save the state of rules", source))?;
    Ok(())
}

/// A change of episodes that a batch of readings brought, for one patient and rule.
#[derive(Clone, Debug, PartialEq)]
pub enum EpisodeWrite {
    /// A new episode; it may also have ended within the batch.
    Insert {
        /// The version of the rule that raised it.
        rule: RuleId,
        /// `high`, `medium`, `low` or `info`.
        severity: &'static str,
        /// Whether it comes from readings that arrived late, and so pages nobody.
        late: bool,
        /// The reading with which it began.
        onset: Point,
        /// Its newest reading.
        latest: Point,
        /// Its worst reading.
        worst: Point,
        /// Whether a late episode turned out to last until now.
        became_current: bool,
        /// Whether it has ended.
        cleared: bool,
    },
    /// The rule's open episode goes on, or ends.
    Update {
        /// Its newest and its worst reading, where it has a further one.
        further: Option<(Point, Point)>,
        /// Whether a late episode turned out to last until now.
        became_current: bool,
        /// Whether it has ended.
        cleared: bool,
    },
    /// A late episode that was over when it was raised turns out to be longer.
    ExtendLate {
        /// When it began: names it among the late episodes of the rule.
        onset_at: DateTime<Utc>,
        /// Its newest reading.
        latest: Point,
        /// Its worst reading.
        worst: Point,
    },
}

/// Writes the changes of episodes, in order, and their transitions. `now` is when they are recorded.
pub async fn write_episodes(
    connection: &mut PgConnection,
    writes: &[(PatientId, Arc<str>, EpisodeWrite)],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    for (patient, code, write) in writes {
        write_episode(connection, *patient, code, write, now)
            .await
            .map_err(|source| Error::new("write an episode", source))?;
    }
    Ok(())
}

async fn write_episode(
    connection: &mut PgConnection,
    patient: PatientId,
    code: &str,
    write: &EpisodeWrite,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    match write {
        EpisodeWrite::Insert {
            rule,
            severity,
            late,
            onset,
            latest,
            worst,
            became_current,
            cleared,
        } => {
            let episode = sqlx::query_scalar!(
                "INSERT INTO episode (patient_id, rule_id, code, severity, status, late, raised_at, cleared_at,
                     onset_at, onset_value, onset_metric, latest_at, latest_value, latest_metric,
                     worst_at, worst_value, worst_metric)
                 VALUES ($1, $2, $3, $4, CASE WHEN $6 THEN 'cleared' ELSE 'raised' END, $5, $7,
                     CASE WHEN $6 THEN $7::timestamptz END, $8, $9, $10, $11, $12, $13, $14, $15, $16)
                 ON CONFLICT (patient_id, code) WHERE cleared_at IS NULL DO NOTHING
                 RETURNING episode_id",
                patient.0, rule.0, code, severity, *late && !became_current, *cleared, now,
                onset.at, onset.value, onset.metric.code(), latest.at, latest.value, latest.metric.code(),
                worst.at, worst.value, worst.metric.code(),
            )
            .fetch_optional(&mut *connection)
            .await?;
            let Some(episode) = episode else {
                doubt(patient, code, "an episode that is open already is raised");
                return Ok(());
            };
            let kinds = [
                ("raised", true),
                ("became_current", *became_current),
                ("cleared", *cleared),
            ];
            insert_transitions(connection, episode, &kinds, now).await
        }
        EpisodeWrite::Update {
            further,
            became_current,
            cleared,
        } => {
            let (latest, worst) = further.unzip();
            let episode = sqlx::query!(
                "UPDATE episode SET
                     latest_at = COALESCE($3, latest_at), latest_value = COALESCE($4, latest_value),
                     latest_metric = COALESCE($5, latest_metric),
                     worst_at = COALESCE($6, worst_at), worst_value = COALESCE($7, worst_value),
                     worst_metric = COALESCE($8, worst_metric),
                     late = late AND NOT $9, cleared_at = CASE WHEN $10 THEN $11::timestamptz END,
                     status = CASE WHEN NOT $10 THEN status WHEN status = 'raised' THEN 'cleared' ELSE 'closed' END
                 WHERE patient_id = $1 AND code = $2 AND cleared_at IS NULL
                 RETURNING episode_id, status",
                patient.0,
                code,
                latest.map(|point| point.at),
                latest.map(|point| point.value),
                latest.map(|point| point.metric.code()),
                worst.map(|point| point.at),
                worst.map(|point| point.value),
                worst.map(|point| point.metric.code()),
                *became_current,
                *cleared,
                now,
            )
            .fetch_optional(&mut *connection)
            .await?;
            let Some(episode) = episode else {
                doubt(patient, code, "an episode that is not open goes on");
                return Ok(());
            };
            let closed = *cleared && episode.status == "closed";
            let kinds = [
                ("became_current", *became_current),
                ("cleared", *cleared),
                ("closed", closed),
            ];
            insert_transitions(connection, episode.episode_id, &kinds, now).await
        }
        EpisodeWrite::ExtendLate {
            onset_at,
            latest,
            worst,
        } => {
            sqlx::query!(
                "UPDATE episode SET latest_at = $4, latest_value = $5, latest_metric = $6,
                     worst_at = $7, worst_value = $8, worst_metric = $9
                 WHERE episode_id = (SELECT max(episode_id) FROM episode
                     WHERE patient_id = $1 AND code = $2 AND onset_at = $3)",
                patient.0,
                code,
                onset_at,
                latest.at,
                latest.value,
                latest.metric.code(),
                worst.at,
                worst.value,
                worst.metric.code(),
            )
            .execute(&mut *connection)
            .await?;
            Ok(())
        }
    }
}

/// What a rule remembers and its episodes disagree: somebody changed one of them by hand, or restored a part.
/// That must not keep readings out of the record.
fn doubt(patient: PatientId, code: &str, what: &str) {
    tracing::error!(patient_id = %patient, code, what, "the record and what a rule remembers disagree");
}

async fn insert_transitions(
    connection: &mut PgConnection,
    episode: i64,
    kinds: &[(&str, bool)],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let kinds: Vec<String> = kinds
        .iter()
        .filter(|(_, happened)| *happened)
        .map(|(kind, _)| (*kind).to_owned())
        .collect();
    if kinds.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO episode_transition (episode_id, kind, at) SELECT $1, kind, $3 FROM UNNEST($2::text[]) AS kind",
        episode,
        &kinds,
        now
    )
    .execute(connection)
    .await?;
    Ok(())
}
