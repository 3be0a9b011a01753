//! Looks into the record all the while: what is acknowledged is there at that moment, and readings never stand
//! there without the episodes that they raise.

use chrono::{DateTime, Utc};
use homeward_record::{DeviceId, Metric};
use homeward_simulators::{AckLog, Measured};
use homeward_store::PgPool;
use tokio_util::sync::CancellationToken;

/// Out-of-range readings of patients with a rule against them that no episode covers. One statement, and so
/// one moment of the record. Glucose is looked at in whole mg/dL.
const UNCOVERED: &str = "
    SELECT count(*) FROM reading
    JOIN (VALUES (7::smallint, 'glucose-very-low'), (5, 'blood-pressure-crisis'), (6, 'blood-pressure-crisis'))
        AS rule (metric, code) USING (metric)
    JOIN care_plan_rule USING (patient_id, code)
    WHERE CASE metric WHEN 7 THEN floor(value * 18.0182 + 0.05) < 54 WHEN 5 THEN value >= 180
            ELSE value >= 120 END
        AND valid_until IS NULL AND NOT EXISTS (
            SELECT FROM episode WHERE episode.patient_id = reading.patient_id AND episode.code = rule.code
                AND withdrawn_at IS NULL AND reading.time BETWEEN onset_at AND latest_at)";

/// How many of these readings the record holds.
const STORED: &str = "
    SELECT count(*) FROM UNNEST($1::bigint[], $2::smallint[], $3::timestamptz[], $4::float8[])
        AS sent (device_id, metric, time, value)
    JOIN reading USING (device_id, metric, time, value)";

/// What was looked at.
pub(crate) struct Audit {
    /// Every reading that was acknowledged.
    pub(crate) acknowledged: Vec<(DeviceId, Measured)>,
    /// How often the record was looked at.
    pub(crate) looks: usize,
}

/// Looks into the record again and again until `stop`, and then once more.
pub(crate) async fn audit(pool: PgPool, log: AckLog, stop: CancellationToken) -> Audit {
    let mut audit = Audit {
        acknowledged: Vec::new(),
        looks: 0,
    };
    let mut pending = Vec::new();
    loop {
        let last = stop.is_cancelled();
        pending.extend(log.take());
        match look(&pool, &pending).await {
            Ok((stored, uncovered)) => {
                assert_eq!(
                    stored,
                    pending.len(),
                    "acknowledged readings that are in the record"
                );
                assert_eq!(uncovered, 0, "out-of-range readings without an episode");
                audit.acknowledged.append(&mut pending);
                audit.looks += 1;
                if last {
                    return audit;
                }
            }
            // While the database is away; what was acknowledged before must be there afterwards.
            Err(error) => assert!(!last, "the database is there at the end: {error}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn look(pool: &PgPool, acknowledged: &[(DeviceId, Measured)]) -> Result<(usize, i64), sqlx::Error> {
    let column = |of: fn(&(DeviceId, Measured)) -> i64| acknowledged.iter().map(of).collect::<Vec<_>>();
    let metrics: Vec<i16> = acknowledged.iter().map(|(_, m)| Metric::code(m.metric)).collect();
    let times: Vec<DateTime<Utc>> = acknowledged.iter().map(|(_, m)| m.at).collect();
    let values: Vec<f64> = acknowledged.iter().map(|(_, m)| m.value).collect();
    let stored: i64 = sqlx::query_scalar(STORED)
        .bind(column(|(device, _)| device.0))
        .bind(metrics)
        .bind(times)
        .bind(values)
        .fetch_one(pool)
        .await?;
    let uncovered = sqlx::query_scalar(UNCOVERED).fetch_one(pool).await?;
    Ok((usize::try_from(stored).unwrap(), uncovered))
}
