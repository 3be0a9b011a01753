use std::sync::{Arc, Mutex, PoisonError};

use homeward_record::DeviceId;

use crate::measurement::{Measured, Message};

/// Reason codes from here on are refusals (MQTT 5, 2.4).
pub(crate) const REFUSAL: u8 = 0x80;

/// The broker's answer to one message.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// Who sent it.
    pub device: DeviceId,
    /// What was sent.
    pub message: &'a Message,
    /// The PUBACK's reason code: 0x00 stored, 0x10 stored earlier, 0x80 and above refused. Always 0x00 with
    /// MQTT 3.1.1.
    pub reason: u8,
}

impl Outcome<'_> {
    /// Whether the broker took the message.
    pub fn acknowledged(&self) -> bool {
        self.reason < REFUSAL
    }
}

/// Is told of the first answer to each message, as soon as it is read. What it is told as acknowledged has
/// to be in the record already: as readings, or, what was wrong with them, among the rejected messages. (MQTT
/// 3.1.1 has no other answer to those; and of a message that is wrong in part, the rest is taken.) It is
/// called between two packets of the device, and has to be quick.
pub type Hook = Arc<dyn Fn(&Outcome<'_>) + Send + Sync>;

/// Remembers every acknowledged reading: what a test has to find in the record, each exactly once, as long as
/// nothing was sent that the record rejects.
///
/// Grows with what is acknowledged, and so is for tests rather than for fleets that run for days.
#[derive(Clone, Debug, Default)]
pub struct AckLog {
    acknowledged: Arc<Mutex<Vec<(DeviceId, Measured)>>>,
}

impl AckLog {
    /// An empty log.
    pub fn new() -> AckLog {
        AckLog::default()
    }

    /// The hook that fills it.
    pub fn hook(&self) -> Hook {
        let log = self.clone();
        Arc::new(move |outcome| {
            if outcome.acknowledged() {
                let readings = outcome.message.readings.iter();
                let mut acknowledged = log.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
                acknowledged.extend(readings.map(|reading| (outcome.device, *reading)));
            }
        })
    }

    /// What was acknowledged since this was last asked, in the order of the acknowledgements.
    pub fn take(&self) -> Vec<(DeviceId, Measured)> {
        std::mem::take(&mut *self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measurement::Measurement;

    #[test]
    fn the_log_holds_what_was_acknowledged() {
        let at = "2026-11-22T08:00:00Z".parse().unwrap();
        let message = Message::new(&[Measurement::Spo2 { at, value: 97.0 }]).unwrap();
        let log = AckLog::new();
        let hook = log.hook();
        for (device, reason) in [(1, 0x00), (2, 0x10), (3, 0x99)] {
            hook(&Outcome {
                device: DeviceId(device),
                message: &message,
                reason,
            });
        }
        let reading = message.readings[0];
        assert_eq!(log.take(), [(DeviceId(1), reading), (DeviceId(2), reading)]);
        assert_eq!(log.take(), []);
    }
}
