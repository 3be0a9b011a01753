//! The connections of this process: what their tasks, the lanes and the watcher share.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use homeward_record::DeviceId;
use rumqttd::protocol::ConnectReturnCode;

use super::control::Control;

/// One connection of a device.
///
/// Its *slot* is a small number that it has alone while it lasts; the router knows the connection only by
/// it, so that nothing in the router grows with the number of devices that ever came. Its *number* is never
/// used again, and says which of two connections came first.
///
/// What the process has to say to it waits in its *outbox*, and so can reach no other connection. The router
/// carries only the word that something waits, and at most one such word at a time.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) slot: u32,
    pub(crate) number: u64,
    /// The topic, within the router, on which the connection is woken.
    pub(crate) wake_topic: Bytes,
    /// The device that it claims to be, proven once the verdict says so.
    pub(crate) device: DeviceId,
    verdict: OnceLock<Result<(), ConnectReturnCode>>,
    phase: AtomicU8,
    flight: Mutex<Flight>,
    outbox: Mutex<Outbox>,
    /// Whether a word that something waits is on its way through the router.
    woken: AtomicBool,
    /// Whether it was told of its end: once is enough, also for one that does not read.
    dismissed: AtomicBool,
    /// Whether it counts among those of its device.
    admitted: AtomicBool,
    /// When its device was last heard of, in microseconds of Unix time: 0 before it was admitted.
    heard: AtomicI64,
}

/// What waits to be written to a device.
#[derive(Debug, Default)]
struct Outbox {
    waiting: VecDeque<Control>,
    /// How much memory all of it takes.
    bytes: usize,
}

/// Memory that reports and the like may take in an outbox before further ones are left out: the reports of a
/// whole window, of usual size. Acknowledgements always find room, since the window bounds them.
const OUTBOX_BYTES: usize = 512 * 1024;

/// Connections that one device may have: the one that it uses, and some that are told of their end and do not
/// read it. Whoever never reads could take all the room there is otherwise: nothing ends rumqttd's writing.
const CONNECTIONS_OF_DEVICE: u32 = 16;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    /// It cannot be woken yet: its publishes wait.
    Opening,
    /// It works.
    Open,
    /// It has been told of its end and takes nothing any more.
    Closing,
}

/// The QoS 1 messages of a connection that wait for their commit, the oldest first.
#[derive(Debug, Default)]
struct Flight {
    waiting: VecDeque<(u16, Instant)>,
}

impl Connection {
    /// Whether the device may connect: set once, when its credential has been checked.
    pub(crate) fn set_verdict(&self, verdict: Result<(), ConnectReturnCode>) {
        // A second verdict would be a fault of ours; the first stands.
        let _ = self.verdict.set(verdict);
    }

    /// Whether there is a verdict, and it is a refusal.
    pub(crate) fn is_refused(&self) -> bool {
        self.verdict.get().is_some_and(Result::is_err)
    }

