//! The intake: reads messages and hands their readings to the lanes of their patients.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use homeward_record::decode::{
    BATTERY_LEVEL, DecodeContext, Reason, Rejection, Upload, battery_level, decode,
};
use homeward_record::{DeviceId, DeviceTopic, PatientId, PayloadKind, Reading};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::contacts::Contacts;
use crate::delivery::Delivery;
use crate::directory::{Directory, Known};
use crate::lane::LaneIndex;
use crate::message::{Message, Part};

/// How long to wait before the record is asked again for a device.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// Reads messages, in the order in which they arrived.
pub(crate) struct Intake {
    pub(crate) directory: Arc<Directory>,
    pub(crate) contacts: Arc<Contacts>,
    pub(crate) lanes: Vec<mpsc::Sender<Part>>,
    pub(crate) retention: TimeDelta,
}

impl Intake {
    /// Runs until it is stopped, and then until what had been taken is with the lanes.
    pub(crate) async fn run(self, mut deliveries: mpsc::Receiver<Delivery>, stop: CancellationToken) {
        loop {
            let delivery = tokio::select! {
                biased;
                () = stop.cancelled(), if !deliveries.is_closed() => {
                    deliveries.close();
                    continue;
                }
                delivery = deliveries.recv() => delivery,
            };
            let Some(delivery) = delivery else { return };
            let Some(known) = self.device(delivery.device).await else {
                tracing::error!(device_id = %delivery.device, "the record does not know a connected device");
                continue;
            };
            for (lane, part) in self.parts(delivery, known) {
                // Waits while the lane is busy. A lane that has died has stopped the process.
                if self.lanes[lane].send(part).await.is_err() {
                    return;
                }
            }
        }
    }

    /// The device's record, asking for it until the database answers.
    async fn device(&self, id: DeviceId) -> Option<Arc<Known>> {
        if let Some(known) = self.directory.get(id) {
            return Some(known);
        }
        loop {
            match self.directory.fetch(id).await {
                Ok(known) => return known,
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "waiting for the database"
                    );
                    tokio::time::sleep(ASK_AGAIN).await;
                }
            }
        }
    }

    /// Reads one message and parts it by lane.
    fn parts(&self, delivery: Delivery, known: Arc<Known>) -> Vec<(usize, Part)> {
        let upload = read(&delivery, &known, self.retention, &self.contacts);
        let (readings, rejected) = assign(&known, delivery.subject, upload);

        let mut by_lane: BTreeMap<usize, Vec<(PatientId, Reading)>> = BTreeMap::new();
        for (patient, reading) in readings {
            by_lane
                .entry(self.lane_of(patient))
                .or_default()
                .push((patient, reading));
        }
        if by_lane.is_empty() {
            by_lane.insert(self.lane_of(PatientId(delivery.device.0)), Vec::new());
        }
        let message = Message::new(delivery, by_lane.len());
        let mut rejected = Some(rejected);
        let part = |(lane, readings)| {
            let (message, known) = (Arc::clone(&message), Arc::clone(&known));
            (
                lane,
                Part {
                    message,
                    known,
                    readings,
                    rejected: rejected.take().unwrap_or_default(),
                },
            )
        };
        by_lane.into_iter().map(part).collect()
    }

    fn lane_of(&self, patient: PatientId) -> usize {
        LaneIndex::of(patient, self.lanes.len())
    }
}

fn read(delivery: &Delivery, known: &Known, retention: TimeDelta, contacts: &Contacts) -> Upload {
    let whole = |reason, detail: &str| Upload {
        readings: Vec::new(),
        rejected: vec![Rejection::new(None, reason, detail)],
    };
    match (delivery.refused, DeviceTopic::parse(&delivery.topic)) {
        (Some(Reason::TooLarge), _) => whole(Reason::TooLarge, "the payload is larger than 65,536 bytes"),
        (Some(reason), Ok(_)) => whole(reason, "the topic belongs to another device"),
        (Some(reason), Err(error)) => whole(reason, &error.to_string()),
        (None, Err(error)) => whole(Reason::NotAuthorized, &error.to_string()),
        (
            None,
            Ok(DeviceTopic {
                kind:
                    PayloadKind::Gatt {
                        characteristic: BATTERY_LEVEL,
                        ..
                    },
                ..
            }),
        ) => match battery_level(&delivery.payload) {
            Ok(percent) => {
                contacts.note_battery(delivery.device, percent, delivery.first_received_at);
                Upload::default()
            }
            Err(rejection) => Upload {
                readings: Vec::new(),
                rejected: vec![rejection],
            },
        },
        (None, Ok(topic)) => {
            let context = DecodeContext {
                received_at: delivery.first_received_at,
                retention,
                utc_offset: known.utc_offset,
            };
            decode(topic.kind, &delivery.payload, &context)
        }
    }
}

/// Finds whose readings they are: whom the device was assigned to when it measured; nobody's, where that is another than
/// the sender says.
pub(crate) fn assign(
    known: &Known,
    subject: Option<PatientId>,
    upload: Upload,
) -> (Vec<(PatientId, Reading)>, Vec<Rejection>) {
    let mut readings = Vec::with_capacity(upload.readings.len());
    let mut rejected = upload.rejected;
    for reading in upload.readings {
        let (metric, at) = (reading.metric, reading.at);
        let whose = match (known.patient_at(at), subject) {
            (Some(patient), None) => Ok(patient),
            (Some(patient), Some(subject)) if patient == subject => Ok(patient),
            (Some(_), Some(_)) => Err("another patient than the subject"),
            (None, _) => Err("no patient"),
        };
        match whose {
            Ok(patient) => readings.push((patient, reading)),
            Err(whom) => {
                let detail =
                    format!("the device was assigned to {whom} at {at:?}, when it measured {metric}");
                rejected.push(Rejection::new(None, Reason::NotAssigned, detail));
            }
        }
    }
    (readings, rejected)
}
