//! What the record holds: the oracle of every test.

use chrono::{DateTime, Utc};
use homeward_record::{DeviceId, PatientId};
use serde_json::Value;
use sqlx::types::Json;

use super::device::Device;
use super::server::Server;

/// A stored reading.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub(crate) struct StoredReading {
    pub(crate) patient_id: i64,
    pub(crate) metric: i16,
    pub(crate) time: DateTime<Utc>,
    pub(crate) value: f64,
}

/// A rejected message.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Rejected {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) reasons: Json<Vec<Value>>,
}

impl Rejected {
    /// The reasons, by their names.
    pub(crate) fn reasons(&self) -> Vec<&str> {
        self.reasons
            .iter()
            .map(|rejection| rejection["reason"].as_str().unwrap())
            .collect()
    }
}

/// An episode.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub(crate) struct StoredEpisode {
    pub(crate) episode_id: i64,
    pub(crate) code: String,
    pub(crate) severity: String,
    pub(crate) status: String,
    pub(crate) late: bool,
    pub(crate) onset_at: DateTime<Utc>,
    pub(crate) worst_value: f64,
}

impl Server {
    /// What the record holds of a device's readings, in the order of their times.
    pub(crate) async fn readings(&self, device: &Device) -> Vec<StoredReading> {
        sqlx::query_as(
            "SELECT patient_id, metric, time, value FROM reading WHERE device_id = $1 ORDER BY time, metric",
        )
        .bind(device.id.0)
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    /// The messages of a device that were rejected, in whole or in part, in the order of their arrival.
    pub(crate) async fn rejected(&self, device: &Device) -> Vec<Rejected> {
        sqlx::query_as(
            "SELECT topic, payload, reasons FROM rejected_message WHERE device_id = $1
             ORDER BY rejected_message_id",
        )
        .bind(device.id.0)
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    /// The episodes of a patient, in the order of their onsets.
    pub(crate) async fn episodes(&self, patient: PatientId) -> Vec<StoredEpisode> {
        sqlx::query_as(
            "SELECT episode_id, code, severity, status, late, onset_at, worst_value FROM episode
             WHERE patient_id = $1 ORDER BY onset_at, code",
        )
        .bind(patient.0)
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    /// How many readings the record holds of a device.
    pub(crate) async fn count_readings(&self, device: DeviceId) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM reading WHERE device_id = $1")
            .bind(device.0)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }
}
