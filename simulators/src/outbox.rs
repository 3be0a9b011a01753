//! The queue of one device: messages wait here until the broker has acknowledged them.
//!
//! Pure: it neither writes nor waits, and is told the time. A message is *waiting*, then *submitted* to the
//! MQTT client, then *in flight* once the client has written it and said under which packet id, then gone.
//! When a connection ends, whatever is submitted or in flight waits again, in its old order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use crate::counts::Counts;
use crate::faults::Faults;
use crate::measurement::Message;
use crate::noise::Dice;

/// How long a message that the fault `drop` has lost stays away, at least and at most.
const LOST_FOR: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// A message on its way, shared by its copies.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) message: Message,
    /// Whether a first answer has come; a copy's is not counted again.
    answered: AtomicBool,
    /// The place in the bounded queue that it holds until all its copies are gone.
    _place: Option<OwnedSemaphorePermit>,
}

impl Parcel {
    pub(crate) fn new(message: Message, place: Option<OwnedSemaphorePermit>) -> Parcel {
        Parcel {
            message,
            answered: AtomicBool::new(false),
            _place: place,
        }
    }
}

#[derive(Debug)]
struct Entry {
    parcel: Arc<Parcel>,
    /// Position in the order of sending, which survives a reconnection.
    order: u64,
    copy: bool,
    /// Whether the faults have had their chance with it.
    tried: bool,
    written: bool,
    not_before: Option<Instant>,
}

#[derive(Debug)]
struct InFlight {
    packet_id: u16,
    /// How many messages were submitted on this connection before it.
    number: u64,
    since: Instant,
    entry: Entry,
}

/// What to do next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Submit this message.
    Submit(Arc<Parcel>),
    /// Nothing before this moment.
    Later(Instant),
    /// Nothing until a message or an acknowledgement comes.
    Wait,
    /// Nothing ever: no message is left and none will come.
    Finished,
}

/// What an acknowledgement meant.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) parcel: Arc<Parcel>,
    /// Whether it is the first answer to this message.
    pub(crate) first: bool,
}

/// The queue.
#[derive(Debug)]
pub(crate) struct Outbox {
    waiting: VecDeque<Entry>,
    submitted: VecDeque<Entry>,
    in_flight: VecDeque<InFlight>,
    closed: bool,
    next_order: u64,
    /// Messages submitted, and written, on this connection.
    submitted_now: u64,
    written_now: u64,
    limits: Limits,
    faults: Faults,
    dice: Dice,
    counts: Counts,
}

/// How much may be under way at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Messages without acknowledgement.
    pub(crate) window: u16,
    /// Packet ids before the client uses the first again. While the oldest message is in flight no more
    /// than this many are submitted after it, so that no id is needed twice at once: rumqttc would stop,
    /// and if the awaited acknowledgement is an MQTT 5 refusal, not go on.
    pub(crate) packet_ids: u16,
}

impl Outbox {
    pub(crate) fn new(limits: Limits, faults: Faults, device: i64) -> Outbox {
        let seed = faults.seed ^ device.cast_unsigned().rotate_left(32);
        Outbox {
            waiting: VecDeque::new(),
            submitted: VecDeque::new(),
            in_flight: VecDeque::new(),
            closed: false,
            next_order: 0,
            submitted_now: 0,
            written_now: 0,
            limits,
            faults,
            dice: Dice::new(seed),
            counts: Counts::default(),
        }
    }

    /// Takes a message to send.
    pub(crate) fn push(&mut self, parcel: Parcel) {
        let entry = self.entry(Arc::new(parcel), false);
        self.waiting.push_back(entry);
    }

    /// Nothing will be pushed any more.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    /// Whether there is nothing left to do.
    pub(crate) fn is_finished(&self) -> bool {
        self.closed && self.waiting.is_empty() && self.submitted.is_empty() && self.in_flight.is_empty()
    }

    /// A connection begins, on which this much may be under way.
    pub(crate) fn connected(&mut self, limits: Limits) {
        self.return_unacknowledged();
        self.limits = limits;
        self.counts.connects += 1;
    }

    /// The connection is gone: what was not acknowledged waits again.
    pub(crate) fn return_unacknowledged(&mut self) {
        let mut entries: Vec<_> = self.in_flight.drain(..).map(|flying| flying.entry).collect();
        entries.extend(self.submitted.drain(..));
        entries.sort_by_key(|entry| entry.order);
        for entry in entries.into_iter().rev() {
            self.waiting.push_front(entry);
        }
        self.submitted_now = 0;
        self.written_now = 0;
    }

