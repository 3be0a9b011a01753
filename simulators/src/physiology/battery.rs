use chrono::{DateTime, Utc};

use super::{DAY, Device, DeviceKind, Patient};

/// How full a battery is, in percent, when it is charged or changed.
const LEAST: f64 = 10.0;

impl DeviceKind {
    /// For how long a battery lasts, in seconds: about what makers of such devices say.
    fn battery_lasts(self) -> i64 {
        let days = match self {
            DeviceKind::Smartwatch => 3,
            DeviceKind::Cgm => 10,
            DeviceKind::Hub => 30,
            DeviceKind::Cuff => 180,
            DeviceKind::Meter | DeviceKind::Scale => 365,
        };
        days * DAY
    }
}

impl Patient {
    /// How full the battery of this patient's device is at a time, in percent: less and less, until it is charged or
    /// changed.
    pub fn battery(&self, device: Device, at: DateTime<Utc>) -> u8 {
        let lasts = device.kind.battery_lasts();
        let noise = self.noise.stream("battery");
        let charged = noise.within(device.kind as i64, 0.0, lasts as f64) as i64;
        let used = (at.timestamp() - charged).rem_euclid(lasts) as f64 / lasts as f64;
        (100.0 - (100.0 - LEAST) * used).round() as u8
    }
}
