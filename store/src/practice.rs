//! How patients are doing on their programmes.

use chrono::{DateTime, Utc};
use homeward_record::{Metric, PatientId};
use sqlx::PgConnection;

use crate::Error;
use crate::trends::Bucket;

/// What a programme wants of its patients.
#[derive(Clone, Debug)]
pub struct ProgrammeGoal<'a> {
    /// The programme's name.
    pub programme: &'a str,
    /// The rules of which an open episode says that the patient is out of target.
    pub target_codes: Vec<&'a str>,
    /// What there must be to tell: of each of these metrics, in the whole days (UTC) of the last `days` before today,
    /// or if that is one day in the last 24 hours,
    pub metrics: Vec<Metric>,
    /// See `metrics`.
    pub days: u32,
    /// readings on so many days,
    pub least_days: u32,
    /// and so many readings:
    pub least_readings: i64,
    /// of a sensor that sends one every so many seconds. Of one that by the patient's own plan sends fewer, there have to be
    /// as many fewer.
    pub interval_seconds: Option<i32>,
    /// The rule of silence that knows how often the programme's main metric is expected, and that metric.
    pub expected: Option<(&'a str, Metric)>,
}

/// How a patient is doing on a programme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The programme's name.
    pub programme: String,
    /// The patient.
    pub patient: PatientId,
    /// Whether there are enough readings to tell, and a rule that judges the target.
    pub enough: bool,
    /// Whether such a rule has an open episode; says nothing where there is not enough.
    pub out_of_target: bool,
    /// Whether there is no reading of the main metric for longer than the plan expects one, to the hour.
    pub overdue: bool,
    /// Open episodes of the programme's rules.
    pub open_alerts: i64,
}

