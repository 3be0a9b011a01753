//! The transaction of a batch: readings, episodes, rule states and rejections, together or not at all.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use homeward_alerts::judging::{Plans, observed};
use homeward_record::DeviceId;
use homeward_record::decode::Upload;
use homeward_store::{
    BatchRow, Error, Gate, GateChanges, PgPool, RejectedMessage, insert_batch, insert_rejected, mark_dirty,
};
use sqlx::{Postgres, Transaction};

use crate::directory::{Directory, Known};
use crate::intake::assign;
use crate::lane::{LaneIndex, patients};
use crate::message::Part;

/// The open transaction of a batch.
pub(crate) struct Commit {
    transaction: Transaction<'static, Postgres>,
    gate: Gate,
}

/// What a committed batch brought, part by part.
pub(crate) struct Committed {
    pub(crate) parts: Vec<Counts>,
}

/// How many readings of a part were new, and how many the record had before.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) stored: u64,
    pub(crate) stored_earlier: u64,
}

impl Commit {
    /// Passes the gate: from here to the end, devices, assignments and care plans stay as they are.
    pub(crate) async fn begin(pool: &PgPool, lane: LaneIndex) -> Result<Commit, Error> {
        let (transaction, gate) = Gate::enter_in_turn(pool, lane.index).await?;
        Ok(Commit { transaction, gate })
    }

    /// Which process writes readings, by its number at the gate.
    pub(crate) fn writer(&self) -> i64 {
        self.gate.writer
    }

    /// Makes sure that each reading goes to the patient whom its device was assigned to, as the record has
    /// it now. Takes out of the batch, and answers, the parts whose patients belong to another lane.
    pub(crate) async fn verify(
        &mut self,
        directory: &Directory,
        batch: &mut Vec<Part>,
        lane: LaneIndex,
    ) -> Result<Vec<Part>, Error> {
        let version = self.gate.version;
        let oldest = batch
            .iter()
            .map(|part| part.known.verified_at())
            .min()
            .unwrap_or(version);
        if oldest >= version {
            return Ok(Vec::new());
        }
        let changes = GateChanges::since(&mut self.transaction, oldest).await?;
        let devices = batch.iter().map(|part| part.message.delivery.device);
        let changed: HashSet<DeviceId> = devices
            .filter(|device| changes.everything || changes.devices.contains(device))
            .collect();
        let ids: Vec<_> = changed.iter().copied().collect();
        let known = directory.load(&mut self.transaction, &ids, version).await?;

        let mut moved = Vec::new();
        for mut part in std::mem::take(batch) {
            let device = part.message.delivery.device;
            match known.get(&device) {
                Some(known) if part.known.verified_at() < version => reassign(&mut part, known),
                // The record does not forget a device. If it did: to whom its readings belong is not known.
                None if changed.contains(&device) => continue,
                _ => part.known.verify(version),
            }
            if part.readings.iter().all(|(patient, _)| lane.has(*patient)) {
                batch.push(part);
            } else {
                moved.push(part);
            }
        }
        Ok(moved)
    }

    /// Writes all of the batch and commits. If that fails, the rules of the batch's patients remember what is
    /// not in the record, and have to forget it.
    pub(crate) async fn store(
        mut self,
        batch: &[Part],
        plans: &mut Plans,
        now: DateTime<Utc>,
    ) -> Result<Committed, Error> {
        let connection = &mut *self.transaction;
        plans.bring_up_to(connection, self.gate.version).await?;
        plans.load(connection, patients(batch).collect()).await?;

        let mut rows: Vec<BatchRow> = Vec::with_capacity(batch.iter().map(|part| part.readings.len()).sum());
        for (index, part) in batch.iter().enumerate() {
            rows.extend(rows_of(index, part));
        }
        let is_new = insert_batch(connection, &mut rows).await?;
        let new: Vec<_> = rows
            .iter()
            .zip(&is_new)
            .filter(|(_, is_new)| **is_new)
            .map(|(row, _)| row)
            .collect();
        mark_dirty(connection, &self.gate, new.iter().copied()).await?;

        plans
            .judge(connection, new.into_iter().map(observed), now)
            .await?;
        insert_rejected(connection, &rejected(batch)).await?;
        self.transaction
            .commit()
            .await
            .map_err(|source| Error::new("commit a batch", source))?;
        Ok(count(batch.len(), &rows, &is_new))
    }
}

/// Finds anew whose readings a part holds. Of a message in several parts the record has changed under one
/// lane; the readings that it holds are enough to go by.
fn reassign(part: &mut Part, known: &Arc<Known>) {
    let readings = std::mem::take(&mut part.readings)
        .into_iter()
        .map(|(_, reading)| reading)
        .collect();
    let rejected = std::mem::take(&mut part.rejected);
    let subject = part.message.delivery.subject;
    (part.readings, part.rejected) = assign(known, subject, Upload { readings, rejected });
    part.known = Arc::clone(known);
}

fn rows_of(index: usize, part: &Part) -> impl Iterator<Item = BatchRow> {
    let delivery = &part.message.delivery;
    part.readings.iter().map(move |(patient, reading)| BatchRow {
        part: index,
        patient: *patient,
        metric: reading.metric,
        at: reading.at,
        device: delivery.device,
        value: reading.value,
        context: reading.context.clone(),
        received_at: delivery.received_at,
    })
}

fn rejected(batch: &[Part]) -> Vec<RejectedMessage<'_>> {
    let mut messages = Vec::new();
    for part in batch.iter().filter(|part| !part.rejected.is_empty()) {
        let delivery = &part.message.delivery;
        messages.push(RejectedMessage {
            device: delivery.device,
            received_at: delivery.received_at,
            topic: &delivery.topic,
            payload: &delivery.payload,
            reasons: serde_json::to_value(&part.rejected).expect("rejections are plain data"),
        });
    }
    messages
}

fn count(parts: usize, rows: &[BatchRow], is_new: &[bool]) -> Committed {
    let mut counts = vec![Counts::default(); parts];
    let mut readings = BTreeMap::from([("stored", 0), ("stored_earlier", 0)]);
    for (row, is_new) in rows.iter().zip(is_new) {
        let (count, outcome) = match is_new {
            true => (&mut counts[row.part].stored, "stored"),
            false => (&mut counts[row.part].stored_earlier, "stored_earlier"),
        };
        *count += 1;
        *readings.entry(outcome).or_default() += 1;
    }
    for (outcome, count) in readings {
        metrics::counter!("homeward_ingest_readings_total", "outcome" => outcome).increment(count);
    }
    Committed { parts: counts }
}