    /// The verdict, or a refusal while there is none.
    pub(crate) fn verdict(&self) -> Result<(), ConnectReturnCode> {
        *self
            .verdict
            .get()
            .unwrap_or(&Err(ConnectReturnCode::NotAuthorized))
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Opening,
            1 => Phase::Open,
            _ => Phase::Closing,
        }
    }

    /// Moves on to a phase; never back.
    pub(crate) fn advance(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
    }

    /// Notes that a message waits for its commit. Answers how many do, and whether this one is new: a
    /// packet identifier that waits already is the same message sent again.
    pub(crate) fn depart(&self, packet: u16, now: Instant) -> (usize, bool) {
        let mut flight = lock(&self.flight);
        let new = flight.waiting.iter().all(|(waiting, _)| *waiting != packet);
        if new {
            flight.waiting.push_back((packet, now));
        }
        (flight.waiting.len(), new)
    }

    /// Notes that a message is acknowledged. Answers whether it was waiting.
    pub(crate) fn arrive(&self, packet: u16) -> bool {
        let mut flight = lock(&self.flight);
        let position = flight.waiting.iter().position(|(waiting, _)| *waiting == packet);
        position
            .and_then(|position| flight.waiting.remove(position))
            .is_some()
    }

    /// Since when the oldest message has been waiting.
    pub(crate) fn oldest_departure(&self) -> Option<Instant> {
        lock(&self.flight).waiting.front().map(|(_, since)| *since)
    }

    /// How many messages wait for their PUBACK.
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.flight).waiting.len()
    }

    /// Notes that the device, which has shown its credential, has said something.
    pub(crate) fn hear(&self, now: DateTime<Utc>) {
        self.heard.fetch_max(now.timestamp_micros(), Ordering::Relaxed);
    }

    /// When the device was last heard of on this connection.
    pub(crate) fn heard(&self) -> Option<DateTime<Utc>> {
        let micros = self.heard.load(Ordering::Relaxed);
        DateTime::from_timestamp_micros(micros).filter(|_| micros > 0)
    }

    /// Puts something into the outbox. Answers whether the connection must be woken for it.
    pub(crate) fn post(&self, control: Control) -> bool {
        if matches!(control, Control::Close(_)) && self.dismissed.swap(true, Ordering::AcqRel) {
            return false;
        }
        let mut outbox = lock(&self.outbox);
        let owed = matches!(control, Control::PubAck(..) | Control::Close(_));
        let bytes = control.bytes();
        if owed || outbox.bytes + bytes <= OUTBOX_BYTES {
            outbox.bytes += bytes;
            outbox.waiting.push_back(control);
        }
        drop(outbox);
        self.wake()
    }

    /// Answers whether the connection must be woken, which the caller then does.
    pub(crate) fn wake(&self) -> bool {
        !self.woken.swap(true, Ordering::AcqRel)
    }

    /// Takes all that is in the outbox, in its order.
    pub(crate) fn collect(&self) -> VecDeque<Control> {
        // In this order: what is posted after the taking finds nobody woken.
        self.woken.store(false, Ordering::Release);
        std::mem::take(&mut *lock(&self.outbox)).waiting
    }
}

impl AsRef<Connection> for Connection {
    fn as_ref(&self) -> &Connection {
        self
    }
}

/// Every connection of this process.
#[derive(Debug)]
pub(crate) struct Connections {
    inner: Mutex<Inner>,
    /// QoS 1 messages of all connections that wait for their PUBACK.
    waiting: AtomicUsize,
}

#[derive(Debug)]
struct Inner {
    slots: Vec<Option<Arc<Connection>>>,
    free: Vec<u32>,
    by_device: HashMap<DeviceId, OfDevice>,
    opened: u64,
}

/// The admitted connections of one device.
#[derive(Debug, Default)]
struct OfDevice {
    /// The slot of the one in use.
    latest: Option<u32>,
    /// How many there are, with those that have been told of their end.
    count: u32,
}

/// A device has as many connections as one may have.
#[derive(Debug)]
pub(crate) struct TooMany;

