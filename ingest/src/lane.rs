//! A lane: commits the readings of its patients, in order, and only then acknowledges them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use homeward_alerts::judging::Plans;
use homeward_record::decode::{Reason, Rejection};
use homeward_record::{Clock, PatientId};
use homeward_store::{Error, Fault, PgPool};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::broker::{Control, Link};
use crate::commit::{Commit, Committed};
use crate::delivery::{Delivery, Receipt};
use crate::directory::Directory;
use crate::message::Part;

/// Readings in one transaction. At 2,000 an insert has most of the speed that it ever gets (design §6), and
/// a transaction still takes some tens of milliseconds.
const BATCH_READINGS: usize = 2_000;
/// How long a reading waits for company when nothing else is to be done.
const LINGER: Duration = Duration::from_millis(2);
/// How long to wait before the database is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// Which of how many lanes one is, and so which patients it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LaneIndex {
    pub(crate) index: usize,
    pub(crate) lanes: usize,
}

impl LaneIndex {
    /// The lane of a patient, the same while the process lives.
    pub(crate) fn of(patient: PatientId, lanes: usize) -> usize {
        // Fibonacci hashing: neighbouring identifiers spread over the lanes.
        let mixed = patient.0.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        usize::try_from(mixed).unwrap_or(0) % lanes
    }

    /// Whether this is the lane of a patient.
    pub(crate) fn has(self, patient: PatientId) -> bool {
        LaneIndex::of(patient, self.lanes) == self.index
    }
}

/// How long a transaction may take before it is given up: many times what any batch needs.
pub(crate) const COMMIT_WITHIN: Duration = Duration::from_secs(60);

/// One lane.
pub(crate) struct Lane {
    pub(crate) index: LaneIndex,
    pub(crate) pool: PgPool,
    /// The number of this process at the gate.
    pub(crate) writer: i64,
    pub(crate) clock: Clock,
    pub(crate) directory: Arc<Directory>,
    pub(crate) link: Arc<Link>,
    /// Back to the intake, for a message whose patient turns out to belong to another lane.
    pub(crate) intake: mpsc::WeakSender<Delivery>,
    pub(crate) plans: Plans,
    /// How long a transaction may take: [`COMMIT_WITHIN`].
    pub(crate) commit_within: Duration,
}

impl Lane {
    /// Runs until no more parts come and all are committed, or until another process has taken over.
    pub(crate) async fn run(mut self, mut parts: mpsc::Receiver<Part>) {
        let mut batch = Vec::new();
        while let Some(first) = parts.recv().await {
            let mut readings = first.readings.len();
            batch.push(first);
            take_waiting(&mut parts, &mut batch, &mut readings);
            if readings < BATCH_READINGS {
                tokio::time::sleep(LINGER).await;
                take_waiting(&mut parts, &mut batch, &mut readings);
            }
            if let Err(Replaced) = self.commit(std::mem::take(&mut batch)).await {
                tracing::error!("another process has taken over the writing of readings");
                return;
            }
        }
    }

    /// Commits a batch. Where the record refuses its content, it is halved until the culprit is alone, and
    /// that one is rejected. Where it takes too long, it is halved too, so that it ends, but nothing is
    /// rejected for that; where the database is away, this waits.
    async fn commit(&mut self, batch: Vec<Part>) -> Result<(), Replaced> {
        let mut waiting = VecDeque::from([batch]);
        let mut judged_afresh = false;
        while let Some(mut batch) = waiting.pop_front() {
            let started = Instant::now();
            let commit = self.begin().await?;
            // Whether a commit that takes so long has happened, the next transaction finds out: it waits for it.
            let outcome = timeout(self.commit_within, self.try_commit(commit, &mut batch)).await;
            let too_slow = outcome.is_err();
            let error = match outcome.unwrap_or_else(|_| Err(Error::timed_out("commit a batch"))) {
                Ok(committed) => {
                    metrics::histogram!("homeward_ingest_commit_seconds")
                        .record(started.elapsed().as_secs_f64());
                    self.acknowledge(batch, &committed);
                    continue;
                }
                Err(error) => error,
            };
            metrics::counter!("homeward_ingest_commit_failures_total").increment(1);
            // The rules remember what is not in the record, or may be in it all the same.
            self.plans.forget(patients(&batch));
            match error.fault() {
                Fault::Conflict => waiting.push_front(batch),
                // Not its fault, perhaps: the database may be slow at present. Less of it may go in all the same.
                Fault::Away if too_slow && batch.len() > 1 => {
                    tracing::warn!(
                        messages = batch.len(),
                        seconds = started.elapsed().as_secs(),
                        "a batch takes too long; it is tried in halves"
                    );
                    halve(batch, &mut waiting);
                }
                Fault::Away if too_slow => {
                    let device_id = batch.first().map(|part| part.message.delivery.device.0);
                    tracing::warn!(
                        device_id,
                        seconds = started.elapsed().as_secs(),
                        "one message takes too long; it is tried again"
                    );
                    tokio::time::sleep(TRY_AGAIN).await;
                    waiting.push_front(batch);
                }
                Fault::Away => {
                    wait_for_database(&error).await;
                    waiting.push_front(batch);
                }
                // Perhaps not the content is at fault, but what the rules remembered here.
                Fault::Content if !judged_afresh => {
                    judged_afresh = true;
                    waiting.push_front(batch);
                }
                Fault::Content if batch.len() > 1 => halve(batch, &mut waiting),
                Fault::Content => waiting.extend(reject(batch, &error).map(|part| vec![part])),
            }
        }
        Ok(())
    }

