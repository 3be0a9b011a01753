//! The whole way of a reading, once.

use crate::harness::*;

#[tokio::test]
async fn a_reading_is_acknowledged_once_it_is_stored() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    for version in Version::BOTH {
        let watch = server.enrol("watch").await;
        let mut client = watch.connect(version).await;
        let at = minutes_ago(1);
        let reason = client
            .upload(&watch.topic("readings"), upload(&[heart_rate(at, 72)]))
            .await;
        assert_eq!(reason, STORED);
        let stored = server.readings(&watch).await;
        assert_eq!(stored.len(), 1);
        assert_eq!(
            (stored[0].patient_id, stored[0].time, stored[0].value),
            (watch.patient.0, at, 72.0)
        );
        client.disconnect().await;
    }
}
