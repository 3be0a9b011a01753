use std::sync::Mutex;

use homeward_record::{Context, DeviceId, NhsNumber, PatientId};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sqlx::Connection;

use super::*;
use crate::admin::{NewPatient, add_patients};
use crate::testing::TestDatabase;
use crate::trends::{TrendPoint, trend};
use crate::{BatchRow, Gate, insert_batch, mark_dirty};

const METRICS: [Metric; 3] = [Metric::HeartRate, Metric::Glucose, Metric::Steps];

/// A record of two patients, whose rollups begin at `start`, and a clock that the test moves.
struct World {
    database: TestDatabase,
    patients: Vec<PatientId>,
    start: DateTime<Utc>,
    now: Mutex<DateTime<Utc>>,
}

impl World {
    async fn create() -> World {
        let database = TestDatabase::create().await;
        let numbers = [999_000_001, 999_000_002].map(|stem| NhsNumber::from_stem(stem).unwrap());
        let new: Vec<_> = numbers
            .iter()
            .map(|nhs_number| NewPatient {
                nhs_number,
                name: "Ada Simulated",
                born: chrono::NaiveDate::default(),
                organisation: None,
                team: None,
            })
            .collect();
        let mut connection = database.pool().acquire().await.unwrap();
        let patients = add_patients(&mut connection, &new).await.unwrap();
        let start = "2026-03-01T22:00:00Z".parse().unwrap();
        sqlx::query("UPDATE gate SET rollup_mark = $1, rolled_up_until = $1")
            .bind(start)
            .execute(&mut *connection)
            .await
            .unwrap();
        World {
            database,
            patients,
            start,
            now: Mutex::new(start),
        }
    }

    fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    fn now(&self) -> DateTime<Utc> {
        *self.now.lock().unwrap()
    }

    fn pass(&self, time: TimeDelta) {
        *self.now.lock().unwrap() += time;
    }

    /// A reading some minutes after the start.
    fn glucose(&self, minutes: i64) -> BatchRow {
        BatchRow {
            part: 0,
            patient: self.patients[0],
            metric: Metric::Glucose,
            at: self.start + TimeDelta::minutes(minutes),
            device: DeviceId(1),
            value: 5.5,
            context: Context::default(),
            received_at: self.start,
        }
    }

    /// Writes a batch as a lane does: most of it new, some of it days late, a little of it ahead of time.
    async fn write(&self, random: &mut StdRng) {
        let now = self.now();
        let (mut transaction, gate) = Gate::enter(self.pool()).await.unwrap();
        let late = random.random_bool(0.3);
        let mut batch: Vec<BatchRow> = (0..random.random_range(1..30))
            .map(|_| {
                let minutes = if late {
                    random.random_range(-4 * 1440..0)
                } else {
                    random.random_range(-10..6)
                };
                BatchRow {
                    part: 0,
                    patient: self.patients[random.random_range(0..self.patients.len())],
                    metric: METRICS[random.random_range(0..METRICS.len())],
                    at: now + TimeDelta::minutes(minutes),
                    device: DeviceId(random.random_range(1..3)),
                    // Sums of quarters are exact, in whatever order they are summed up.
                    value: f64::from(random.random_range(4..400)) / 4.0,
                    context: Context::default(),
                    received_at: now,
                }
            })
            .collect();
        let new = insert_batch(&mut transaction, &mut batch).await.unwrap();
        let new = batch.iter().zip(new).filter(|(_, new)| *new).map(|(row, _)| row);
        mark_dirty(&mut transaction, &gate, new).await.unwrap();
        if random.random_bool(0.9) {
            transaction.commit().await.unwrap();
        }
    }

    /// One of the things that a worker does, or all of them: one that is killed leaves off anywhere.
    async fn work(&self, random: &mut StdRng) {
        let now = self.now() - TimeDelta::minutes(random.random_range(-120..60));
        match random.random_range(0..5) {
            0 => advance(self.pool(), Bucket::Hour.floor(now)).await.unwrap(),
            1 => drop(roll_up(self.pool()).await.unwrap()),
            2 => drop(recompute(self.pool()).await.unwrap()),
            _ => drop(run_once(self.pool(), now).await.unwrap()),
        }
    }

    /// Compares the trends of every series in a random window with what the readings of the same snapshot
    /// give.
    async fn check(&self, random: &mut StdRng) {
        let mut connection = self.pool().acquire().await.unwrap();
        let mut snapshot = connection
            .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ")
            .await
            .unwrap();
        let from = self.now() - TimeDelta::minutes(random.random_range(0..5 * 1440));
        let until = from + TimeDelta::minutes(random.random_range(1..5 * 1440));
        for patient in &self.patients {
            for metric in METRICS {
                for bucket in [Bucket::FiveMinutes, Bucket::Hour, Bucket::Day] {
                    let answer = trend(&mut snapshot, *patient, metric, (from, until), bucket)
                        .await
                        .unwrap();
                    let window = (bucket.floor(from), bucket.ceil(until));
                    let expected = plain_trend(&mut snapshot, *patient, metric, window, bucket).await;
                    assert_eq!(answer, expected, "{bucket:?} from {from} until {until}");
                }
            }
        }
    }
}

