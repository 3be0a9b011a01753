use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use homeward_front::Introductions;
use homeward_record::Clock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::connection::Connections;
use crate::contacts::Contacts;
use crate::delivery::Delivery;
use crate::limits::Limits;

/// The least that a message counts as: its bookkeeping costs memory too.
const SMALLEST_SHARE: usize = 256;

/// What a connection has to bring beside a secret.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Who may say whose connection it is.
    pub(crate) introductions: Introductions,
    /// Whether it takes a certificate whose common name is the device's id.
    pub(crate) device_certificates: bool,
}

/// What all guards share.
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) entry: Entry,
    pub(crate) clock: Clock,
    pub(crate) connections: Connections,
    pub(crate) intake: mpsc::Sender<Delivery>,
    pub(crate) contacts: Arc<Contacts>,
    bytes: Arc<Semaphore>,
    draining: AtomicBool,
}

impl Shared {
    pub(crate) fn new(limits: Limits, entry: Entry, clock: Clock, intake: mpsc::Sender<Delivery>) -> Shared {
        Shared {
            connections: Connections::new(limits.connections),
            bytes: Arc::new(Semaphore::new(limits.bytes_in_flight as usize)),
            draining: AtomicBool::new(false),
            limits,
            entry,
            clock,
            intake,
            contacts: Arc::default(),
        }
    }

    /// The share of the bytes in flight that a message needs, unless they are all taken.
    pub(crate) fn share_of_bytes(&self, length: usize) -> Option<OwnedSemaphorePermit> {
        let share = u32::try_from(length.max(SMALLEST_SHARE)).ok()?;
        Arc::clone(&self.bytes).try_acquire_many_owned(share).ok()
    }

    /// From now on nothing is taken from devices any more.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}
