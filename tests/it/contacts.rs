//! When devices were last heard of, which is written down apart from what they measure.

use chrono::{DateTime, Utc};

use crate::harness::*;

#[tokio::test]
async fn it_is_known_when_a_device_was_last_heard_of_and_how_its_battery_is() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let watch = server.enrol("watch").await;
    let before = now();
    let mut client = watch.connect_v5().await;
    assert_eq!(client.upload(&watch.topic("gatt/2a19"), vec![42]).await, STORED);
    client.disconnect().await;
    let (last_at, battery): (DateTime<Utc>, Option<i16>) =
        eventually("the contact is written down", async || {
            sqlx::query_as("SELECT last_at, battery_percent FROM device_contact WHERE device_id = $1")
                .bind(watch.id.0)
                .fetch_optional(&server.pool)
                .await
                .unwrap()
        })
        .await;
    assert!(last_at >= before && last_at <= now(), "{last_at}");
    assert_eq!(battery, Some(42));
    assert_eq!(server.count_readings(watch.id).await, 0);
}