/// The trend from the readings alone. Of steps, an hour has those that end in it, of the device that counted most in it.
async fn plain_trend(
    connection: &mut PgConnection,
    patient: PatientId,
    metric: Metric,
    (from, until): (DateTime<Utc>, DateTime<Utc>),
    bucket: Bucket,
) -> Vec<TrendPoint> {
    let rows: Vec<(DateTime<Utc>, i64, f64, f64, f64)> = sqlx::query_as(
        "WITH one AS (
             SELECT device_id, value, extract(epoch FROM time) - CASE metric WHEN 8 THEN 0.000001 ELSE 0 END AS second
             FROM reading WHERE patient_id = $1 AND metric = $2
         ), of_hour AS (
             SELECT floor(second / 3600) AS hour, device_id, sum(value) AS steps FROM one GROUP BY 1, 2
         )
         SELECT to_timestamp(floor(second / $5) * $5) AS at, count(*), min(value), avg(value), max(value)
         FROM one
         WHERE second >= extract(epoch FROM $3::timestamptz)
             AND second < extract(epoch FROM $4::timestamptz)
             AND ($2 <> 8 OR device_id = (SELECT of_hour.device_id FROM of_hour WHERE hour = floor(second / 3600)
                 ORDER BY steps DESC, of_hour.device_id LIMIT 1))
         GROUP BY at ORDER BY at",
    )
    .bind(patient.0)
    .bind(metric.code())
    .bind(from)
    .bind(until)
    .bind(bucket.length().num_seconds())
    .fetch_all(connection)
    .await
    .unwrap();
    rows.into_iter()
        .map(|(at, n, min, mean, max)| TrendPoint {
            at,
            n,
            min,
            mean,
            max,
        })
        .collect()
}

async fn count(pool: &PgPool, table: &'static str) -> i64 {
    sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}")))
        .fetch_one(pool)
        .await
        .unwrap()
}

fn seed() -> u64 {
    let seed = rand::random();
    println!("seed {seed}");
    seed
}

#[tokio::test]
async fn trends_are_exact_after_any_steps() {
    let world = World::create().await;
    let random = &mut StdRng::seed_from_u64(seed());
    for _ in 0..120 {
        match random.random_range(0..8) {
            0..4 => world.write(random).await,
            4..6 => world.work(random).await,
            6 => world.pass(TimeDelta::minutes(random.random_range(1..300))),
            _ => world.check(random).await,
        }
    }
    world.pass(TimeDelta::days(2));
    run_once(world.pool(), world.now()).await.unwrap();
    world.check(random).await;
    // All of it is rolled up now, so that the comparison was one of rollups.
    assert_eq!(count(world.pool(), "rollup_dirty").await, 0);
    assert!(count(world.pool(), "reading_hourly").await > 0);
    assert!(count(world.pool(), "reading_daily").await > 0);
}

#[tokio::test]
async fn trends_are_exact_while_writers_and_workers_are_at_work() {
    let world = World::create().await;
    let seed = seed();
    let random = |part| StdRng::seed_from_u64(seed ^ part);
    let writer = async |part| {
        let random = &mut random(part);
        for _ in 0..80 {
            world.write(random).await;
            world.pass(TimeDelta::minutes(random.random_range(1..10)));
        }
    };
    let worker = async |part| {
        let random = &mut random(part);
        for _ in 0..80 {
            world.work(random).await;
        }
    };
    let checker = async |part| {
        let random = &mut random(part);
        for _ in 0..25 {
            world.check(random).await;
        }
    };
    tokio::join!(writer(1), writer(2), worker(3), worker(4), checker(5), checker(6));

    world.pass(TimeDelta::days(2));
    run_once(world.pool(), world.now()).await.unwrap();
    checker(7).await;
    assert_eq!(count(world.pool(), "rollup_dirty").await, 0);
}

