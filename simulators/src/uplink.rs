//! The way of a device's messages to the broker: store and forward.
//!
//! A message waits in the device's own bounded queue until the broker has acknowledged it. Up to a window of
//! messages is in flight; a connection that ends is made again, and everything unacknowledged is sent again.
//! The queue itself, and what faults do to it, is the outbox; here are the connections.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use homeward_record::DeviceId;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::counts::{Counts, Totals};
use crate::enrolment::Secret;
use crate::faults::Faults;
use crate::link::{Broker, Link, LinkError, LinkEvent, Publisher, link};
use crate::measurement::Message;
use crate::outbox::{Limits, Next, Outbox, Parcel};
use crate::outcome::{Hook, Outcome, REFUSAL};

/// How devices send.
#[derive(Clone, Debug)]
pub struct UplinkOptions {
    /// Messages in flight at once.
    pub window: u16,
    /// Messages that a device keeps, in flight or not; whoever hands it more has to wait.
    pub queue: usize,
    /// What goes wrong on the way.
    pub faults: Faults,
    /// A message without acknowledgement for this long has the connection made anew.
    pub ack_timeout: Duration,
    /// How long connecting may fail before the device gives up; without it, forever.
    pub give_up_after: Option<Duration>,
    /// After a cancellation, how long acknowledgements are still waited for.
    pub drain: Duration,
}

impl Default for UplinkOptions {
    fn default() -> UplinkOptions {
        UplinkOptions {
            // What the design's measurements took for devices that have much to tell.
            window: 10,
            // A few windows: enough to keep a connection busy, and little for thousands of devices.
            queue: 40,
            faults: Faults::default(),
            ack_timeout: Duration::from_secs(60),
            give_up_after: None,
            drain: Duration::from_secs(5),
        }
    }
}

impl UplinkOptions {
    fn limits(&self) -> Limits {
        let window = self.window.clamp(1, u16::MAX / PACKET_IDS_PER_MESSAGE);
        Limits {
            window,
            packet_ids: window * PACKET_IDS_PER_MESSAGE,
        }
    }
}

/// Packet ids for each message of the window: room for acknowledgements out of order.
const PACKET_IDS_PER_MESSAGE: u16 = 4;
/// Connections that are being made at once: below the accept backlog of a broker, so that none times out.
const CONNECTING_AT_ONCE: usize = 64;
/// Pause before a connection is made again, doubled from the first to the last with every failure.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// How long after a message the fault `disconnect` breaks the connection, at most: around its acknowledgement.
const BREAKS_WITHIN: Duration = Duration::from_millis(30);
/// How long a farewell may take.
const PARTING: Duration = Duration::from_secs(1);

/// What the uplinks of one simulation share: the broker, the options and the counts.
pub struct Uplinks {
    pub(crate) totals: Totals,
    broker: Broker,
    options: UplinkOptions,
    hook: Option<Hook>,
    connecting: Semaphore,
}

/// A device's uplink. It works while [`Uplink::run`] does.
pub struct Uplink {
    shared: Arc<Uplinks>,
    device: DeviceId,
    secret: Secret,
    queue: Arc<Queue>,
}

/// Hands messages to an uplink. When it is dropped, the uplink ends as soon as all are acknowledged.
pub struct Sender {
    shared: Arc<Uplinks>,
    queue: Arc<Queue>,
    places: Arc<Semaphore>,
}

struct Queue {
    outbox: Mutex<Outbox>,
    /// A message, an acknowledgement or the end has come.
    changed: Notify,
}

/// Why a connection ended.
enum Ended {
    Finished,
    Failed { connected: bool, error: LinkError },
}

impl Uplinks {
    /// Uplinks to this broker.
    pub fn new(broker: Broker, options: UplinkOptions, hook: Option<Hook>) -> Arc<Uplinks> {
        Arc::new(Uplinks {
            totals: Totals::default(),
            broker,
            options,
            hook,
            connecting: Semaphore::new(CONNECTING_AT_ONCE),
        })
    }

    /// The uplink of one device.
    pub fn uplink(self: &Arc<Self>, device: DeviceId, secret: Secret) -> (Sender, Uplink) {
        let outbox = Outbox::new(self.options.limits(), self.options.faults.clone(), device.0);
        let queue = Arc::new(Queue {
            outbox: Mutex::new(outbox),
            changed: Notify::new(),
        });
        let sender = Sender {
            shared: Arc::clone(self),
            queue: Arc::clone(&queue),
            places: Arc::new(Semaphore::new(self.options.queue.max(1))),
        };
        let uplink = Uplink {
            shared: Arc::clone(self),
            device,
            secret,
            queue,
        };
        (sender, uplink)
    }

