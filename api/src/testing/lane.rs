//! What stands in for the lanes of ingest.

use chrono::TimeDelta;
use homeward_record::decode::{DecodeContext, Reason, Rejection, decode};
use homeward_record::{DeviceId, PatientId, PayloadKind};
use homeward_store::{BatchRow, Gate, PgPool, devices, insert_batch};

use super::now;
use crate::entering::{Entered, NotEntered};

/// Stores what is entered as a lane does, and judges nothing.
pub(super) async fn enter(
    pool: PgPool,
    (device, subject): (DeviceId, Option<PatientId>),
    kind: PayloadKind,
    payload: Vec<u8>,
) -> Result<Entered, NotEntered> {
    let context = DecodeContext {
        received_at: now(),
        retention: TimeDelta::days(7_305),
        utc_offset: TimeDelta::zero(),
    };
    let upload = decode(kind, &payload, &context);
    let (mut transaction, _) = Gate::enter(&pool).await.unwrap();
    let known = devices::load(&mut transaction, &[device]).await.unwrap();
    let mut entered = Entered {
        rejected: upload.rejected,
        ..Entered::default()
    };
    let mut batch = Vec::new();
    for reading in upload.readings {
        match known[&device].patient_at(reading.at) {
            Some(patient) if subject.is_none_or(|subject| patient == subject) => batch.push(BatchRow {
                part: 0,
                patient,
                metric: reading.metric,
                at: reading.at,
                device,
                value: reading.value,
                context: reading.context,
                received_at: now(),
            }),
            _ => {
                let detail = "the device was assigned to no patient";
                entered
                    .rejected
                    .push(Rejection::new(None, Reason::NotAssigned, detail));
            }
        }
    }
    for is_new in insert_batch(&mut transaction, &mut batch).await.unwrap() {
        match is_new {
            true => entered.stored += 1,
            false => entered.stored_earlier += 1,
        }
    }
    transaction.commit().await.unwrap();
    Ok(entered)
}
