use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use homeward_record::DeviceId;
use homeward_store::devices::{self, Contact, Device};
use homeward_store::{Error, Gate, GateChanges, PgPool};
use sqlx::PgConnection;
use sqlx::postgres::PgListener;

/// Devices kept in memory before all are forgotten: a few hundred bytes each, far more than may connect.
const MAX_DEVICES: usize = 200_000;
/// How long to wait before a broken subscription to announcements is tried anew.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// What the record says of the devices that are about: whom each measures, and whether it may connect.
///
/// It may be out of date. Whoever writes readings holds the gate's version against
/// [`Known::verified_at`], and looks again where a device has changed since.
pub(crate) struct Directory {
    pool: PgPool,
    devices: RwLock<HashMap<DeviceId, Arc<Known>>>,
    /// The gate's version up to which [`Directory::refresh`] has looked.
    refreshed: AtomicI64,
    changes_seen: AtomicU64,
}

/// A device as the record had it at one version of the gate.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) device: Device,
    verified_at: AtomicI64,
}

impl std::ops::Deref for Known {
    type Target = Device;

    fn deref(&self) -> &Device {
        &self.device
    }
}

impl Known {
    /// The latest version of the gate at which this was true.
    pub(crate) fn verified_at(&self) -> i64 {
        self.verified_at.load(Ordering::Acquire)
    }

    /// Notes that this is still true at a version of the gate.
    pub(crate) fn verify(&self, version: i64) {
        self.verified_at.fetch_max(version, Ordering::AcqRel);
    }
}

impl Directory {
    /// A directory that knows no device yet. Changes before `version` of the gate are of no interest.
    pub(crate) fn new(pool: PgPool, version: i64) -> Directory {
        Directory {
            pool,
            devices: RwLock::default(),
            refreshed: AtomicI64::new(version),
            changes_seen: AtomicU64::new(0),
        }
    }

    /// A device, if it is in memory.
    pub(crate) fn get(&self, id: DeviceId) -> Option<Arc<Known>> {
        self.devices
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned()
    }

    /// A device, as the record has it now; none if the record does not know it.
    pub(crate) async fn fetch(&self, id: DeviceId) -> Result<Option<Arc<Known>>, Error> {
        let mut connection = self
            .pool
            .acquire()
            .await
            .map_err(|source| Error::new("reach the database", source))?;
        // The version first: what changes in between is then looked at twice rather than not at all.
        let version = Gate::version(&mut connection).await?;
        Ok(self.load(&mut connection, &[id], version).await?.remove(&id))
    }

    /// Loads devices anew, as they are at a version of the gate, and answers them.
    pub(crate) async fn load(
        &self,
        connection: &mut PgConnection,
        ids: &[DeviceId],
        version: i64,
    ) -> Result<HashMap<DeviceId, Arc<Known>>, Error> {
        let loaded = devices::load(connection, ids).await?;
        let mut devices = self.devices.write().unwrap_or_else(PoisonError::into_inner);
        if devices.len() + loaded.len() > MAX_DEVICES {
            devices.clear();
        }
        let mut fresh = HashMap::with_capacity(loaded.len());
        for (id, device) in loaded {
            let known = match devices.get(&id) {
                Some(known) if known.verified_at() > version => Arc::clone(known),
                _ => Arc::new(Known {
                    device,
                    verified_at: AtomicI64::new(version),
                }),
            };
            devices.insert(id, Arc::clone(&known));
            fresh.insert(id, known);
        }
        Ok(fresh)
    }

    /// How often [`Directory::refresh`] has found changes.
    pub(crate) fn changes_seen(&self) -> u64 {
        self.changes_seen.load(Ordering::Acquire)
    }

    /// Looks at what changed since the last time. Answers the connected devices that are revoked.
    pub(crate) async fn refresh(
        &self,
        is_connected: impl Fn(DeviceId) -> bool,
        all_connected: impl FnOnce() -> Vec<DeviceId>,
    ) -> Result<Vec<DeviceId>, Error> {
        let mut connection = self
            .pool
            .acquire()
            .await
            .map_err(|source| Error::new("reach the database", source))?;
        let changes = GateChanges::since(&mut connection, self.refreshed.load(Ordering::Acquire)).await?;
        let mut ids = if changes.everything {
            all_connected()
        } else {
            changes.devices
        };
        // Before the connections are looked at: a device that connects from now on is checked again.
        if !ids.is_empty() {
            self.changes_seen.fetch_add(1, Ordering::AcqRel);
        }
        ids.retain(|id| is_connected(*id));
        self.load(&mut connection, &ids, changes.version).await?;
        self.refreshed.store(changes.version, Ordering::Release);
        ids.retain(|id| self.get(*id).is_none_or(|known| known.revoked_at.is_some()));
        Ok(ids)
    }

    /// Writes down when devices were last heard of.
    pub(crate) async fn note_contacts(&self, contacts: &[Contact]) -> Result<(), Error> {
        if contacts.is_empty() {
            return Ok(());
        }
        let mut connection = self
            .pool
            .acquire()
            .await
            .map_err(|source| Error::new("reach the database", source))?;
        devices::note_contacts(&mut connection, contacts).await
    }

    /// Listens for announcements of changes.
    pub(crate) fn listen(&self) -> Announcements {
        Announcements {
            pool: self.pool.clone(),
            listener: None,
        }
    }
}

/// Announcements of changes in the record, for as long as the database is there.
pub(crate) struct Announcements {
    pool: PgPool,
    listener: Option<PgListener>,
}

impl Announcements {
    /// Waits for the next announcement. One that comes while the database is away is missed: who waits here
    /// also looks by itself now and then.
    pub(crate) async fn announced(&mut self) {
        loop {
            match &mut self.listener {
                Some(listener) => match listener.recv().await {
                    Ok(_) => return,
                    Err(_) => self.listener = None,
                },
                None => match listen(&self.pool).await {
                    Ok(listener) => self.listener = Some(listener),
                    Err(_) => tokio::time::sleep(LISTEN_AGAIN).await,
                },
            }
        }
    }
}

async fn listen(pool: &PgPool) -> Result<PgListener, sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen("homeward_gate").await?;
    Ok(listener)
}