    /// What to do now. A message that it gives out counts as submitted.
    pub(crate) fn next(&mut self, now: Instant) -> Next {
        if self.is_finished() {
            return Next::Finished;
        }
        let under_way = self.submitted.len() + self.in_flight.len();
        let oldest = self.in_flight.iter().map(|flying| flying.number).min();
        let ids_used = self.submitted_now - oldest.unwrap_or(self.written_now);
        if under_way >= usize::from(self.limits.window) || ids_used >= u64::from(self.limits.packet_ids) {
            return Next::Wait;
        }
        while let Some(index) = self.ready(now, 0) {
            let Some(entry) = self.choose(index, now) else {
                continue;
            };
            let parcel = Arc::clone(&entry.parcel);
            self.submitted.push_back(entry);
            self.submitted_now += 1;
            return Next::Submit(parcel);
        }
        let awaited = self.waiting.iter().filter_map(|entry| entry.not_before).min();
        awaited.map_or(Next::Wait, Next::Later)
    }

    /// The oldest submitted message was written under this packet id. Returns whether the fault
    /// `disconnect` wants the connection broken.
    pub(crate) fn written(&mut self, packet_id: u16, now: Instant) -> bool {
        let Some(mut entry) = self.submitted.pop_front() else {
            return false;
        };
        match (entry.written, entry.copy) {
            (true, _) => self.counts.resent += 1,
            (false, true) => self.counts.duplicated += 1,
            (false, false) => self.counts.sent += 1,
        }
        entry.written = true;
        self.in_flight.push_back(InFlight {
            packet_id,
            number: self.written_now,
            since: now,
            entry,
        });
        self.written_now += 1;
        let breaks = self.dice.chance(self.faults.disconnect);
        self.counts.broken += u64::from(breaks);
        breaks
    }

    /// The broker has answered the message with this packet id, by taking or by refusing it.
    pub(crate) fn answered(&mut self, packet_id: u16, taken: bool) -> Option<Answered> {
        let index = self
            .in_flight
            .iter()
            .position(|flying| flying.packet_id == packet_id)?;
        let parcel = self.in_flight.remove(index)?.entry.parcel;
        let first = !parcel.answered.swap(true, Ordering::Relaxed);
        match (first, taken) {
            (true, true) => {
                self.counts.acknowledged += 1;
                self.counts.readings += parcel.message.readings.len() as u64;
            }
            (true, false) => self.counts.refused += 1,
            (false, _) => {}
        }
        Some(Answered { parcel, first })
    }

    /// When the message that has waited longest for its acknowledgement was written.
    pub(crate) fn oldest_in_flight(&self) -> Option<Instant> {
        self.in_flight.iter().map(|flying| flying.since).min()
    }

    /// What has been counted since this was last asked.
    pub(crate) fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }

    /// A number from 0 to 1 from the same chance as the faults.
    pub(crate) fn chance(&mut self) -> f64 {
        self.dice.uniform()
    }

    fn entry(&mut self, parcel: Arc<Parcel>, copy: bool) -> Entry {
        self.next_order += 1;
        Entry {
            parcel,
            order: self.next_order,
            copy,
            tried: copy,
            written: false,
            not_before: None,
        }
    }

    /// The first waiting message from `start` on that may go now.
    fn ready(&self, now: Instant, start: usize) -> Option<usize> {
        let ready = |entry: &Entry| entry.not_before.is_none_or(|moment| moment <= now);
        (start..self.waiting.len()).find(|index| ready(&self.waiting[*index]))
    }

    /// Takes the message at `index`, or what the faults make of it: a later one, or none for now.
    fn choose(&mut self, index: usize, now: Instant) -> Option<Entry> {
        let tried = std::mem::replace(&mut self.waiting[index].tried, true);
        if tried {
            return self.waiting.remove(index);
        }
        if self.dice.chance(self.faults.drop) {
            let (least, most) = LOST_FOR;
            self.waiting[index].not_before = Some(now + least + (most - least).mul_f64(self.dice.uniform()));
            self.counts.dropped += 1;
            return None;
        }
        let later = self
            .dice
            .chance(self.faults.reorder)
            .then(|| self.ready(now, index + 1));
        let mut entry = self.waiting.remove(later.flatten().unwrap_or(index))?;
        entry.tried = true;
        if !entry.copy && self.dice.chance(self.faults.duplicate) {
            let copy = self.entry(Arc::clone(&entry.parcel), true);
            // Right behind the original, or behind all that waits.
            let place = if self.dice.chance(0.5) {
                index.min(self.waiting.len())
            } else {
                self.waiting.len()
            };
            self.waiting.insert(place, copy);
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests;
