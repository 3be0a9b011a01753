//! A PUBACK means that the reading is committed: nothing is acknowledged before, whatever the database does.

use crate::harness::*;

/// A heart rate that the record is made to refuse.
const POISON: f64 = 66.5;

#[tokio::test]
async fn invariant_1_no_puback_before_the_commit() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    for version in Version::BOTH {
        let watch = server.enrol("watch").await;
        let mut client = watch.connect(version).await;
        let topic = watch.topic("readings");
        let gate = server.hold_gate().await;
        let stored = client
            .publish(&topic, upload(&[heart_rate(minutes_ago(1), 72)]))
            .await;
        let rejected = client
            .publish(&topic, upload(&[heart_rate(minutes_ago(1), 999)]))
            .await;
        gate.lane_waits().await;
        // The connection works, and says nothing of the messages.
        client.hears_nothing_else().await;
        assert_eq!(server.count_readings(watch.id).await, 0);
        assert!(server.rejected(&watch).await.is_empty());

        gate.release().await;
        assert_eq!(client.acknowledged(stored).await, STORED);
        assert_eq!(server.count_readings(watch.id).await, 1);
        client.acknowledged(rejected).await;
        assert_eq!(server.rejected(&watch).await.len(), 1);
    }
}

#[tokio::test]
async fn invariant_1_no_puback_while_the_commit_itself_hangs() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let cgm = server.enrol_on("diabetes-type-1", "cgm").await;
    let mut client = cgm.connect_v5().await;
    // The last table that the transaction writes: the readings are in it by then, and not committed.
    let mut blocker = server.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE episode IN EXCLUSIVE MODE")
        .execute(&mut *blocker)
        .await
        .unwrap();
    let packet = client
        .publish(&cgm.topic("readings"), upload(&[glucose(minutes_ago(1), 2.5)]))
        .await;
    eventually("the transaction hangs", async || {
        let hangs: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'episode'::regclass)",
        )
        .fetch_one(&server.pool)
        .await
        .unwrap();
        hangs.then_some(())
    })
    .await;
    client.hears_nothing_else().await;
    assert_eq!(server.count_readings(cgm.id).await, 0);
    assert!(server.episodes(cgm.patient).await.is_empty());

    blocker.rollback().await.unwrap();
    assert_eq!(client.acknowledged(packet).await, STORED);
    // Together.
    assert_eq!(server.count_readings(cgm.id).await, 1);
    assert_eq!(server.episodes(cgm.patient).await.len(), 1);
}

#[tokio::test]
async fn a_transaction_that_the_database_breaks_off_is_done_again() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    for version in Version::BOTH {
        let watch = server.enrol("watch").await;
        let mut client = watch.connect(version).await;
        let gate = server.hold_gate().await;
        let packet = client
            .publish(
                &watch.topic("readings"),
                upload(&[heart_rate(minutes_ago(1), 72)]),
            )
            .await;
        for connection in server.lanes_at_gate().await {
            let ended: bool = sqlx::query_scalar("SELECT pg_terminate_backend($1, 10000)")
                .bind(connection)
                .fetch_one(&server.pool)
                .await
                .unwrap();
            assert!(ended);
        }
        gate.lane_waits().await;
        gate.release().await;
        assert_eq!(client.acknowledged(packet).await, STORED);
        assert_eq!(server.count_readings(watch.id).await, 1);
    }
}

#[tokio::test]
async fn a_message_that_waits_too_long_closes_its_connection_and_is_stored_once_when_sent_again() {
    let database = TestDatabase::create().await;
    let server = Server::start_with(&database, &[("HOMEWARD_LIMITS_ACKNOWLEDGE_WITHIN_SECONDS", "1")]).await;
    for version in Version::BOTH {
        let watch = server.enrol("watch").await;
        let message = Publish::new(
            1,
            watch.topic("readings"),
            upload(&[heart_rate(minutes_ago(1), 72)]),
        );
        let mut client = watch.connect(version).await;
        let mut idle = server.enrol("watch").await.connect(version).await;
        let gate = server.hold_gate().await;
        client.send(&message.encode(version)).await;
        assert_eq!(client.ended().await, (version == Version::V5).then_some(0x89));
        assert_eq!(server.count_readings(watch.id).await, 0);
        // Who waits for nothing is not disturbed.
        idle.ping().await;

        // Not even a new connection hears that the old one's message is stored: it must send it again.
        let mut client = watch.connect(version).await;
        client.ping().await;
        gate.release().await;
        eventually("what was taken is stored all the same", async || {
            (server.count_readings(watch.id).await == 1).then_some(())
        })
        .await;
        client.hears_nothing_else().await;
        client
            .send(&Publish { dup: true, ..message }.encode(version))
            .await;
        let reason = client.acknowledged(1).await;
        assert_eq!(reason, if version == Version::V5 { STORED_EARLIER } else { 0 });
        assert_eq!(server.count_readings(watch.id).await, 1);
    }
}

#[tokio::test]
async fn a_message_that_the_record_cannot_store_is_rejected_and_its_neighbours_are_stored() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    sqlx::query("ALTER TABLE reading ADD CONSTRAINT poison CHECK (value <> 66.5)")
        .execute(&server.pool)
        .await
        .unwrap();
    for version in Version::BOTH {
        let watch = server.enrol("watch").await;
        let mut client = watch.connect(version).await;
        let gate = server.hold_gate().await;
        // The first makes the lane busy; the others then come in one batch.
        let mut sent = vec![(
            client
                .publish(
                    &watch.topic("readings"),
                    upload(&[heart_rate(minutes_ago(30), 50)]),
                )
                .await,
            50.0,
        )];
        gate.lane_waits().await;
        for n in 1..=12 {
            let value = if n == 5 || n == 9 {
                POISON
            } else {
                50.0 + f64::from(n)
            };
            let payload = upload(&[heart_rate(minutes_ago(n.into()), value)]);
            sent.push((client.publish(&watch.topic("readings"), payload).await, value));
        }
        client.ping().await;
        gate.release().await;
        for (packet, value) in &sent {
            let expected = if version == Version::V5 && *value == POISON {
                PAYLOAD_INVALID
            } else {
                STORED
            };
            assert_eq!(client.acknowledged(*packet).await, expected, "{value}");
        }
        let kept = server.rejected(&watch).await;
        let reasons: Vec<_> = kept.iter().map(Rejected::reasons).collect();
        assert_eq!(reasons, [["unstorable"], ["unstorable"]]);
        assert_eq!(server.readings(&watch).await.len(), sent.len() - 2);
    }
}

#[tokio::test]
async fn while_the_database_is_away_nothing_is_acknowledged_and_nobody_is_let_in_or_thrown_out() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let (early, late) = (server.enrol("watch").await, server.enrol("watch").await);
    for version in Version::BOTH {
        let mut client = early.connect(version).await;
        let topic = early.topic("readings");
        client
            .upload(&topic, upload(&[heart_rate(minutes_ago(2), 71)]))
            .await;

        let away = server.lose_database().await;
        let packet = client
            .publish(&topic, upload(&[heart_rate(minutes_ago(1), 72)]))
            .await;
        let (_, ack) = Client::connect(server.mqtt, &late.credentials(version)).await;
        assert_eq!(ack.code, if version == Version::V5 { 0x88 } else { 3 });
        client.hears_nothing_else().await;

        away.bring_back().await;
        assert_eq!(client.acknowledged(packet).await, STORED);
        let mut other = late.connect(version).await;
        other
            .upload(&late.topic("readings"), upload(&[heart_rate(minutes_ago(1), 72)]))
            .await;
        client.disconnect().await;
    }
}
