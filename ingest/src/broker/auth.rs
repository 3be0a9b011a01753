use std::sync::Arc;

use homeward_record::DeviceId;
use rumqttd::protocol::{ConnectReturnCode, DisconnectReasonCode};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use super::connection::{Connection, TooMany};
use super::link::Link;
use super::shared::Shared;
use crate::directory::Directory;

/// Checks the credentials of those who connect against the record.
#[derive(Clone)]
pub(crate) struct Doorkeeper {
    shared: Arc<Shared>,
    directory: Arc<Directory>,
    link: Arc<Link>,
    tasks: TaskTracker,
    /// Where the record's connections live; the broker's own runtime ends before they do.
    runtime: Handle,
}

impl Doorkeeper {
    pub(crate) fn new(
        shared: Arc<Shared>,
        directory: Arc<Directory>,
        link: Arc<Link>,
        tasks: &TaskTracker,
    ) -> Doorkeeper {
        Doorkeeper {
            shared,
            directory,
            link,
            tasks: tasks.clone(),
            runtime: Handle::current(),
        }
    }

    /// Gives the connection in a slot its verdict.
    pub(crate) async fn check(&self, slot: &str, secret: String) {
        let Some(connection) = slot
            .parse()
            .ok()
            .and_then(|slot| self.shared.connections.in_slot(slot))
        else {
            return;
        };
        let doorkeeper = self.clone();
        let check = async move { doorkeeper.admit(&connection, &secret).await };
        // A check that panics leaves no verdict, and that is a refusal.
        let _ = self.tasks.spawn_on(check, &self.runtime).await;
    }

    async fn admit(&self, connection: &Connection, secret: &str) {
        let seen = self.directory.changes_seen();
        let mut verdict = self.verdict(connection.device, secret).await;
        // The guard may have refused already, for what stood in the CONNECT packet: that verdict stands.
        if verdict.is_ok() && !connection.is_refused() {
            match self.shared.connections.admit(connection) {
                Ok(Some(old)) => self.link.close(&old, DisconnectReasonCode::SessionTakenOver),
                Ok(None) => {}
                Err(TooMany) => {
                    tracing::warn!(device_id = %connection.device, "a device does not end its connections");
                    verdict = Err(ConnectReturnCode::QuotaExceeded);
                }
            }
        }
        connection.set_verdict(verdict);
        if connection.verdict().is_err() {
            metrics::counter!("homeward_ingest_connects_refused_total").increment(1);
            return;
        }
        connection.hear(self.shared.clock.now());
        // A revocation between the check and here found no connection to end.
        if self.directory.changes_seen() != seen && self.verdict(connection.device, secret).await.is_err() {
            self.link
                .close(connection, DisconnectReasonCode::AdministrativeAction);
        }
    }

    async fn verdict(&self, device: DeviceId, secret: &str) -> Result<(), ConnectReturnCode> {
        match self.directory.fetch(device).await {
            // Both sides are hashes, so that the time of the comparison tells nothing of the secret.
            Ok(Some(known)) if known.revoked_at.is_none() && known.secret_hash == *Sha256::digest(secret) => {
                Ok(())
            }
            Ok(_) => Err(ConnectReturnCode::NotAuthorized),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "could not check a device's credential"
                );
                Err(ConnectReturnCode::ServerUnavailable)
            }
        }
    }
}
