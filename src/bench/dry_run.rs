//! The dry run of a programme on the histories of many patients, end to end from the database.

use std::fmt;
use std::time::Instant;

use anyhow::{Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use homeward_alerts::Programme;
use homeward_alerts::dry_run::{Difference, Listing, Proposal, Replaces, Scope, TrialRule, dry_run};
use homeward_record::Clock;
use serde::Serialize;
use sqlx::PgConnection;

use super::{enrol, give_plan, progress};

/// Patients, each with a month of glucose every five minutes: 8,640,000 readings.
const PATIENTS: usize = 1_000;
const DAYS: i64 = 30;

/// The plan that they have. Three of its five rules that can be tried differ from those that are tried, so that
/// the difference takes more work than that of a plan in which one rule is changed.
const PRESENT: &str = "diabetes-older";

/// What is tried on them.
const TRIED: &str = "diabetes-type-1";

/// What was measured.
#[derive(Debug, Serialize)]
pub(super) struct DryRun {
    dry_run_readings: u64,
    /// What the programme would have raised.
    dry_run_alerts: u64,
    dry_run_seconds: f64,
    dry_run_readings_per_second: f64,
}

impl fmt::Display for DryRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<58}{:>9.0} /s   ({} in {:.1} s, {} alerts)",
            "readings of a dry run of the type 1 programme",
            self.dry_run_readings_per_second,
            self.dry_run_readings,
            self.dry_run_seconds,
            self.dry_run_alerts
        )
    }
}

/// Makes the histories and runs it.
pub(super) async fn measure(url: &str) -> Result<DryRun> {
    let limits = crate::dry_run::all_of_the_machine();
    let pool = homeward_store::connect(url, u32::try_from(limits.workers)?)?;
    let mut connection = pool.acquire().await?;
    progress("enrolling patients for a dry run");
    let patients = enrol(&mut connection, PATIENTS, "cgm").await?;
    give_plan(&mut connection, &patients, PRESENT).await?;
    let now = Clock::System.now();
    let from = now - TimeDelta::days(DAYS);
    progress("making a month of glucose of 1,000 patients");
    let numbers: Vec<i64> = patients.iter().map(|(patient, _)| *patient).collect();
    for day in 0..DAYS {
        make_day(&mut connection, &numbers, from + TimeDelta::days(day)).await?;
    }
    sqlx::query("ANALYZE reading").execute(&mut *connection).await?;
    drop(connection);

    progress("trying a programme on it");
    let proposal = Proposal {
        rules: TrialRule::of_programme(Programme::named(TRIED).expect("it is embedded")),
        replaces: Replaces::Plan,
        scope: Scope::Programme(PRESENT.to_owned()),
        from,
        to: now,
        now,
        listing: Listing { most: 100 },
    };
    let begun = Instant::now();
    let report = dry_run(&pool, proposal, limits, |_| {}).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let (readings, alerts) = (report.readings, report.proposed.alerts.all);
    ensure!(
        readings == PATIENTS as u64 * DAYS as u64 * 288,
        "{readings} readings"
    );
    let Difference {
        only_proposed, both, ..
    } = report.difference;
    ensure!(
        only_proposed > 0 && both > 0,
        "the histories have nothing in them"
    );
    #[expect(clippy::cast_precision_loss, reason = "some million readings")]
    let rate = readings as f64 / seconds;
    Ok(DryRun {
        dry_run_readings: readings,
        dry_run_alerts: alerts,
        dry_run_seconds: seconds,
        dry_run_readings_per_second: rate,
    })
}

/// A day of glucose for each patient: a wave over the day, and on one day of some five swings of two hours that go
/// low and fall fast. The rows come as devices send them: by time, and at each time in an order of patients that is
/// not that of their numbers.
async fn make_day(connection: &mut PgConnection, patients: &[i64], from: DateTime<Utc>) -> Result<()> {
    sqlx::query(
        "INSERT INTO reading (patient_id, metric, time, device_id, value, received_at)
         SELECT patient_id, 7, at, device_id,
             greatest(2.2, 7.6 + 3.6 * sin(2 * pi() * (t / 86400 + patient_id / 97.0))
                 + 3.5 * power(sin(pi() * t / 432000 + patient_id), 8) * sin(2 * pi() * t / 7200 + patient_id)),
             at + interval '2 seconds'
         FROM generate_series($2, $2 + interval '23:55', interval '5 minutes') AS at
         CROSS JOIN LATERAL (SELECT extract(epoch FROM at)::float8 AS t) AS seconds
         CROSS JOIN (SELECT patient_id, min(device_id) AS device_id FROM device_assignment
             WHERE patient_id = ANY ($1) GROUP BY patient_id) AS sensor
         ORDER BY at, md5(patient_id::text)",
    )
    .bind(patients)
    .bind(from)
    .execute(connection)
    .await?;
    Ok(())
}
