//! Series that have fallen silent.
//!
//! Every series with a rule of silence is watched: the record has the time at which it may have been silent for
//! long enough at the earliest, and nobody looks at it before. So what a look costs does not depend on how many
//! series there are, only on how often each is to be measured.

use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::{Metric, PatientId, Point, RuleId};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};

use crate::Error;
use crate::outbox::enqueue_raised;

/// A pause between two runs of the timers after which nobody can say who was silent.
const OUTAGE: TimeDelta = TimeDelta::seconds(60);

/// Records that timers run at `now`, and answers since when they have run without an outage.
pub async fn note_run(connection: &mut PgConnection, now: DateTime<Utc>) -> Result<DateTime<Utc>, Error> {
    sqlx::query_scalar!(
        "INSERT INTO timer_run (last_at, unbroken_since) VALUES ($1, $1)
         ON CONFLICT (only_row) DO UPDATE SET last_at = GREATEST(timer_run.last_at, $1),
             unbroken_since = CASE WHEN timer_run.last_at < $2 THEN $1 ELSE timer_run.unbroken_since END
         RETURNING unbroken_since",
        now,
        now - OUTAGE
    )
    .fetch_one(connection)
    .await
    .map_err(|source| Error::new("note a run of the timers", source))
}

/// A series that is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    /// Whose.
    pub patient: PatientId,
    /// Names the rule.
    pub code: String,
    /// Its version.
    pub rule: RuleId,
    /// What it says.
    pub definition: Value,
    /// Since when it says so.
    pub valid_from: DateTime<Utc>,
}

/// The watched series that have to be looked at, nobody else's until the transaction ends.
pub async fn lock_watched(
    connection: &mut PgConnection,
    limit: i64,
    now: DateTime<Utc>,
) -> Result<Vec<Watched>, Error> {
    let rows = sqlx::query!(
        "SELECT silence_watch.patient_id, silence_watch.code, rule_id, definition, valid_from
         FROM silence_watch JOIN care_plan_rule USING (rule_id)
         WHERE check_at < $1
         ORDER BY check_at
         LIMIT $2
         FOR UPDATE OF silence_watch SKIP LOCKED",
        now,
        limit
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("find series to look at", source))?;
    let watched = rows.into_iter().map(|row| Watched {
        patient: PatientId(row.patient_id),
        code: row.code,
        rule: RuleId(row.rule_id),
        definition: row.definition,
        valid_from: row.valid_from,
    });
    Ok(watched.collect())
}

/// The last reading of each of these series that counts and was measured after `after`, in their order. A time
/// that is not long ago spares a look into all that is older.
pub async fn last_readings(
    connection: &mut PgConnection,
    series: &[(PatientId, Metric)],
    after: DateTime<Utc>,
) -> Result<Vec<Option<Point>>, Error> {
    let rows = sqlx::query!(
        r#"
        SELECT last.time AS "time?", last.value AS "value?"
        FROM UNNEST($1::bigint[], $2::smallint[]) WITH ORDINALITY AS series (patient_id, metric, position)
        LEFT JOIN LATERAL (
            SELECT time, value FROM reading
            WHERE reading.patient_id = series.patient_id AND reading.metric = series.metric AND time > $3
                AND NOT entered_in_error
            ORDER BY time DESC LIMIT 1
        ) AS last ON true
        ORDER BY position
        "#,
        &series.iter().map(|(patient, _)| patient.0).collect::<Vec<_>>(),
        &series.iter().map(|(_, metric)| metric.code()).collect::<Vec<_>>(),
        after
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("find the last readings of series", source))?;
    let points = rows.iter().zip(series).map(|(row, (_, metric))| {
        Some(Point {
            metric: *metric,
            at: row.time?,
            value: row.value?,
        })
    });
    Ok(points.collect())
}

/// Sets when series have to be looked at again.
pub async fn look_again(
    connection: &mut PgConnection,
    series: &[(Watched, DateTime<Utc>)],
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE silence_watch SET check_at = again.check_at
         FROM UNNEST($1::bigint[], $2::text[], $3::bigint[], $4::timestamptz[])
             AS again (patient_id, code, rule_id, check_at)
         WHERE silence_watch.patient_id = again.patient_id AND silence_watch.code = again.code
             AND silence_watch.rule_id = again.rule_id",
        &series
            .iter()
            .map(|(watched, _)| watched.patient.0)
            .collect::<Vec<_>>(),
        &series
            .iter()
            .map(|(watched, _)| watched.code.clone())
            .collect::<Vec<_>>(),
        &series
            .iter()
            .map(|(watched, _)| watched.rule.0)
            .collect::<Vec<_>>(),
        &series.iter().map(|(_, at)| *at).collect::<Vec<_>>()
    )
    .execute(connection)
    .await
    .map(drop)
    .map_err(|source| Error::new("watch series", source))
}

/// An episode of silence.
#[derive(Clone, Debug, PartialEq)]
pub struct Silent {
    /// The series.
    pub watched: Watched,
    /// `high`, `medium`, `low` or `info`.
    pub severity: &'static str,
    /// The last reading; where there is none, the beginning of the rule.
    pub last: Point,
    /// Whether there is one.
    pub was_measured: bool,
    /// For how long nothing came, in seconds.
    pub seconds: f64,
    /// A reading of this time or later would end it.
    pub ends_from: DateTime<Utc>,
}