/// How each of these patients is doing on each of their programmes at a time, by programme and patient: all of them or
/// those who are registered with an organisation. For a connection that sees the whole record: row-level security would
/// look for each row through the list of all whom a role may see. Says also until when rollups are complete: readings
/// since then count for what is overdue, and not yet for whether there are enough.
pub async fn standings(
    connection: &mut PgConnection,
    goals: &[ProgrammeGoal<'_>],
    patients: &[PatientId],
    organisation: Option<i64>,
    now: DateTime<Utc>,
) -> Result<(DateTime<Utc>, Vec<Standing>), Error> {
    let failed = |source| Error::new("look up how patients are doing", source);
    let columns = Columns::of(goals);
    let today = Bucket::Day.floor(now);
    let rolled_up_until = sqlx::query_scalar!("SELECT rolled_up_until FROM gate")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    let rows = sqlx::query!(
        r#"
        WITH goal AS MATERIALIZED (
            SELECT * FROM UNNEST($1::text[], $2::int[], $3::int[], $4::bigint[], $5::text[], $6::smallint[], $16::int[])
                AS goal (programme, days, least_days, least_readings, expected_code, expected_metric, interval_seconds)
        ), target AS MATERIALIZED (
            SELECT * FROM UNNEST($7::text[], $8::text[]) AS target (programme, code)
        ), needed AS MATERIALIZED (
            SELECT * FROM UNNEST($9::text[], $10::smallint[]) AS needed (programme, metric)
        ), cohort AS MATERIALIZED (
            SELECT rule.programme, rule.patient_id, bool_or(target.code IS NOT NULL) AS has_target
            FROM care_plan_rule AS rule LEFT JOIN target USING (programme, code)
            WHERE rule.programme IN (SELECT programme FROM goal)
                AND rule.patient_id IN (SELECT UNNEST($15::bigint[]))
                AND rule.valid_from <= $11::timestamptz AND (rule.valid_until IS NULL OR rule.valid_until > $11)
                AND ($12::bigint IS NULL
                    OR rule.patient_id IN (SELECT patient_id FROM patient WHERE organisation_id = $12))
            GROUP BY 1, 2
        )
        -- What is asked of each patient is asked by an index, one after the other: how many there are is not known when
        -- this is planned.
        SELECT programme AS "programme!", cohort.patient_id AS "patient!", has_target AND enough AS "enough!",
            out_of_target AS "out_of_target!", overdue AS "overdue!", episodes AS "open_alerts!"
        FROM cohort JOIN goal USING (programme)
        CROSS JOIN LATERAL (
            SELECT COALESCE(bool_and(stored.days >= goal.least_days AND (stored.n >= goal.least_readings
                OR COALESCE(stored.n >= goal.least_readings::float8 * goal.interval_seconds / (
                    SELECT max((rule.definition #>> '{condition,interval_seconds}')::float8)
                    FROM care_plan_rule AS rule JOIN target USING (programme, code)
                    WHERE rule.patient_id = cohort.patient_id AND rule.programme = goal.programme
                        AND rule.valid_from <= $11 AND (rule.valid_until IS NULL OR rule.valid_until > $11)
                ), false))), false) AS enough
            FROM needed CROSS JOIN LATERAL (
                SELECT count(DISTINCT part.day) AS days, COALESCE(sum(part.n), 0) AS n FROM (
                    SELECT bucket AS day, n FROM reading_daily
                    WHERE goal.days > 1 AND patient_id = cohort.patient_id AND metric = needed.metric
                        AND bucket >= $13::timestamptz - goal.days * INTERVAL '24 hours' AND bucket < $13
                    UNION ALL
                    SELECT $13::timestamptz, n FROM reading_hourly
                    WHERE goal.days = 1 AND patient_id = cohort.patient_id AND metric = needed.metric
                        AND bucket >= $11::timestamptz - INTERVAL '24 hours' AND bucket <= $11
                ) AS part (day, n)
            ) AS stored
            WHERE needed.programme = goal.programme
        ) AS of_readings
        CROSS JOIN LATERAL (
            SELECT count(*) AS episodes, COALESCE(bool_or(EXISTS (
                SELECT FROM target WHERE target.programme = rule.programme AND target.code = rule.code
            )), false) AS out_of_target
            FROM episode JOIN care_plan_rule AS rule USING (rule_id)
            WHERE episode.patient_id = cohort.patient_id AND episode.cleared_at IS NULL
                AND rule.programme = goal.programme
        ) AS of_episodes
        CROSS JOIN LATERAL (
            SELECT EXISTS (
                SELECT FROM care_plan_rule AS rule
                WHERE rule.patient_id = cohort.patient_id AND rule.code = goal.expected_code
                    AND rule.programme = goal.programme
                    AND rule.valid_from <= $11 AND (rule.valid_until IS NULL OR rule.valid_until > $11)
                    AND NOT EXISTS (
                        SELECT FROM reading_hourly
                        WHERE reading_hourly.patient_id = cohort.patient_id
                            AND reading_hourly.metric = goal.expected_metric
                            AND bucket > $11 - INTERVAL '1 hour' - make_interval(
                                secs => (rule.definition #>> '{condition,expected_every_seconds}')::float8)
                    )
                    AND NOT EXISTS (
                        SELECT FROM reading
                        WHERE reading.patient_id = cohort.patient_id AND reading.metric = goal.expected_metric
                            AND time >= $14 AND NOT entered_in_error
                            AND time >= $11 - INTERVAL '1 hour' - make_interval(
                                secs => (rule.definition #>> '{condition,expected_every_seconds}')::float8)
                    )
            ) AS overdue
        ) AS of_time
        ORDER BY programme, cohort.patient_id
        "#,
        &columns.programmes,
        &columns.days,
        &columns.least_days,
        &columns.least_readings,
        &columns.expected_codes as &[Option<String>],
        &columns.expected_metrics as &[Option<i16>],
        &columns.target_programmes,
        &columns.target_codes,
        &columns.needed_programmes,
        &columns.needed_metrics,
        now,
        organisation,
        today,
        rolled_up_until,
        &patients.iter().map(|patient| patient.0).collect::<Vec<_>>(),
        &columns.intervals as &[Option<i32>]
    )
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    let standings = rows.into_iter().map(|row| Standing {
        programme: row.programme,
        patient: PatientId(row.patient),
        enough: row.enough,
        out_of_target: row.out_of_target,
        overdue: row.overdue,
        open_alerts: row.open_alerts,
    });
    Ok((rolled_up_until, standings.collect()))
}

/// When something of a metric was last measured of each of these patients, as far as anything was.
pub async fn last_measured(
    connection: &mut PgConnection,
    patients: &[PatientId],
    metric: Metric,
) -> Result<Vec<(PatientId, DateTime<Utc>)>, Error> {
    let rows = sqlx::query!(
        r#"SELECT patient_id AS "patient!", latest.time AS "time!"
         FROM UNNEST($1::bigint[]) AS asked (patient_id) CROSS JOIN LATERAL (
             SELECT time FROM reading
             WHERE reading.patient_id = asked.patient_id AND metric = $2 AND NOT entered_in_error
             ORDER BY time DESC LIMIT 1
         ) AS latest"#,
        &patients.iter().map(|patient| patient.0).collect::<Vec<_>>(),
        metric.code()
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("look up when patients last measured", source))?;
    Ok(rows
        .into_iter()
        .map(|row| (PatientId(row.patient), row.time))
        .collect())
}

/// Goals, column by column.
#[derive(Default)]
struct Columns {
    programmes: Vec<String>,
    days: Vec<i32>,
    least_days: Vec<i32>,
    least_readings: Vec<i64>,
    intervals: Vec<Option<i32>>,
    expected_codes: Vec<Option<String>>,
    expected_metrics: Vec<Option<i16>>,
    target_programmes: Vec<String>,
    target_codes: Vec<String>,
    needed_programmes: Vec<String>,
    needed_metrics: Vec<i16>,
}

impl Columns {
    fn of(goals: &[ProgrammeGoal<'_>]) -> Columns {
        let mut columns = Columns::default();
        for goal in goals {
            let programme = || goal.programme.to_owned();
            let days = |days: u32| i32::try_from(days).unwrap_or(i32::MAX);
            columns.programmes.push(programme());
            columns.days.push(days(goal.days));
            columns.least_days.push(days(goal.least_days));
            columns.least_readings.push(goal.least_readings);
            columns.intervals.push(goal.interval_seconds);
            columns
                .expected_codes
                .push(goal.expected.map(|(code, _)| code.to_owned()));
            columns
                .expected_metrics
                .push(goal.expected.map(|(_, metric)| metric.code()));
            for code in &goal.target_codes {
                columns.target_programmes.push(programme());
                columns.target_codes.push((*code).to_owned());
            }
            for metric in &goal.metrics {
                columns.needed_programmes.push(programme());
                columns.needed_metrics.push(metric.code());
            }
        }
        columns
    }
}
