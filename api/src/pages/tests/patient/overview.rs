use chrono::TimeDelta;
use homeward_record::{DeviceId, Metric, PatientId};
use homeward_store::access::Role;

use super::{form, of_team, shows};
use crate::care_plan::testing::{judge, on};
use crate::pages::tests::location;
use crate::testing::{TestApp, now};

/// Two weeks of a sensor, and a few days of a cuff and a scale.
async fn measure(app: &TestApp, patient: PatientId) -> DeviceId {
    let device = app.add_device(patient).await;
    let glucose = (0..14 * 288).map(|step| {
        let wave = f64::from(step % 288 - 144).abs() / 20.0;
        (
            Metric::Glucose,
            now() - TimeDelta::minutes(i64::from(step) * 5),
            5.0 + wave,
        )
    });
    let cuff = (0..6).flat_map(|day| {
        let at = now() - TimeDelta::days(day) - TimeDelta::hours(3);
        [(Metric::Systolic, at, 142.0), (Metric::Diastolic, at, 84.0)]
    });
    let scale = [(Metric::BodyWeight, now() - TimeDelta::days(2), 81.4)];
    let readings: Vec<_> = glucose.chain(cuff).chain(scale).collect();
    app.store(patient, device, &readings).await;
    device
}

#[tokio::test]
async fn an_overview_begins_with_what_is_open_and_shows_what_is_measured() {
    let (app, patient) = on("diabetes-type-1").await;
    measure(&app, patient).await;
    judge(&app, patient, &[("12:01", 2.6)]).await;
    let nurse = of_team(&app, "mei.ng", Role::CareTeamMember).await;
    let page = nurse.get("/patients/1001").await;
    shows(
        &page,
        &[
            "Glucose very low",
            "Nobody has it",
            "/alerts/1",
            "What to do",
            "<span data-metric=\"systolic\">142</span>/<span data-metric=\"diastolic\">84</span> mmHg",
            "<span data-metric=\"body_weight\">81.4</span> kg",
            "data-readings=\"/api/v1/patients/1001/readings/stream\"",
            "Trends, last 14 days",
            "id=\"chart-blood-pressure\"",
            "The course from",
            "Systolic target: below 135 mmHg",
            "id=\"chart-glucose\"",
            "data-mark=\"high\"",
            "id=\"chart-weight\"",
            "Ambulatory glucose profile",
            "In range, 3.9 to 10.0 mmol/L",
            "Day by day",
        ],
    );
    // The most urgent stands before everything else.
    let place = |text: &str| page.body.find(text).unwrap();
    assert!(place("Open alerts") < place("Latest values"));
    assert!(place("Latest values") < place("Trends, last"));

    let day = nurse.get("/patients/1001?range=24h").await;
    shows(
        &day,
        &[
            "Trends, last 24 hours",
            "id=\"chart-glucose\"",
            "Ambulatory glucose profile",
        ],
    );
    assert!(!day.body.contains("id=\"chart-weight\""), "{}", day.body);
    shows(
        &nurse.get("/patients/1001?range=90d").await,
        &["id=\"chart-weight\""],
    );
    assert_eq!(nurse.get("/patients/1001?range=1y").await.status, 400);
}

#[tokio::test]
async fn a_patient_without_readings_has_a_page_too() {
    let app = TestApp::start().await;
    app.add_patient().await;
    let nurse = of_team(&app, "mei.ng", Role::CareTeamMember).await;
    let empty = [
        "No alert is open now",
        "Nothing was measured in the last 90 days",
        "Nothing was written down",
    ];
    shows(&nurse.get("/patients/1001").await, &empty);
    shows(
        &nurse.get("/patients/1001/alerts").await,
        &["There are none of these in the last 90 days"],
    );
    shows(
        &nurse.get("/patients/1001/readings").await,
        &["There are no such readings"],
    );
    shows(
        &nurse.get("/patients/1001/news2").await,
        &["no set in which all seven parameters were measured"],
    );
    shows(
        &nurse.get("/patients/1001/care-plan").await,
        &["The plan has no rules"],
    );
    shows(
        &nurse.get("/patients/1001/devices").await,
        &["No device has measured"],
    );
}

#[tokio::test]
async fn a_note_is_replaced_and_what_was_typed_in_vain_stays() {
    let app = TestApp::start().await;
    app.add_patient().await;
    let mut nurse = of_team(&app, "mei.ng", Role::CareTeamMember).await;
    let page = nurse.get("/patients/1001").await;
    let path = "/patients/1001/notes";
    let written = nurse.post(path, &form(&page, &[("text", "Feels well")])).await;
    assert_eq!(location(&written), "/patients/1001#notes");
    let instead = form(&page, &[("text", "Feels unwell"), ("replaces", "1")]);
    assert_eq!(
        location(&nurse.post(path, &instead).await),
        "/patients/1001#notes"
    );
    let both = nurse.get("/patients/1001").await;
    shows(
        &both,
        &[
            "Feels well",
            "Replaced by a later note",
            "In the place of an earlier note",
        ],
    );
    // Once.
    let again = nurse
        .post(path, &form(&page, &[("text", "Feels fine"), ("replaces", "1")]))
        .await;
    assert_eq!(again.status, 422);
    assert!(
        again.body.contains("was replaced already") && again.body.contains("Feels fine"),
        "{}",
        again.body
    );
    let nothing = nurse.post(path, &form(&page, &[("text", " ")])).await;
    assert_eq!(nothing.status, 422, "{}", nothing.body);
}

#[tokio::test]
async fn a_page_is_shown_before_anybody_has_counted_what_is_on_it() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    app.add_device(patient).await;
    // A record that was just taken over: a watch that measured two things a minute for ten weeks.
    for metric in [Metric::HeartRate, Metric::Spo2] {
        sqlx::query(
            "WITH taken AS (
                 INSERT INTO reading (patient_id, metric, time, device_id, value, received_at)
                 SELECT $1, $2, $3 - minute * interval '1 minute', 10001, 72, $3
                 FROM generate_series(1, 100800) AS minute RETURNING time
             )
             INSERT INTO rollup_dirty (patient_id, metric, bucket)
             SELECT DISTINCT $1, $2, time_bucket('1 hour', time) FROM taken",
        )
        .bind(patient.0)
        .bind(metric.code())
        .bind(now())
        .execute(app.pool())
        .await
        .unwrap();
    }
    let nurse = of_team(&app, "mei.ng", Role::CareTeamMember).await;
    shows(
        &nurse.get("/patients/1001?range=90d").await,
        &[
            "id=\"chart-heart-rate\"",
            "id=\"chart-oxygen\"",
            "in 100,800 readings",
        ],
    );
}
