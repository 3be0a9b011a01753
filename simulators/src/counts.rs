use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What has happened to the messages of one device or of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages written to a connection, each counted once.
    pub sent: u64,
    /// Messages that the broker has taken over; repetitions do not count.
    pub acknowledged: u64,
    /// Times that a message was written again, because a connection ended before its acknowledgement.
    pub resent: u64,
    /// Messages that the broker has refused (MQTT 5 only). They are not sent again.
    pub refused: u64,
    /// Readings in the acknowledged messages, as rows of the record.
    pub readings: u64,
    /// Connections that were accepted.
    pub connects: u64,
    /// Copies sent by the fault `duplicate`.
    pub duplicated: u64,
    /// Messages held back by the fault `drop`.
    pub dropped: u64,
    /// Connections broken by the fault `disconnect`.
    pub broken: u64,
}

/// Counts that many devices add to at once, and what is wrong at the moment.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    sent: AtomicU64,
    acknowledged: AtomicU64,
    resent: AtomicU64,
    refused: AtomicU64,
    readings: AtomicU64,
    connects: AtomicU64,
    duplicated: AtomicU64,
    dropped: AtomicU64,
    broken: AtomicU64,
    /// Devices that are connected now.
    pub(crate) connected: AtomicU64,
    /// Seconds of simulated time, or recorded measurements, that have been handed to the devices' queues.
    pub(crate) covered: AtomicU64,
    /// Messages that have been handed to the devices' queues.
    pub(crate) handed: AtomicU64,
    /// Devices that have put all of the past behind them.
    pub(crate) caught_up: AtomicU64,
    trouble: Mutex<Option<String>>,
}

impl Totals {
    /// Adds what has changed since it was last told.
    pub(crate) fn add(&self, change: Counts) {
        for (total, change) in [
            (&self.sent, change.sent),
            (&self.acknowledged, change.acknowledged),
            (&self.resent, change.resent),
            (&self.refused, change.refused),
            (&self.readings, change.readings),
            (&self.connects, change.connects),
            (&self.duplicated, change.duplicated),
            (&self.dropped, change.dropped),
            (&self.broken, change.broken),
        ] {
            if change > 0 {
                total.fetch_add(change, Ordering::Relaxed);
            }
        }
    }

    /// The sums so far.
    pub(crate) fn counts(&self) -> Counts {
        let read = |total: &AtomicU64| total.load(Ordering::Relaxed);
        Counts {
            sent: read(&self.sent),
            acknowledged: read(&self.acknowledged),
            resent: read(&self.resent),
            refused: read(&self.refused),
            readings: read(&self.readings),
            connects: read(&self.connects),
            duplicated: read(&self.duplicated),
            dropped: read(&self.dropped),
            broken: read(&self.broken),
        }
    }

    /// The part that is done of a `whole` in the unit of `covered`: what is handed over, as far as it is
    /// answered.
    pub(crate) fn done(&self, whole: f64) -> f64 {
        if whole <= 0.0 {
            return 1.0;
        }
        let counts = self.counts();
        let answered = (counts.acknowledged + counts.refused) as f64;
        let handed = self.handed.load(Ordering::Relaxed).max(1) as f64;
        let covered = self.covered.load(Ordering::Relaxed) as f64;
        (covered / whole).min(1.0) * (answered / handed).min(1.0)
    }

    /// Notes what is wrong, unless something is noted already, and says whether that is news: thousands of
    /// devices see the same outage, and it is logged once.
    pub(crate) fn note(&self, trouble: &str) -> bool {
        let mut noted = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let news = noted.is_none();
        noted.get_or_insert_with(|| trouble.into());
        news
    }

    /// Notes that nothing is wrong any more, and says whether that is news.
    pub(crate) fn note_well(&self) -> bool {
        let mut noted = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        noted.take().is_some()
    }

    /// What is wrong at the moment.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// How far a fleet or a replay has come.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Devices that take part.
    pub devices: usize,
    /// Devices that are connected now.
    pub connected: u64,
    /// The part of the past, or of the recorded series, that the broker has answered, from 0 to 1.
    pub done: f64,
    /// Whether all devices have caught up and send as time passes.
    pub live: bool,
    /// What has happened so far.
    pub counts: Counts,
    /// What is wrong at the moment, in plain English: a broker that cannot be reached.
    pub trouble: Option<String>,
}
