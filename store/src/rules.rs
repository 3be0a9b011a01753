//! Care plans as those who judge readings need them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use homeward_record::{DeviceId, Metric, PatientId, Point, RuleId};
use serde_json::Value;
use sqlx::PgConnection;

use crate::Error;

/// A patient's care plan with what its rules remember.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whose plan.
    pub patient: PatientId,
    /// The rules that are in force, by their codes.
    pub rules: BTreeMap<String, PlanRule>,
    /// What the rules remembered at their checkpoints, by their codes, if anything was saved: JSON that only its
    /// writer reads.
    pub state: Option<String>,
}

/// A rule of a plan with all its versions.
#[derive(Clone, Debug, Default)]
pub struct PlanRule {
    /// The versions, the oldest first.
    pub versions: Vec<RuleVersion>,
    /// The open episode of a rule of silence, which a timer raises.
    pub silence: Option<OpenSilence>,
}

/// A version of a rule.
#[derive(Clone, Debug)]
pub struct RuleVersion {
    /// Which.
    pub rule: RuleId,
    /// From when on it judges what arrives.
    pub from: DateTime<Utc>,
    /// Until when.
    pub until: Option<DateTime<Utc>>,
    /// What it says.
    pub definition: Value,
}

/// An open episode of a rule of silence.
#[derive(Clone, Copy, Debug)]
pub struct OpenSilence {
    /// The version that it was raised by.
    pub rule: RuleId,
    /// The last reading before it.
    pub onset: Point,
    /// For how long nothing had come, in seconds.
    pub figure: Option<f64>,
}

/// The care plans of these patients, by patient. Who has none is left out.
pub async fn load_plans(connection: &mut PgConnection, patients: &[PatientId]) -> Result<Vec<Plan>, Error> {
    let patients: Vec<i64> = patients.iter().map(|patient| patient.0).collect();
    let failed = |source| Error::new("load care plans", source);
    let versions = sqlx::query!(
        r#"
        SELECT patient_id, code, rule_id, valid_from, valid_until, definition
        FROM care_plan_rule AS version
        WHERE patient_id = ANY ($1) AND EXISTS (
            SELECT FROM care_plan_rule AS current
            WHERE current.patient_id = version.patient_id AND current.code = version.code
                AND (current.valid_until IS NULL OR current.valid_until > now())
        )
        ORDER BY patient_id, code, version.version
        "#,
        &patients
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(failed)?;
    let states = sqlx::query!(
        "SELECT patient_id, state FROM plan_state WHERE patient_id = ANY ($1)",
        &patients
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(failed)?;
    let silences = sqlx::query!(
        r#"
        SELECT episode.patient_id, episode.code, rule_id, onset_at, onset_value, onset_metric, onset_figure
        FROM episode JOIN care_plan_rule USING (rule_id)
        WHERE episode.patient_id = ANY ($1) AND cleared_at IS NULL
            AND definition #>> '{condition,kind}' = 'silence'
        "#,
        &patients
    )
    .fetch_all(connection)
    .await
    .map_err(failed)?;

    let mut plans: BTreeMap<i64, Plan> = BTreeMap::new();
    for row in versions {
        let plan = plans.entry(row.patient_id).or_insert_with(|| Plan {
            patient: PatientId(row.patient_id),
            rules: BTreeMap::new(),
            state: None,
        });
        plan.rules
            .entry(row.code)
            .or_default()
            .versions
            .push(RuleVersion {
                rule: RuleId(row.rule_id),
                from: row.valid_from,
                until: row.valid_until,
                definition: row.definition,
            });
    }
    for row in states {
        if let Some(plan) = plans.get_mut(&row.patient_id) {
            plan.state = Some(row.state);
        }
    }
    for row in silences {
        let rule = plans
            .get_mut(&row.patient_id)
            .and_then(|plan| plan.rules.get_mut(&row.code));
        if let (Some(rule), Some(metric)) = (rule, Metric::from_code(row.onset_metric)) {
            rule.silence = Some(OpenSilence {
                rule: RuleId(row.rule_id),
                onset: Point {
                    metric,
                    at: row.onset_at,
                    value: row.onset_value,
                },
                figure: row.onset_figure,
            });
        }
    }
    Ok(plans.into_values().collect())
}

/// Saves what the rules of patients remember, with the readings that they judged.
pub async fn save_plan_states(
    connection: &mut PgConnection,
    states: &[(PatientId, String)],
) -> Result<(), Error> {
    if states.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO plan_state (patient_id, state) SELECT * FROM UNNEST($1::bigint[], $2::text[])
         ON CONFLICT (patient_id) DO UPDATE SET state = excluded.state",
        &states.iter().map(|(patient, _)| patient.0).collect::<Vec<_>>(),
        &states.iter().map(|(_, state)| state.as_str()).collect::<Vec<_>>() as &[&str],
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("save what rules remember", source))?;
    Ok(())
}

/// A part of a series of readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Whose readings.
    pub patient: PatientId,
    /// Of what.
    pub metric: Metric,
    /// Measured after this time.
    pub after: DateTime<Utc>,
    /// And until this one.
    pub until: DateTime<Utc>,
}

/// A reading as it is judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StoredReading {
    /// Whose.
    pub patient: PatientId,
    /// Of what.
    pub metric: Metric,
    /// When it was measured.
    pub at: DateTime<Utc>,
    /// By what.
    pub device: DeviceId,
    /// The value, in the metric's stored unit.
    pub value: f64,
    /// When it arrived.
    pub received_at: DateTime<Utc>,
}

/// The readings of these spans that count (none entered in error), by patient, time, metric and device.
pub async fn load_spans(connection: &mut PgConnection, spans: &[Span]) -> Result<Vec<StoredReading>, Error> {
    if spans.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        r#"
        SELECT span.patient_id AS "patient_id!", span.metric AS "metric!", reading.time, reading.device_id,
               reading.value, reading.received_at
        FROM UNNEST($1::bigint[], $2::smallint[], $3::timestamptz[], $4::timestamptz[])
            AS span (patient_id, metric, after, until)
        CROSS JOIN LATERAL (
            SELECT time, device_id, value, received_at FROM reading
            WHERE reading.patient_id = span.patient_id AND reading.metric = span.metric
                AND time > span.after AND time <= span.until
                -- Says the same of all, so that most chunks need not be looked at for each.
                AND time > $5 AND NOT entered_in_error
        ) AS reading
        ORDER BY span.patient_id, reading.time, span.metric, reading.device_id
        "#,
        &spans.iter().map(|span| span.patient.0).collect::<Vec<_>>(),
        &spans.iter().map(|span| span.metric.code()).collect::<Vec<_>>(),
        &spans.iter().map(|span| span.after).collect::<Vec<_>>(),
        &spans.iter().map(|span| span.until).collect::<Vec<_>>(),
        spans.iter().map(|span| span.after).min(),
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("read what rules judge again", source))?;
    let readings = rows.into_iter().filter_map(|row| {
        Some(StoredReading {
            patient: PatientId(row.patient_id),
            metric: Metric::from_code(row.metric)?,
            at: row.time,
            device: DeviceId(row.device_id),
            value: row.value,
            received_at: row.received_at,
        })
    });
    Ok(readings.collect())
}