/// Raises episodes of silence, and answers how many: of those series that are still silent once nobody can write
/// readings any more.
///
/// Lanes have to know of the episodes, since they are to end them: so this passes the gate for their patients,
/// and keeps all writers of readings waiting as long as it takes.
pub async fn raise(pool: &PgPool, silent: &[Silent], now: DateTime<Utc>) -> Result<u64, Error> {
    let failed = |source| Error::new("raise an episode of silence", source);
    let mut transaction = pool
        .begin_with("BEGIN; SELECT pg_advisory_xact_lock(7462, 1)")
        .await
        .map_err(failed)?;
    let still = still_silent(&mut transaction, silent, now)
        .await
        .map_err(failed)?;
    let raised = insert(&mut transaction, &still, now).await.map_err(failed)?;
    enqueue_raised(&mut transaction, &raised, now).await?;
    transaction.commit().await.map_err(failed)?;
    Ok(raised.len() as u64)
}

/// Those of the series at which nobody else has looked meanwhile, whose rule has not changed, and of which no
/// reading has come.
async fn still_silent<'a>(
    connection: &mut PgConnection,
    silent: &'a [Silent],
    now: DateTime<Utc>,
) -> Result<Vec<&'a Silent>, sqlx::Error> {
    let of = |silent: &Silent| (silent.watched.patient.0, silent.watched.code.clone());
    let (patients, codes): (Vec<i64>, Vec<String>) = silent.iter().map(of).unzip();
    let rules = sqlx::query_scalar!(
        "SELECT rule_id FROM silence_watch
             JOIN UNNEST($1::bigint[], $2::text[], $3::smallint[], $4::timestamptz[])
                 AS silent (patient_id, code, metric, ends_from) USING (patient_id, code)
         WHERE check_at < $5 AND NOT EXISTS (
             SELECT FROM reading WHERE reading.patient_id = silent.patient_id AND reading.metric = silent.metric
                 AND time >= ends_from AND NOT entered_in_error)
         ORDER BY patient_id, code
         FOR UPDATE OF silence_watch",
        &patients,
        &codes,
        &silent
            .iter()
            .map(|silent| silent.last.metric.code())
            .collect::<Vec<_>>(),
        &silent.iter().map(|silent| silent.ends_from).collect::<Vec<_>>(),
        now
    )
    .fetch_all(connection)
    .await?;
    let still = |silent: &&Silent| rules.contains(&silent.watched.rule.0);
    Ok(silent.iter().filter(still).collect())
}

/// Writes the episodes, but for those that are open already, and answers their numbers. Nobody looks at the
/// series again before their episodes have ended.
async fn insert(
    connection: &mut PgConnection,
    silent: &[&Silent],
    now: DateTime<Utc>,
) -> Result<Vec<i64>, sqlx::Error> {
    let details = silent.iter().map(|silent| {
        let last_at = silent.was_measured.then_some(silent.last.at);
        serde_json::json!({"last_at": last_at})
    });
    let raised = sqlx::query!(
        r#"
        WITH silent AS (
            SELECT * FROM UNNEST($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::timestamptz[], $6::float8[],
                $7::smallint[], $8::float8[], $9::jsonb[])
                AS silent (patient_id, code, rule_id, severity, at, value, metric, figure, detail)
        ), watched AS (
            UPDATE silence_watch SET check_at = 'infinity' FROM silent
            WHERE silence_watch.patient_id = silent.patient_id AND silence_watch.code = silent.code
        )
        INSERT INTO episode (patient_id, rule_id, code, severity, status, late, raised_at, detail,
            onset_at, onset_value, onset_metric, onset_figure, latest_at, latest_value, latest_metric, latest_figure,
            worst_at, worst_value, worst_metric, worst_figure)
        SELECT patient_id, rule_id, code, severity, 'raised', false, $10, detail,
            at, value, metric, figure, at, value, metric, figure, at, value, metric, figure
        FROM silent
        ORDER BY patient_id, code
        ON CONFLICT (patient_id, code) WHERE cleared_at IS NULL DO NOTHING
        RETURNING episode_id, patient_id
        "#,
        &silent.iter().map(|silent| silent.watched.patient.0).collect::<Vec<_>>(),
        &silent
            .iter()
            .map(|silent| silent.watched.code.clone())
            .collect::<Vec<_>>(),
        &silent.iter().map(|silent| silent.watched.rule.0).collect::<Vec<_>>(),
        &silent
            .iter()
            .map(|silent| silent.severity.to_owned())
            .collect::<Vec<_>>(),
        &silent.iter().map(|silent| silent.last.at).collect::<Vec<_>>(),
        &silent.iter().map(|silent| silent.last.value).collect::<Vec<_>>(),
        &silent
            .iter()
            .map(|silent| silent.last.metric.code())
            .collect::<Vec<_>>(),
        &silent.iter().map(|silent| silent.seconds).collect::<Vec<_>>(),
        &details.collect::<Vec<_>>(),
        now
    )
    .fetch_all(&mut *connection)
    .await?;
    if raised.is_empty() {
        return Ok(Vec::new());
    }
    let episodes: Vec<i64> = raised.iter().map(|row| row.episode_id).collect();
    sqlx::query!(
        "INSERT INTO episode_transition (episode_id, kind, at)
         SELECT episode_id, 'raised', $2 FROM UNNEST($1::bigint[]) AS episode_id",
        &episodes,
        now
    )
    .execute(&mut *connection)
    .await?;
    let mut patients: Vec<i64> = raised.iter().map(|row| row.patient_id).collect();
    patients.sort_unstable();
    patients.dedup();
    sqlx::query!(
        "SELECT pass_gate(NULL, patient_id) FROM UNNEST($1::bigint[]) AS patient_id",
        &patients
    )
    .fetch_all(connection)
    .await?;
    Ok(episodes)
}
