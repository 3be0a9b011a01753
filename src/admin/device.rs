//! Devices, their credentials, and whose patient they measure.

use anyhow::Result;
use chrono::{DateTime, Utc};
use clap::Subcommand;
use homeward_record::{DeviceId, PatientId};
use homeward_store::admin::{NewDevice, add_devices, assign_device, list_devices, revoke_device};
use homeward_store::patients::find_device;
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{note, random_secret, text};
use crate::config::Settings;

#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// Add a device; prints its secret, which is not kept and not shown again
    Add {
        /// What it is: cuff, watch, cgm, meter, …
        #[arg(long, value_parser = text)]
        kind: String,
        #[arg(long, value_name = "ID")]
        patient: PatientId,
        /// From when on it measures this patient, as 2026-03-01T09:00:00Z. By default as far back as the record
        /// takes readings, so that what the device holds in its memory is taken. Give the time at which it was
        /// handed over when somebody else used it before
        #[arg(long, value_name = "TIME")]
        from: Option<DateTime<Utc>>,
        /// How many minutes the device's clock face is ahead of UTC, for formats that carry local times
        #[arg(long, value_name = "MINUTES", default_value_t = 0, allow_negative_numbers = true,
            value_parser = clap::value_parser!(i32).range(-1080..=1080))]
        utc_offset: i32,
    },
    /// Give a device to another patient
    Assign {
        #[arg(value_name = "ID")]
        device: DeviceId,
        #[arg(long, value_name = "ID")]
        patient: PatientId,
        /// From when on it measures this patient; its running assignment ends then [default: now]. Readings that
        /// are stored already stay where they are
        #[arg(long, value_name = "TIME")]
        from: Option<DateTime<Utc>>,
    },
    /// Refuse a device from now on, for ever
    Revoke {
        #[arg(value_name = "ID")]
        device: DeviceId,
    },
    /// List the devices that measure or measured a patient
    List {
        #[arg(long, value_name = "ID")]
        patient: PatientId,
    },
}

pub(super) async fn run(
    connection: &mut PgConnection,
    command: DeviceCommand,
    settings: &Settings,
    now: DateTime<Utc>,
) -> Result<Value> {
    match command {
        DeviceCommand::Add {
            kind,
            patient,
            from,
            utc_offset,
        } => {
            let secret = random_secret();
            let new = NewDevice {
                kind: &kind,
                secret: &secret,
                utc_offset_minutes: utc_offset,
                patient,
                from: from.unwrap_or(now - settings.retention()),
            };
            let device = add_devices(connection, &[new]).await?[0];
            let target = format!("device {device}");
            note(connection, "manage_devices", &target, &[patient], now).await?;
            Ok(credentials(device, &secret))
        }
        DeviceCommand::Assign {
            device,
            patient,
            from,
        } => {
            let from = from.unwrap_or(now);
            let before = find_device(connection, device, now).await?;
            let before = before
                .filter(|before| before.current)
                .map(|before| before.patient);
            assign_device(connection, device, patient, from).await?;
            let patients: Vec<PatientId> = before.into_iter().chain([patient]).collect();
            let target = format!("device {device}");
            note(connection, "manage_devices", &target, &patients, now).await?;
            Ok(json!({"device_id": device, "patient_id": patient, "from": from}))
        }
        DeviceCommand::Revoke { device } => {
            let revoked_at = revoke_device(connection, device, now).await?;
            let measured = find_device(connection, device, now).await?;
            let patients: Vec<PatientId> = measured.map(|device| device.patient).into_iter().collect();
            let target = format!("device {device}");
            note(connection, "manage_devices", &target, &patients, now).await?;
            Ok(json!({"device_id": device, "revoked_at": revoked_at}))
        }
        DeviceCommand::List { patient } => {
            let devices = list_devices(connection, patient).await?;
            note(connection, "read_devices", "devices", &[patient], now).await?;
            Ok(json!({"devices": devices}))
        }
    }
}

/// What has to be typed into a device.
fn credentials(device: DeviceId, secret: &str) -> Value {
    let topic = |rest: &str| format!("v1/devices/{device}/{rest}");
    json!({
        "device_id": device,
        "secret": secret,
        "username": device.to_string(),
        "client_id": device.to_string(),
        "topics": {
            "readings": topic("readings"),
            "gatt": topic("gatt/{uuid16}"),
            "errors": topic("errors"),
        },
    })
}
