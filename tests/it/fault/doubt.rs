//! Commits whose end the process does not learn.

use homeward_record::Metric;
use homeward_simulators::Measured;
use homeward_store::PgPool;
use tokio::sync::oneshot;

use super::proxy::{Cut, Proxy};
use crate::harness::*;
use crate::judged::{assert_judged, assert_nothing_amended, programme};

/// A patient on the diabetes programme, with a sensor that is connected to a process whose way to the
/// database is a proxy.
struct Sensor {
    server: Server,
    proxy: Proxy,
    device: Device,
    client: Client,
    sent: Vec<Measured>,
    _database: TestDatabase,
}

impl Sensor {
    async fn start() -> Sensor {
        let database = TestDatabase::create().await;
        let proxy = Proxy::start(&database).await;
        let server = Server::start_on(proxy.url(), database.pool().clone(), &[]).await;
        let device = server.enrol_on("diabetes-type-1", "cgm").await;
        let client = device.connect_v5().await;
        Sensor {
            server,
            proxy,
            device,
            client,
            sent: Vec::new(),
            _database: database,
        }
    }

    /// Publishes a value of some minutes ago.
    async fn publish(&mut self, minutes: i64, value: f64) -> u16 {
        let at = minutes_ago(minutes);
        self.sent.push(Measured {
            metric: Metric::Glucose,
            at,
            value,
        });
        let topic = self.device.topic("readings");
        self.client.publish(&topic, upload(&[glucose(at, value)])).await
    }

    async fn upload(&mut self, minutes: i64, value: f64) -> u8 {
        let packet = self.publish(minutes, value).await;
        self.client.acknowledged(packet).await
    }

    /// Everything is there once, and judged as if nothing had happened.
    async fn assert_undisturbed(&self) {
        let stored: Vec<_> = self.server.readings(&self.device).await;
        let stored: Vec<_> = stored.iter().map(|row| (row.time, row.value)).collect();
        let sent: Vec<_> = self.sent.iter().map(|sample| (sample.at, sample.value)).collect();
        assert_eq!(stored, sent);
        assert!(self.server.rejected(&self.device).await.is_empty());
        let rules = programme("diabetes-type-1");
        let episodes = assert_judged(&self.server, self.device.patient, &rules, "the patient").await;
        assert_nothing_amended(&episodes);
        assert!(!episodes.is_empty());
    }
}

#[tokio::test]
async fn invariant_1_a_commit_that_the_database_never_saw_is_done_again() {
    let mut sensor = Sensor::start().await;
    for (minutes, value) in [(60, 5.0), (55, 2.8), (50, 2.7), (45, 4.5)] {
        let cut = sensor.proxy.cut_next_commit(Cut::Before);
        let packet = sensor.publish(minutes, value).await;
        soon("the commit is cut", cut.cut_off).await.unwrap();
        assert_eq!(sensor.client.acknowledged(packet).await, STORED);
    }
    sensor.assert_undisturbed().await;
}

#[tokio::test]
async fn invariant_1_a_commit_whose_answer_is_lost_counts_once() {
    let mut sensor = Sensor::start().await;
    for (minutes, value) in [(60, 5.0), (55, 2.8), (50, 2.7), (45, 4.5), (40, 2.6), (35, 2.5)] {
        let cut = sensor.proxy.cut_next_commit(Cut::After);
        let packet = sensor.publish(minutes, value).await;
        soon("the commit is cut", cut.cut_off).await.unwrap();
        // The record had it when the lane tried again.
        assert_eq!(sensor.client.acknowledged(packet).await, STORED_EARLIER);
    }
    // Nothing is in the way of what follows.
    assert_eq!(sensor.upload(30, 2.4).await, STORED);
    assert_eq!(sensor.upload(25, 5.0).await, STORED);
    sensor.assert_undisturbed().await;
}

#[tokio::test]
async fn a_commit_that_comes_through_late_is_not_overtaken() {
    let mut sensor = Sensor::start().await;
    assert_eq!(sensor.upload(60, 5.0).await, STORED);
    for (minutes, value) in [(55, 2.8), (45, 4.5), (40, 2.6)] {
        let (go_on, told) = oneshot::channel();
        let cut = sensor.proxy.cut_next_commit(Cut::Late(told));
        let packet = sensor.publish(minutes, value).await;
        soon("the commit is cut", cut.cut_off).await.unwrap();
        waits_for_the_commit(&sensor.server.pool).await;
        go_on.send(()).unwrap();
        soon("the commit comes through", cut.done).await.unwrap();
        assert_eq!(sensor.client.acknowledged(packet).await, STORED_EARLIER);
        // Judged with what the late commit left.
        assert_eq!(sensor.upload(minutes - 1, value).await, STORED);
    }
    sensor.assert_undisturbed().await;
}

#[tokio::test]
async fn a_commit_of_a_killed_process_that_comes_through_late_is_not_overtaken() {
    let mut sensor = Sensor::start().await;
    assert_eq!(sensor.upload(60, 5.0).await, STORED);
    let (go_on, told) = oneshot::channel();
    let cut = sensor.proxy.cut_next_commit(Cut::Late(told));
    sensor.publish(55, 2.8).await;
    soon("the commit is cut", cut.cut_off).await.unwrap();
    sensor.server.kill().await;
    let pool = sensor.server.pool.clone();
    tokio::join!(sensor.server.start_again(), async {
        waits_for_the_commit(&pool).await;
        go_on.send(()).unwrap();
        soon("the commit comes through", cut.done).await.unwrap();
    });
    // Judged with what the late commit left, though the device has nothing of it to send again.
    sensor.client = sensor.device.connect_v5().await;
    assert_eq!(sensor.upload(50, 2.7).await, STORED);
    assert_eq!(sensor.upload(45, 2.6).await, STORED);
    sensor.assert_undisturbed().await;
}

#[tokio::test]
async fn a_process_that_is_replaced_acknowledges_nothing_more() {
    let database = TestDatabase::create().await;
    let mut old = Server::start(&database).await;
    let mut device = old.enrol_on("diabetes-type-1", "cgm").await;
    let topic = device.topic("readings");
    let mut client = device.connect_v5().await;
    let [before, between, after] = [30, 25, 20].map(|minutes| upload(&[glucose(minutes_ago(minutes), 2.8)]));
    assert_eq!(client.upload(&topic, before.clone()).await, STORED);

    let mut new = Server::start(&database).await;
    client.publish(&topic, between.clone()).await;
    // What its rules remember is not to be relied on any more.
    while let Some(incoming) = client.next().await {
        let acknowledged = matches!(incoming, Incoming::PubAck { .. });
        assert!(!acknowledged, "the new process judges now");
    }
    assert!(!old.exited().await.success());
    assert_eq!(new.readings(&device).await.len(), 1);

    device.broker = new.mqtt;
    let mut client = device.connect_v5().await;
    for (payload, reason) in [(before, STORED_EARLIER), (between, STORED), (after, STORED)] {
        assert_eq!(client.upload(&topic, payload).await, reason);
    }
    assert_eq!(new.readings(&device).await.len(), 3);
    let episodes = new.judged(device.patient).await;
    assert_eq!(episodes.len(), 1, "{episodes:?}");
    assert!(new.stop().await.success());
}

/// Waits until a connection of the process waits for another to end its transaction.
async fn waits_for_the_commit(pool: &PgPool) {
    eventually("the next transaction waits for the one before", async || {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .fetch_one(pool)
        .await
        .unwrap();
        (waiting > 0).then_some(())
    })
    .await;
}