    /// Begins a transaction, however long the database is away.
    async fn begin(&self) -> Result<Commit, Replaced> {
        loop {
            match Commit::begin(&self.pool, self.index).await {
                Ok(commit) if commit.writer() == self.writer => return Ok(commit),
                Ok(_) => return Err(Replaced),
                Err(error) => wait_for_database(&error).await,
            }
        }
    }

    /// One transaction for all of a batch.
    async fn try_commit(&mut self, mut commit: Commit, batch: &mut Vec<Part>) -> Result<Committed, Error> {
        batch.retain(|part| part.message.delivery.receipt.is_wanted());
        let moved = commit.verify(&self.directory, batch, self.index).await?;
        self.send_back(moved);
        commit.store(batch, &mut self.plans, self.clock.now()).await
    }

    /// Sends messages to the intake once more. One that finds no room there is forgotten unacknowledged,
    /// and so its device sends it again.
    fn send_back(&self, moved: Vec<Part>) {
        let Some(intake) = self.intake.upgrade() else {
            return;
        };
        for part in moved {
            if let Some(delivery) = Arc::into_inner(part.message).map(|message| message.delivery) {
                let _ = intake.try_send(delivery);
            }
        }
    }

    /// Tells the senders what became of their messages.
    fn acknowledge(&mut self, batch: Vec<Part>, committed: &Committed) {
        let mut said = Vec::with_capacity(batch.len());
        for (part, counts) in batch.into_iter().zip(&committed.parts) {
            let Some((message, outcome)) = part.committed(counts.stored, counts.stored_earlier) else {
                continue;
            };
            match &message.delivery.receipt {
                Receipt::Device { connection, packet } => {
                    let ack = packet.map(|packet| Control::PubAck(packet, outcome.reason()));
                    let controls = outcome.report(&message.delivery).into_iter().chain(ack);
                    said.extend(controls.map(|control| (Arc::clone(connection), control)));
                }
                // Who has stopped waiting since hears nothing: it may have been committed all the same.
                Receipt::Caller(caller) => drop(caller.try_send(outcome)),
            }
        }
        self.link.say(said);
    }
}

/// Whose readings a batch has.
pub(crate) fn patients(batch: &[Part]) -> impl Iterator<Item = PatientId> + '_ {
    batch
        .iter()
        .flat_map(|part| part.readings.iter().map(|(patient, _)| *patient))
}

/// Has the halves of a batch wait in its place.
fn halve(mut batch: Vec<Part>, waiting: &mut VecDeque<Vec<Part>>) {
    let second = batch.split_off(batch.len() / 2);
    waiting.push_front(second);
    waiting.push_front(batch);
}

/// Another process writes the readings now.
struct Replaced;

async fn wait_for_database(error: &Error) {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "waiting for the database"
    );
    tokio::time::sleep(TRY_AGAIN).await;
}

/// Takes what waits in the queue, up to a batch.
fn take_waiting(parts: &mut mpsc::Receiver<Part>, batch: &mut Vec<Part>, readings: &mut usize) {
    while *readings < BATCH_READINGS && batch.len() < BATCH_READINGS {
        let Ok(part) = parts.try_recv() else { return };
        *readings += part.readings.len();
        batch.push(part);
    }
}

/// Turns a part that the record refuses into a rejection of its message. A rejection that is refused too is
/// given up, unacknowledged and with an error in the log.
fn reject(batch: Vec<Part>, error: &Error) -> Option<Part> {
    let mut part = batch.into_iter().next()?;
    let device_id = part.message.delivery.device;
    let cause = error as &dyn std::error::Error;
    if part.readings.is_empty() {
        tracing::error!(%device_id, error = cause, "the record takes neither a message nor its rejection");
        return None;
    }
    tracing::error!(%device_id, error = cause, "the record refuses a message");
    part.readings.clear();
    let detail = "the record could not store this message, though each of its readings was well-formed";
    part.rejected
        .push(Rejection::new(None, Reason::Unstorable, detail));
    Some(part)
}

#[cfg(test)]
mod tests;