    /// What has happened so far, over all uplinks.
    pub fn counts(&self) -> Counts {
        self.totals.counts()
    }
}

impl Sender {
    /// Hands over a message, waiting for a place in the device's queue.
    pub async fn send(&self, message: Message) {
        // The semaphore is never closed: without a place the message would be sent all the same.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        self.shared.totals.handed.fetch_add(1, Ordering::Relaxed);
        self.queue.outbox().push(Parcel::new(message, place));
        self.queue.changed.notify_one();
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.queue.outbox().close();
        self.queue.changed.notify_one();
    }
}

impl Queue {
    /// The outbox. Held for moments only, and consistent whenever it is not held.
    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Uplink {
    /// Sends until the [`Sender`] is dropped and everything is acknowledged, or, after a cancellation,
    /// until [`UplinkOptions::drain`] is over.
    ///
    /// # Errors
    ///
    /// If the broker does not know the device or its secret, or cannot be reached for longer than
    /// [`UplinkOptions::give_up_after`].
    pub async fn run(self, cancel: &CancellationToken) -> Result<()> {
        let drained = async {
            cancel.cancelled().await;
            sleep(self.shared.options.drain).await;
        };
        tokio::select! {
            ended = self.serve() => ended,
            () = drained => Ok(()),
        }
    }

    async fn serve(&self) -> Result<()> {
        let mut failures = 0;
        let mut failing_since = None;
        while !self.queue.outbox().is_finished() {
            let (connected, error) = match self.connection().await {
                Ended::Finished => break,
                Ended::Failed { connected, error } => (connected, error),
            };
            if connected {
                failures = 0;
                failing_since = None;
            } else {
                let since = *failing_since.get_or_insert_with(Instant::now);
                self.note_failure(&error, since)?;
            }
            sleep(self.backoff(failures)).await;
            failures += 1;
        }
        Ok(())
    }

    /// Logs what is news, and fails where trying again is no use or was tried for long enough.
    fn note_failure(&self, error: &LinkError, since: Instant) -> Result<()> {
        let (device, broker) = (self.device, &self.shared.broker);
        let trouble = match error {
            LinkError::Rejected(code) => bail!(
                "the broker at {broker} refused device {device} ({code}): is the device enrolled, and is its \
                 secret right?"
            ),
            LinkError::Closed => format!(
                "the broker at {broker} closed the connection of device {device} instead of answering: is the \
                 device enrolled, and is its secret right?"
            ),
            LinkError::Broken(why) => format!("the broker at {broker} cannot be reached: {why}"),
        };
        match self.shared.options.give_up_after {
            Some(limit) if since.elapsed() >= limit => {
                bail!("{trouble} (tried for {} seconds)", limit.as_secs());
            }
            _ if self.shared.totals.note(&trouble) => warn!(%device, "{trouble}; trying again"),
            _ => {}
        }
        Ok(())
    }

    fn backoff(&self, failures: u32) -> Duration {
        let (first, last) = BACKOFF;
        let pause = first.saturating_mul(2_u32.saturating_pow(failures)).min(last);
        // Spread, so that a fleet does not come back all at once.
        pause.mul_f64(0.5 + self.queue.outbox().chance())
    }

    /// Makes a connection and works on it until it ends.
    async fn connection(&self) -> Ended {
        let limits = self.shared.options.limits();
        let (publisher, mut link) = link(&self.shared.broker, self.device, &self.secret, limits);
        let receive_maximum = match self.connect(&mut link).await {
            Ok(receive_maximum) => receive_maximum,
            Err(error) => {
                return Ended::Failed {
                    connected: false,
                    error,
                };
            }
        };
        let _connected = Counted::up(&self.shared.totals.connected);
        if self.shared.totals.note_well() {
            info!(broker = %self.shared.broker, "the broker is reached");
        }
        self.queue.outbox().connected(Limits {
            window: limits.window.min(receive_maximum),
            packet_ids: limits.packet_ids.min(receive_maximum),
        });
        self.add_counts();
        let doom = Notify::new();
        let ended = tokio::select! {
            error = self.receive(&mut link, &doom) => Err(error),
            ended = self.submit(&publisher) => ended,
            error = self.broken_by_fault(&doom) => Err(error),
            error = self.overdue() => Err(error),
        };
        if ended.is_ok() {
            publisher.part();
            // Without a farewell in time the connection is dropped, which does the messages no harm.
            let _no_matter = timeout(PARTING, parted(&mut link)).await;
        }
        while let Some(event) = link.left_over() {
            self.handle(event, &doom);
        }
        self.queue.outbox().return_unacknowledged();
        match ended {
            Ok(()) => Ended::Finished,
            Err(error) => Ended::Failed {
                connected: true,
                error,
            },
        }
    }

    /// Makes the connection, in turn with the other devices. Returns the broker's receive maximum.
    async fn connect(&self, link: &mut Link) -> Result<u16, LinkError> {
        let _turn = self.shared.connecting.acquire().await;
        loop {
            if let LinkEvent::Connected { receive_maximum } = link.poll().await? {
                return Ok(receive_maximum.max(1));
            }
        }
    }

    async fn receive(&self, link: &mut Link, doom: &Notify) -> LinkError {
        loop {
            match link.poll().await {
                Ok(event) => self.handle(event, doom),
                Err(error) => return error,
            }
        }
    }

    fn handle(&self, event: LinkEvent, doom: &Notify) {
        match event {
            LinkEvent::Written(packet_id) => {
                if self.queue.outbox().written(packet_id, Instant::now()) {
                    doom.notify_one();
                }
            }
            LinkEvent::Answered { packet_id, reason } => self.answered(packet_id, reason),
            LinkEvent::Connected { .. } | LinkEvent::Parted | LinkEvent::Other => return,
        }
        self.add_counts();
        self.queue.changed.notify_one();
    }

    fn add_counts(&self) {
        let counts = self.queue.outbox().take_counts();
        self.shared.totals.add(counts);
    }

    fn answered(&self, packet_id: u16, reason: u8) {
        let answered = self.queue.outbox().answered(packet_id, reason < REFUSAL);
        let Some(answered) = answered.filter(|answered| answered.first) else {
            return;
        };
        if reason >= REFUSAL {
            warn!(device = %self.device, reason = format!("{reason:#04x}"), "the broker refused a message");
        }
        if let Some(hook) = &self.shared.hook {
            hook(&Outcome {
                device: self.device,
                message: &answered.parcel.message,
                reason,
            });
        }
    }

    /// Submits messages as the window allows, until all are acknowledged and no more will come.
    async fn submit(&self, publisher: &Publisher) -> Result<(), LinkError> {
        loop {
            let next = self.queue.outbox().next(Instant::now());
            match next {
                Next::Submit(parcel) => {
                    let message = &parcel.message;
                    publisher.publish(&message.topic(self.device), &message.payload)?;
                }
                Next::Later(moment) => {
                    tokio::select! {
                        () = sleep_until(moment.into()) => {}
                        () = self.queue.changed.notified() => {}
                    }
                }
                Next::Wait => self.queue.changed.notified().await,
                Next::Finished => return Ok(()),
            }
        }
    }

    async fn broken_by_fault(&self, doom: &Notify) -> LinkError {
        doom.notified().await;
        let after = BREAKS_WITHIN.mul_f64(self.queue.outbox().chance());
        sleep(after).await;
        LinkError::Broken("broken on request".into())
    }

    /// Ends when a message has waited too long for its acknowledgement.
    async fn overdue(&self) -> LinkError {
        let limit = self.shared.options.ack_timeout;
        loop {
            sleep(limit / 4).await;
            let oldest = self.queue.outbox().oldest_in_flight();
            if oldest.is_some_and(|since| since.elapsed() >= limit) {
                warn!(device = %self.device, "no acknowledgement for {} seconds: reconnecting", limit.as_secs());
                return LinkError::Broken("no acknowledgement".into());
            }
        }
    }
}

async fn parted(link: &mut Link) {
    while let Ok(event) = link.poll().await {
        if event == LinkEvent::Parted {
            return;
        }
    }
}

/// Counts one in a gauge while it lives.
struct Counted<'a>(&'a AtomicU64);

impl<'a> Counted<'a> {
    fn up(gauge: &'a AtomicU64) -> Counted<'a> {
        gauge.fetch_add(1, Ordering::Relaxed);
        Counted(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
