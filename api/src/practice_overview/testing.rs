//! Patients who do well and less well on their programmes.

use chrono::TimeDelta;
use homeward_alerts::Programme;
use homeward_alerts::plans::copy_programme;
use homeward_record::{DeviceId, Metric, PatientId};
use homeward_store::rollup;

use crate::testing::{TestApp, now};

pub(crate) const PRESSURE: [Metric; 2] = [Metric::Systolic, Metric::Diastolic];

/// A patient on a programme for a month.
pub(crate) async fn enrol(app: &TestApp, programme: &str) -> PatientId {
    let patient = app.add_patient().await;
    join(app, patient, programme).await;
    patient
}

pub(crate) async fn join(app: &TestApp, patient: PatientId, programme: &str) {
    let mut connection = app.pool().acquire().await.unwrap();
    let programme = Programme::named(programme).unwrap();
    let since = now() - TimeDelta::days(30);
    let by = ("Dr Ng", "enrolment");
    copy_programme(&mut connection, &[patient], programme, by, since)
        .await
        .unwrap();
}

/// Readings each so many minutes for so many days until so many hours ago.
pub(crate) async fn measure(
    app: &TestApp,
    patient: PatientId,
    metrics: &[Metric],
    every: i64,
    days: i64,
    ago: i64,
) {
    let until = now() - TimeDelta::hours(ago);
    let times = (0..days * 24 * 60 / every).map(|n| until - TimeDelta::minutes(n * every));
    let readings: Vec<_> = times
        .flat_map(|at| metrics.iter().map(move |metric| (*metric, at, 60.0)))
        .collect();
    app.store(patient, DeviceId(7), &readings).await;
}

/// An open episode of a rule of the patient's plan.
pub(crate) async fn raise(app: &TestApp, patient: PatientId, code: &str) {
    sqlx::query(
        "INSERT INTO episode (patient_id, rule_id, code, severity, status, late, raised_at,
             onset_at, onset_value, onset_metric, latest_at, latest_value, latest_metric,
             worst_at, worst_value, worst_metric)
         SELECT patient_id, rule_id, code, 'low', 'raised', false, $3, $3, 1, 5, $3, 1, 5, $3, 1, 5
         FROM care_plan_rule WHERE patient_id = $1 AND code = $2",
    )
    .bind(patient.0)
    .bind(code)
    .bind(now())
    .execute(app.pool())
    .await
    .unwrap();
}

pub(crate) async fn roll_up(app: &TestApp) {
    sqlx::query("UPDATE gate SET rollup_mark = $1, rolled_up_until = $1")
        .bind(now() - TimeDelta::days(20))
        .execute(app.pool())
        .await
        .unwrap();
    rollup::run_once(app.pool(), now()).await.unwrap();
}
