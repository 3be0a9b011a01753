use chrono::{DateTime, Utc};
use homeward_record::{Context, DeviceId, Metric, PatientId};
use sqlx::PgConnection;

use crate::rollup::hour_of;
use crate::{Error, Gate};

/// A reading on its way into the record.
#[derive(Clone, Debug)]
pub struct BatchRow {
    /// Which part of the batch it came with, for the caller: the batch is sorted on its way.
    pub part: usize,
    /// Whose reading it is.
    pub patient: PatientId,
    /// What was measured.
    pub metric: Metric,
    /// When it was measured, in whole microseconds.
    pub at: DateTime<Utc>,
    /// What measured it.
    pub device: DeviceId,
    /// The value, in the metric's stored unit.
    pub value: f64,
    /// What else the device said.
    pub context: Context,
    /// When its message arrived.
    pub received_at: DateTime<Utc>,
}

impl BatchRow {
    fn key(&self) -> (i64, i16, DateTime<Utc>, i64) {
        (self.patient.0, self.metric.code(), self.at, self.device.0)
    }
}

/// Stores the readings of a batch, and answers for each row whether it was new: a reading that the record
/// already had, or that stands twice in the batch, changes nothing.
///
/// Sorts the batch by key, as every writer does, so that two writers never wait for each other in a circle.
/// The answer is in the order of the sorted batch.
pub async fn insert_batch(connection: &mut PgConnection, batch: &mut [BatchRow]) -> Result<Vec<bool>, Error> {
    batch.sort_by_key(BatchRow::key);
    let contexts: Vec<Option<String>> = batch.iter().map(|row| context_json(&row.context)).collect();
    let inserted = sqlx::query!(
        r#"
        INSERT INTO reading (patient_id, metric, time, device_id, value, received_at, context)
        SELECT patient_id, metric, time, device_id, value, received_at, context::jsonb
        FROM UNNEST($1::bigint[], $2::smallint[], $3::timestamptz[], $4::bigint[], $5::float8[],
                    $6::timestamptz[], $7::text[])
            AS batch (patient_id, metric, time, device_id, value, received_at, context)
        ON CONFLICT DO NOTHING
        RETURNING patient_id, metric, time, device_id
        "#,
        &batch.iter().map(|row| row.patient.0).collect::<Vec<_>>(),
        &batch.iter().map(|row| row.metric.code()).collect::<Vec<_>>(),
        &batch.iter().map(|row| row.at).collect::<Vec<_>>(),
        &batch.iter().map(|row| row.device.0).collect::<Vec<_>>(),
        &batch.iter().map(|row| row.value).collect::<Vec<_>>(),
        &batch.iter().map(|row| row.received_at).collect::<Vec<_>>(),
        &contexts as &[Option<String>],
    )
    .fetch_all(connection)
    .await
    .map_err(|source| Error::new("insert readings", source))?;

    if inserted.len() == batch.len() {
        return Ok(vec![true; batch.len()]);
    }
    let mut new: Vec<_> = inserted
        .iter()
        .map(|row| (row.patient_id, row.metric, row.time, row.device_id))
        .collect();
    new.sort_unstable();
    let mut new = new.into_iter().peekable();
    Ok(batch
        .iter()
        .map(|row| new.next_if_eq(&row.key()).is_some())
        .collect())
}

/// Marks the hours of new readings for a new rollup, as far as they are behind the rollup mark that the gate of this
/// transaction has.
pub async fn mark_dirty<'a>(
    connection: &mut PgConnection,
    gate: &Gate,
    rows: impl IntoIterator<Item = &'a BatchRow>,
) -> Result<(), Error> {
    let mut hours: Vec<_> = rows
        .into_iter()
        .map(|row| (row.patient.0, row.metric.code(), hour_of(row.metric, row.at)))
        .filter(|(.., hour)| *hour < gate.rollup_mark)
        .collect();
    hours.sort_unstable();
    hours.dedup();
    if hours.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO rollup_dirty (patient_id, metric, bucket)
         SELECT * FROM UNNEST($1::bigint[], $2::smallint[], $3::timestamptz[])",
        &hours.iter().map(|hour| hour.0).collect::<Vec<_>>(),
        &hours.iter().map(|hour| hour.1).collect::<Vec<_>>(),
        &hours.iter().map(|hour| hour.2).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await
    .map_err(|source| Error::new("mark hours for a new rollup", source))?;
    Ok(())
}

fn context_json(context: &Context) -> Option<String> {
    (!context.is_empty()).then(|| serde_json::to_string(context).expect("a context is plain data"))
}
