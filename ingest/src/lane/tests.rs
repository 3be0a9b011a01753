use bytes::Bytes;
use chrono::TimeDelta;
use homeward_front::Introductions;
use homeward_record::{Context, DeviceId, Metric, Reading};
use homeward_store::Gate;
use homeward_store::testing::TestDatabase;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::*;
use crate::Limits;
use crate::broker::{Broker, Entry, Shared};
use crate::message::{Message, Outcome};

#[test]
fn patients_spread_over_the_lanes() {
    for lanes in 1..=8 {
        let mut counts = vec![0; lanes];
        (1001..2001).for_each(|id| counts[LaneIndex::of(PatientId(id), lanes)] += 1);
        let fair = 1000 / lanes;
        assert!(
            counts.iter().all(|count| *count > fair * 8 / 10),
            "{lanes} lanes: {counts:?}"
        );
    }
}

/// A patient with a heart monitor, and the only lane there is.
struct Fixture {
    lane: Lane,
    database: TestDatabase,
    patient: PatientId,
    device: DeviceId,
    broker: Broker,
}

impl Fixture {
    async fn create(commit_within: Duration) -> Fixture {
        let database = TestDatabase::create().await;
        let pool = database.pool().clone();
        sqlx::raw_sql(
            "INSERT INTO patient (nhs_number, name, born) VALUES ('9990000018', 'Ada Simulated', '1950-01-01');
             INSERT INTO device (kind, secret_hash) VALUES ('watch', sha256('secret'));
             INSERT INTO device_assignment (device_id, patient_id, valid_during)
             VALUES (10001, 1001, '[2026-01-01Z,)')",
        )
        .execute(&pool)
        .await
        .unwrap();
        let gate = Gate::take_over(&pool).await.unwrap();
        let directory = Arc::new(Directory::new(pool.clone(), gate.version));
        let (deliver, _) = mpsc::channel(1);
        let entry = Entry {
            introductions: Introductions::new(false),
            device_certificates: false,
        };
        let intake = deliver.downgrade();
        let shared = Shared::new(Limits::default(), entry, Clock::System, deliver);
        let listen = "127.0.0.1:0".parse().unwrap();
        let tasks = TaskTracker::new();
        let broker = Broker::start(listen, Arc::new(shared), Arc::clone(&directory), &tasks).await;
        let broker = broker.unwrap();
        let lane = Lane {
            index: LaneIndex { index: 0, lanes: 1 },
            pool,
            writer: gate.writer,
            clock: Clock::System,
            directory,
            link: Arc::clone(&broker.link),
            intake,
            plans: Plans::default(),
            commit_within,
        };
        Fixture {
            lane,
            database,
            patient: PatientId(1001),
            device: DeviceId(10_001),
            broker,
        }
    }

    /// A message of one heart rate, so many minutes ago, and where its outcome is told.
    async fn message(&self, minutes_ago: i64, value: f64) -> (Part, mpsc::Receiver<Outcome>) {
        let (told, outcome) = mpsc::channel(1);
        let now = self.lane.clock.now();
        let delivery = Delivery {
            device: self.device,
            subject: None,
            topic: format!("v1/devices/{}/readings", self.device),
            payload: Bytes::from(value.to_string()),
            received_at: now,
            first_received_at: now,
            refused: None,
            receipt: Receipt::Caller(told),
            _share: Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap(),
        };
        let reading = Reading {
            metric: Metric::HeartRate,
            at: now - TimeDelta::minutes(minutes_ago),
            value,
            context: Context::default(),
        };
        let part = Part {
            message: Message::new(delivery, 1),
            known: self.lane.directory.fetch(self.device).await.unwrap().unwrap(),
            readings: vec![(self.patient, reading)],
            rejected: Vec::new(),
        };
        (part, outcome)
    }
}

#[tokio::test]
async fn a_batch_that_takes_too_long_is_stored_in_halves_and_nothing_is_rejected_for_it() {
    let mut fixture = Fixture::create(Duration::from_millis(800)).await;
    // Four take too long together. One is slow by itself, the first three times that it comes.
    sqlx::raw_sql(
        "CREATE SEQUENCE seen;
         CREATE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             PERFORM pg_sleep(0.3);
             IF NEW.value = 66.5 AND nextval('seen') <= 3 THEN PERFORM pg_sleep(1); END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER slow BEFORE INSERT ON reading FOR EACH ROW EXECUTE FUNCTION be_slow()",
    )
    .execute(fixture.database.pool())
    .await
    .unwrap();
    let (mut batch, mut outcomes) = (Vec::new(), Vec::new());
    for (minutes_ago, value) in [(4, 61.0), (3, 66.5), (2, 62.0), (1, 63.0)] {
        let (part, outcome) = fixture.message(minutes_ago, value).await;
        batch.push(part);
        outcomes.push(outcome);
    }
    let done = timeout(Duration::from_secs(60), fixture.lane.commit(batch)).await;
    assert!(done.expect("it ends").is_ok());
    for outcome in &mut outcomes {
        let outcome = outcome.try_recv().unwrap();
        assert_eq!((outcome.stored, outcome.rejected), (1, Vec::new()));
    }
    let seen: i64 = sqlx::query_scalar("SELECT last_value FROM seen")
        .fetch_one(fixture.database.pool())
        .await
        .unwrap();
    assert_eq!(seen, 4, "whole, as a half, and twice alone");
    fixture.broker.stop().await;
}
