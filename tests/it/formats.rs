//! The wire formats, as far as the topic tells them apart.

use chrono::{Datelike, Timelike};
use homeward_record::Metric;

use crate::harness::*;

/// The date and time of a Bluetooth characteristic, in the device's local time.
fn date_time(at: chrono::DateTime<chrono::Utc>) -> Vec<u8> {
    let byte = |number: u32| u8::try_from(number).unwrap();
    let mut bytes = u16::try_from(at.year()).unwrap().to_le_bytes().to_vec();
    bytes.extend([
        byte(at.month()),
        byte(at.day()),
        byte(at.hour()),
        byte(at.minute()),
        byte(at.second()),
    ]);
    bytes
}

#[tokio::test]
async fn bluetooth_characteristics_are_stored_as_what_they_measure() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let patient = server.add_patient(&[]).await;
    // A cuff whose clock shows British Summer Time.
    let arguments = [
        "device",
        "add",
        "--kind",
        "cuff",
        "--patient",
        &patient.to_string(),
        "--utc-offset",
        "60",
    ];
    let enrolled = server.cli(&arguments).await;
    let id = homeward_record::DeviceId(enrolled["device_id"].as_i64().unwrap());
    let cuff = server.device(id, patient, enrolled["secret"].as_str().unwrap());

    let at = chrono::SubsecRound::trunc_subsecs(minutes_ago(3), 0);
    let local = date_time(at + chrono::TimeDelta::hours(1));
    let captured = at.timestamp_millis();
    let uploads = [
        // 134/84 mm[Hg], mean 93, time, pulse 71.
        (
            "gatt/2a35".to_owned(),
            [&[0x06, 134, 0, 84, 0, 93, 0][..], &local, &[71, 0]].concat(),
        ),
        // 36.6 °C, 97 % with a pulse of 72, 70.02 kg: no time of their own.
        (
            format!("gatt/2a1c/{captured}"),
            vec![0x00, 0x6e, 0x01, 0x00, 0xff],
        ),
        (
            format!("gatt/2A5E/{}", captured + 1_000),
            vec![0x00, 97, 0, 72, 0],
        ),
        (format!("gatt/2a9d/{captured}"), vec![0x00, 0xb4, 0x36]),
    ];
    for version in Version::BOTH {
        let mut client = cuff.connect(version).await;
        for (topic, payload) in &uploads {
            let reason = client.upload(&cuff.topic(topic), payload.clone()).await;
            // The second round brings nothing new.
            assert_eq!(
                reason,
                if version == Version::V5 {
                    STORED_EARLIER
                } else {
                    STORED
                },
                "{topic}"
            );
        }
    }
    let readings = server.readings(&cuff).await;
    let stored: Vec<_> = readings
        .iter()
        .map(|reading| {
            (
                Metric::from_code(reading.metric).unwrap(),
                (reading.time - at).num_seconds(),
                reading.value,
            )
        })
        .collect();
    assert_eq!(
        stored,
        [
            (Metric::HeartRate, 0, 71.0),
            (Metric::BodyTemperature, 0, 36.6),
            (Metric::Systolic, 0, 134.0),
            (Metric::Diastolic, 0, 84.0),
            (Metric::BodyWeight, 0, 70.02),
            (Metric::HeartRate, 1, 72.0),
            (Metric::Spo2, 1, 97.0),
        ]
        .map(|(metric, seconds, value)| (metric, seconds, value))
    );
    assert!(server.rejected(&cuff).await.is_empty());
}
