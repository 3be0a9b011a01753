//! Commits whose end the process does not learn.

use homeward_record::Metric;
use tokio::sync::oneshot;

use super::proxy::{Cut, Proxy};
use crate::harness::*;
use crate::oracle::{Rule, Sample, assert_judged_in_order, programme};

/// A patient on the diabetes programme, with a sensor that is connected to a process whose way to the
/// database is a proxy.
struct Sensor {
    server: Server,
    proxy: Proxy,
    device: Device,
    client: Client,
    sent: Vec<Sample>,
    _database: TestDatabase,
}

impl Sensor {
    async fn start() -> Sensor {
        let database = TestDatabase::create().await;
        let proxy = Proxy::start(&database).await;
        let server = Server::start_on(proxy.url(), database.pool().clone(), &[]).await;
        let device = server.enrol_on("diabetes", "cgm").await;
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
        self.sent.push(Sample {
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
        let patient = self.device.patient;
        let episodes = self.server.judged(patient).await;
        let arrivals = self.server.arrivals(patient).await;
        assert_judged_in_order(
            &programme("diabetes"),
            &self.sent,
            &arrivals,
            &episodes,
            "the patient",
        );
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
        sensor.waits_for_the_commit().await;
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
    sensor.server.start_again().await;
    // Of the same patient, but nothing that the late commit has, too.
    sensor.client = sensor.device.connect_v5().await;
    let packet = sensor.publish(50, 2.7).await;
    sensor.waits_for_the_commit().await;
    go_on.send(()).unwrap();
    soon("the commit comes through", cut.done).await.unwrap();
    assert_eq!(sensor.client.acknowledged(packet).await, STORED);
    assert_eq!(sensor.upload(45, 2.6).await, STORED);
    sensor.assert_undisturbed().await;
}

#[tokio::test]
async fn two_processes_on_one_record_lose_no_reading_and_no_alert() {
    let database = TestDatabase::create().await;
    let servers = [Server::start(&database).await, Server::start(&database).await];
    let mut device = servers[0].enrol_on("diabetes", "cgm").await;
    let topic = device.topic("readings");
    let mut sent = Vec::new();
    // Whom the device speaks to, and what it says. Each process thinks that it knows the patient's episode,
    // and each time the other has changed it.
    let said = [
        (0, 2.8),
        (1, 2.7),
        (1, 4.5),
        (0, 2.6),
        (0, 4.6),
        (1, 2.5),
        (0, 2.4),
        (0, 4.4),
        (1, 4.3),
    ];
    for (index, (server, value)) in said.into_iter().enumerate() {
        let at = minutes_ago(60 - 5 * i64::try_from(index).unwrap());
        device.broker = servers[server].mqtt;
        let mut client = device.connect_v5().await;
        assert_eq!(client.upload(&topic, upload(&[glucose(at, value)])).await, STORED);
        client.disconnect().await;
        sent.push(Sample {
            metric: Metric::Glucose,
            at,
            value,
        });
    }
    let server = &servers[0];
    assert_eq!(server.readings(&device).await.len(), sent.len());
    assert!(server.rejected(&device).await.is_empty());
    let rules: Vec<_> = programme("diabetes")
        .into_iter()
        .filter(Rule::is_threshold)
        .collect();
    let arrivals = server.arrivals(device.patient).await;
    let episodes = server.judged(device.patient).await;
    assert_judged_in_order(&rules, &sent, &arrivals, &episodes, "the patient");
}

impl Sensor {
    /// Waits until a connection of the process waits for another to end its transaction.
    async fn waits_for_the_commit(&self) {
        eventually("the next transaction waits for the one before", async || {
            let waiting: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock'",
            )
            .fetch_one(&self.server.pool)
            .await
            .unwrap();
            (waiting > 0).then_some(())
        })
        .await;
    }
}