impl Connections {
    /// Room for `limit` connections.
    pub(crate) fn new(limit: u32) -> Connections {
        let inner = Inner {
            slots: vec![None; limit as usize],
            free: (0..limit).rev().collect(),
            by_device: HashMap::new(),
            opened: 0,
        };
        Connections {
            inner: Mutex::new(inner),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Gives a new connection a slot, if one is free.
    pub(crate) fn open(&self, device: DeviceId) -> Option<Arc<Connection>> {
        let mut inner = lock(&self.inner);
        let slot = inner.free.pop()?;
        inner.opened += 1;
        let connection = Arc::new(Connection {
            slot,
            number: inner.opened,
            wake_topic: format!("w/{slot}").into(),
            device,
            verdict: OnceLock::new(),
            phase: AtomicU8::new(Phase::Opening as u8),
            flight: Mutex::default(),
            outbox: Mutex::default(),
            woken: AtomicBool::new(false),
            dismissed: AtomicBool::new(false),
            admitted: AtomicBool::new(false),
            heard: AtomicI64::new(0),
        });
        inner.slots[slot as usize] = Some(Arc::clone(&connection));
        Some(connection)
    }

    /// Makes a connection, whose credential was right, the one of its device, unless a later one is that
    /// already. Answers the earlier of the two, which must be closed.
    pub(crate) fn admit(&self, connection: &Connection) -> Result<Option<Arc<Connection>>, TooMany> {
        let mut inner = lock(&self.inner);
        let of_device = inner.by_device.entry(connection.device).or_default();
        if of_device.count >= CONNECTIONS_OF_DEVICE {
            return Err(TooMany);
        }
        of_device.count += 1;
        connection.admitted.store(true, Ordering::Release);
        let latest = of_device.latest;
        let latest_connection = latest.and_then(|slot| inner.slots[slot as usize].clone());
        // Credentials are checked side by side: one that came before may be admitted after.
        if latest_connection
            .as_ref()
            .is_some_and(|latest| latest.number > connection.number)
        {
            return Ok(inner.slots[connection.slot as usize].clone());
        }
        if let Some(of_device) = inner.by_device.get_mut(&connection.device) {
            of_device.latest = Some(connection.slot);
        }
        Ok(latest_connection)
    }

    /// Gives the slot of a connection back.
    pub(crate) fn close(&self, connection: &Connection) {
        let mut inner = lock(&self.inner);
        inner.slots[connection.slot as usize] = None;
        inner.free.push(connection.slot);
        if connection.admitted.load(Ordering::Acquire)
            && let Some(of_device) = inner.by_device.get_mut(&connection.device)
        {
            of_device.count -= 1;
            of_device.latest = of_device.latest.filter(|slot| *slot != connection.slot);
            if of_device.count == 0 {
                inner.by_device.remove(&connection.device);
            }
        }
        drop(inner);
        self.waiting.fetch_sub(connection.waiting(), Ordering::AcqRel);
    }

    /// The connection in a slot.
    pub(crate) fn in_slot(&self, slot: u32) -> Option<Arc<Connection>> {
        lock(&self.inner).slots.get(slot as usize)?.clone()
    }

    /// The admitted connection of a device.
    pub(crate) fn of_device(&self, device: DeviceId) -> Option<Arc<Connection>> {
        let inner = lock(&self.inner);
        let slot = inner.by_device.get(&device)?.latest?;
        inner.slots[slot as usize].clone()
    }

    /// All connections, as they are now.
    pub(crate) fn all(&self) -> Vec<Arc<Connection>> {
        lock(&self.inner).slots.iter().flatten().cloned().collect()
    }

    /// [`Connection::depart`], counted.
    pub(crate) fn depart(&self, connection: &Connection, packet: u16, now: Instant) -> (usize, bool) {
        let (waiting, new) = connection.depart(packet, now);
        self.waiting.fetch_add(usize::from(new), Ordering::AcqRel);
        (waiting, new)
    }

    /// [`Connection::arrive`], counted.
    pub(crate) fn arrive(&self, connection: &Connection, packet: u16) -> bool {
        let waited = connection.arrive(packet);
        self.waiting.fetch_sub(usize::from(waited), Ordering::AcqRel);
        waited
    }

    /// How many messages wait for their PUBACK.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }
}

/// A panic while a lock was held leaves data that each of these short sections keeps whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use rumqttd::protocol::PubAckReason;

    use super::super::control::Downlink;
    use super::*;

    #[test]
    fn a_slot_is_used_again_and_a_number_never() {
        let connections = Connections::new(1);
        let first = connections.open(DeviceId(1)).unwrap();
        assert!(connections.open(DeviceId(2)).is_none(), "the limit holds");
        connections.close(&first);
        let second = connections.open(DeviceId(1)).unwrap();
        assert_eq!(first.slot, second.slot);
        assert_ne!(first.number, second.number);
    }

    #[test]
    fn a_device_has_one_connection() {
        let connections = Connections::new(2);
        let old = connections.open(DeviceId(1)).unwrap();
        assert!(connections.admit(&old).unwrap().is_none());
        let new = connections.open(DeviceId(1)).unwrap();
        assert_eq!(connections.admit(&new).unwrap().unwrap().number, old.number);
        let in_use = || connections.of_device(DeviceId(1)).unwrap().number;
        assert_eq!(in_use(), new.number);
        connections.close(&old);
        assert_eq!(in_use(), new.number, "the new one stays");
        connections.close(&new);
        assert!(connections.of_device(DeviceId(1)).is_none());
    }

    #[test]
    fn who_came_first_gives_way_also_when_it_is_admitted_last() {
        let connections = Connections::new(2);
        let first = connections.open(DeviceId(1)).unwrap();
        let second = connections.open(DeviceId(1)).unwrap();
        assert!(connections.admit(&second).unwrap().is_none());
        assert_eq!(connections.admit(&first).unwrap().unwrap().number, first.number);
        assert_eq!(connections.of_device(DeviceId(1)).unwrap().number, second.number);
    }

    #[test]
    fn a_connection_is_woken_once_until_it_collects() {
        let connection = Connections::new(1).open(DeviceId(1)).unwrap();
        assert!(connection.post(Control::PubAck(1, PubAckReason::Success)));
        assert!(!connection.post(Control::PubAck(2, PubAckReason::Success)));
        assert_eq!(
            connection.collect(),
            [
                Control::PubAck(1, PubAckReason::Success),
                Control::PubAck(2, PubAckReason::Success)
            ]
        );
        assert!(connection.post(Control::PubAck(3, PubAckReason::Success)));
    }

    #[test]
    fn connections_of_a_device_that_do_not_end_are_bounded() {
        let connections = Connections::new(CONNECTIONS_OF_DEVICE + 2);
        let open = || connections.open(DeviceId(1)).unwrap();
        let mut admitted: Vec<_> = (0..CONNECTIONS_OF_DEVICE).map(|_| open()).collect();
        for connection in &admitted {
            connections.admit(connection).unwrap();
        }
        let surplus = open();
        connections.admit(&surplus).unwrap_err();
        connections.close(&surplus);
        let latest = connections.of_device(DeviceId(1)).unwrap();
        assert_eq!(latest.number, admitted[15].number, "the latest stays");

        connections.close(&admitted.remove(0));
        admitted.push(open());
        connections.admit(&admitted[15]).unwrap();
        for connection in &admitted {
            connections.close(connection);
        }
        assert!(lock(&connections.inner).by_device.is_empty());
    }

    #[test]
    fn an_outbox_is_bounded_but_for_what_is_owed() {
        let connection = Connections::new(1).open(DeviceId(1)).unwrap();
        let report = Control::Deliver(Downlink::Errors, Bytes::from(vec![0; 20 * 1024]));
        for _ in 0..100 {
            connection.post(report.clone());
        }
        connection.post(Control::PubAck(1, PubAckReason::Success));
        let outbox = connection.collect();
        assert_eq!(
            (outbox.len(), outbox.back()),
            (26, Some(&Control::PubAck(1, PubAckReason::Success)))
        );
        connection.post(report.clone());
        assert_eq!(connection.collect(), [report], "there is room again");
    }

    #[test]
    fn messages_in_flight_are_counted_once() {
        let connections = Connections::new(1);
        let connection = connections.open(DeviceId(1)).unwrap();
        let now = Instant::now();
        assert_eq!(connections.depart(&connection, 1, now), (1, true));
        assert_eq!(connections.depart(&connection, 1, now), (1, false));
        assert_eq!(connections.depart(&connection, 2, now), (2, true));
        assert!(connections.arrive(&connection, 1));
        assert!(!connections.arrive(&connection, 1));
        assert_eq!(connections.waiting(), 1);
        connections.close(&connection);
        assert_eq!(connections.waiting(), 0);
    }
}
