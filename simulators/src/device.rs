use std::sync::atomic::Ordering;

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use crate::measurement::{Measurement, Message};
use crate::pace::Pace;
use crate::physiology::{Device, Patient};
use crate::uplink::{Sender, Uplinks};

/// A simulated device: what its patient's body does, measured and handed to an uplink as time passes.
pub(crate) struct SimulatedDevice<'a> {
    pub(crate) patient: Patient,
    pub(crate) device: Device,
    pub(crate) course: &'a Course,
    pub(crate) uplinks: &'a Uplinks,
}

/// What all devices of a fleet go through.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    pub(crate) from: DateTime<Utc>,
    pub(crate) to: DateTime<Utc>,
    /// Whether the devices go on after `to`.
    pub(crate) live: bool,
    pub(crate) pace: Pace,
    pub(crate) per_message: usize,
    pub(crate) clock_skew: TimeDelta,
}

/// How much simulated time is generated at once: thousands of devices each hold so much, which is some ten
/// kilobytes for a watch that measures every minute.
const CHUNK: TimeDelta = TimeDelta::hours(2);

/// How often a device that measures says how full its battery is.
const BATTERY_EVERY: TimeDelta = TimeDelta::hours(1);

impl SimulatedDevice<'_> {
    /// Hands over everything from the beginning of the course to its end, or until it is cancelled.
    pub(crate) async fn run(self, sender: Sender, cancel: &CancellationToken) -> Result<()> {
        tokio::select! {
            ended = self.measure(&sender) => ended,
            () = cancel.cancelled() => Ok(()),
        }
    }

    async fn measure(&self, sender: &Sender) -> Result<()> {
        let course = self.course;
        let mut batch = Vec::with_capacity(course.per_message);
        let mut begin = course.from;
        while begin < course.to {
            let end = (begin + CHUNK).min(course.to);
            for measurement in self.patient.readings(self.device, begin, end) {
                course.pace.wait(measurement.at(), false).await;
                batch.push(measurement);
                if batch.len() >= course.per_message {
                    self.send(sender, &mut batch).await?;
                }
            }
            let covered = u64::try_from((end - begin).num_seconds()).unwrap_or(0);
            self.uplinks.totals.covered.fetch_add(covered, Ordering::Relaxed);
            begin = end;
        }
        self.send(sender, &mut batch).await?;
        self.uplinks.totals.caught_up.fetch_add(1, Ordering::Relaxed);
        if course.live {
            self.live(sender).await?;
        }
        Ok(())
    }

    /// What is due goes out at once; only what is overdue is put together. The battery is told of the present alone.
    async fn live(&self, sender: &Sender) -> Result<()> {
        let pace = &self.course.pace;
        let mut batch = Vec::new();
        let mut begin = self.course.to;
        let mut battery_told = begin;
        self.tell_battery(sender, begin).await;
        loop {
            // What comes later is not asked for before: a device that measures nothing would never come to rest.
            pace.wait(begin, true).await;
            let end = begin + CHUNK;
            for measurement in self.patient.readings(self.device, begin, end) {
                let due = pace.is_due(measurement.at(), true);
                if !due || batch.len() >= self.course.per_message {
                    self.send(sender, &mut batch).await?;
                }
                pace.wait(measurement.at(), true).await;
                if measurement.at() - battery_told >= BATTERY_EVERY {
                    battery_told = measurement.at();
                    self.tell_battery(sender, battery_told).await;
                }
                batch.push(measurement);
            }
            self.send(sender, &mut batch).await?;
            begin = end;
        }
    }

    async fn tell_battery(&self, sender: &Sender, at: DateTime<Utc>) {
        let percent = self.patient.battery(self.device, at);
        sender.send(Message::battery(percent)).await;
    }

    async fn send(&self, sender: &Sender, batch: &mut Vec<Measurement>) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let skew = self.course.clock_skew;
        let reported: Vec<_> = batch
            .drain(..)
            .map(|measurement| measurement.shifted(skew))
            .collect();
        sender.send(Message::new(&reported)?).await;
        Ok(())
    }
}