#[tokio::test]
async fn a_worker_waits_for_the_hour_to_settle_and_catches_up_in_pieces() {
    let world = World::create().await;
    let hours = |progress: Progress| progress.hours;
    let until = |minutes| world.start + TimeDelta::minutes(minutes);
    assert_eq!(hours(run_once(world.pool(), until(69)).await.unwrap()), 0);
    assert_eq!(hours(run_once(world.pool(), until(70)).await.unwrap()), 1);
    assert_eq!(hours(run_once(world.pool(), until(70)).await.unwrap()), 0);
    // Also when the clock is set back.
    assert_eq!(hours(run_once(world.pool(), until(-600)).await.unwrap()), 0);

    advance(world.pool(), until(40 * 60)).await.unwrap();
    assert_eq!(roll_up(world.pool()).await.unwrap(), Some(HOURS_A_TRANSACTION));
    assert_eq!(
        hours(run_once(world.pool(), until(0)).await.unwrap()),
        39 - HOURS_A_TRANSACTION
    );
}

#[tokio::test]
async fn workers_exclude_each_other() {
    let world = World::create().await;
    advance(world.pool(), world.start + TimeDelta::hours(3))
        .await
        .unwrap();
    let mut other = world.pool().begin().await.unwrap();
    assert!(only_worker(&mut other).await.unwrap());
    assert_eq!(roll_up(world.pool()).await.unwrap(), None);
    assert_eq!(recompute(world.pool()).await.unwrap(), None);
    other.rollback().await.unwrap();
    assert_eq!(roll_up(world.pool()).await.unwrap(), Some(3));
}

#[tokio::test]
async fn a_dirty_hour_waits_for_the_hours_before_it() {
    let world = World::create().await;
    advance(world.pool(), world.start + TimeDelta::hours(3))
        .await
        .unwrap();
    let (mut writer, gate) = Gate::enter(world.pool()).await.unwrap();
    let row = world.glucose(90);
    insert_batch(&mut writer, &mut [row.clone()]).await.unwrap();
    mark_dirty(&mut writer, &gate, [&row]).await.unwrap();
    writer.commit().await.unwrap();

    assert_eq!(recompute(world.pool()).await.unwrap(), None);
    assert_eq!(roll_up(world.pool()).await.unwrap(), Some(3));
    assert_eq!(recompute(world.pool()).await.unwrap(), Some(1));
    assert_eq!(count(world.pool(), "reading_hourly").await, 1);
}

#[tokio::test]
async fn an_hour_is_not_rolled_up_while_somebody_writes_to_it_unaware() {
    let world = World::create().await;
    let (mut writer, gate) = Gate::enter(world.pool()).await.unwrap();
    assert_eq!(gate.rollup_mark, world.start);
    let writing = async {
        // Long enough for a worker who would not wait.
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        insert_batch(&mut writer, &mut [world.glucose(30)]).await.unwrap();
        writer.commit().await.unwrap();
    };
    let working = run_once(world.pool(), world.start + TimeDelta::hours(2));
    let ((), progress) = tokio::join!(writing, working);
    assert_eq!(progress.unwrap().hours, 1);
    assert_eq!(count(world.pool(), "reading_hourly").await, 1);
}

#[test]
fn buckets_that_follow_each_other_are_one_stretch() {
    let hour = |hour| DateTime::UNIX_EPOCH + TimeDelta::hours(hour);
    let hours = [(1, 7, 3), (1, 1, 2), (1, 1, 1), (1, 1, 2), (1, 1, 4), (2, 1, 5)];
    let hours = hours.map(|(patient, metric, number)| (patient, metric, hour(number)));
    let stretches = Stretches::of(hours.into_iter(), Bucket::Hour);
    assert_eq!(
        (stretches.patients, stretches.metrics, stretches.buckets),
        (vec![1, 1, 1, 2], vec![1, 1, 7, 1], 5)
    );
    assert_eq!(stretches.begins, [1, 4, 3, 5].map(hour));
    assert_eq!(stretches.ends, [3, 5, 4, 6].map(hour));
}

#[test]
fn steps_until_a_full_hour_are_of_the_hour_before() {
    let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    for (metric, time, hour) in [
        (Metric::Steps, "2026-11-22T10:00:00Z", "2026-11-22T09:00:00Z"),
        (
            Metric::Steps,
            "2026-11-22T10:00:00.000001Z",
            "2026-11-22T10:00:00Z",
        ),
        (Metric::HeartRate, "2026-11-22T10:00:00Z", "2026-11-22T10:00:00Z"),
    ] {
        assert_eq!(hour_of(metric, at(time)), at(hour), "{metric:?} {time}");
    }
}

#[tokio::test]
async fn a_writer_that_hangs_does_not_stop_the_others() {
    let world = World::create().await;
    let (hanging, _) = Gate::enter(world.pool()).await.unwrap();
    let advancing = async {
        let error = run_once(world.pool(), world.start + TimeDelta::hours(2))
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "could not advance the rollup mark");
    };
    let writing = async {
        let (writer, gate) = Gate::enter(world.pool()).await.unwrap();
        assert_eq!(gate.rollup_mark, world.start);
        writer.commit().await.unwrap();
    };
    tokio::join!(advancing, writing);
    drop(hanging);
}
