//! Devices as the tests hold them, and what devices send.

use std::net::SocketAddr;

use chrono::{DateTime, SecondsFormat, SubsecRound, TimeDelta, Utc};
use homeward_record::{Clock, DeviceId, PatientId};
use serde_json::{Value, json};

use super::client::Client;
use super::packet::{Connect, Version};

/// An enrolled device.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) id: DeviceId,
    pub(crate) secret: String,
    /// Whom it measured when it was enrolled.
    pub(crate) patient: PatientId,
    /// Where the broker listens.
    pub(crate) broker: SocketAddr,
}

impl Device {
    /// One of its topics: `v1/devices/{device}/{rest}`.
    pub(crate) fn topic(&self, rest: &str) -> String {
        format!("v1/devices/{}/{rest}", self.id)
    }

    /// The CONNECT packet that is right for it.
    pub(crate) fn credentials(&self, version: Version) -> Connect {
        Connect {
            version,
            client_id: self.id.to_string(),
            user_name: Some(self.id.to_string()),
            password: Some(self.secret.clone()),
            keep_alive: 60,
            will: None,
            properties: Vec::new(),
        }
    }

    /// Connects; the broker must let it in.
    pub(crate) async fn connect(&self, version: Version) -> Client {
        let (client, ack) = Client::connect(self.broker, &self.credentials(version)).await;
        assert_eq!(ack.code, 0, "device {} is let in", self.id);
        client
    }

    /// Connects with MQTT 3.1.1.
    pub(crate) async fn connect_v4(&self) -> Client {
        self.connect(Version::V4).await
    }

    /// Connects with MQTT 5.
    pub(crate) async fn connect_v5(&self) -> Client {
        self.connect(Version::V5).await
    }
}

/// Now, in whole milliseconds: what a device would write.
pub(crate) fn now() -> DateTime<Utc> {
    Clock::System.now().trunc_subsecs(3)
}

/// A time in the past.
pub(crate) fn minutes_ago(minutes: i64) -> DateTime<Utc> {
    now() - TimeDelta::minutes(minutes)
}

/// Times of measurements, a second apart, from half an hour ago on.
pub(crate) fn times() -> impl Iterator<Item = DateTime<Utc>> {
    let start = minutes_ago(30);
    (0..1_800).map(move |second| start + TimeDelta::seconds(second))
}

/// A time as devices write it.
pub(crate) fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A heart rate, /min.
pub(crate) fn heart_rate(at: DateTime<Utc>, value: impl Into<f64>) -> Value {
    json!({"type": "heart_rate", "at": stamp(at), "value": value.into()})
}

/// A glucose concentration, mmol/L.
pub(crate) fn glucose(at: DateTime<Utc>, value: f64) -> Value {
    json!({"type": "glucose", "at": stamp(at), "value": value, "unit": "mmol/L"})
}

/// The payload of one message on the topic `…/readings`.
pub(crate) fn upload(readings: &[Value]) -> Vec<u8> {
    json!({"readings": readings}).to_string().into_bytes()
}
