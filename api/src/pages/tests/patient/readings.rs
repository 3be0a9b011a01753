use chrono::TimeDelta;
use homeward_record::Metric;
use homeward_store::access::Role;

use super::{form, of_team, shows};
use crate::care_plan::testing::on;
use crate::pages::tests::location;
use crate::testing::{Answer, TestApp, at, now};

#[tokio::test]
async fn scores_stand_as_on_the_chart_of_a_ward() {
    let (app, patient) = on("copd").await;
    let device = app.add_device(patient).await;
    let set = [
        (Metric::RespiratoryRate, 22.0),
        (Metric::Spo2, 90.0),
        (Metric::SupplementalOxygen, 0.0),
        (Metric::Systolic, 118.0),
        (Metric::HeartRate, 96.0),
        (Metric::Consciousness, 0.0),
        (Metric::BodyTemperature, 37.2),
    ];
    let at_eight: Vec<_> = set
        .iter()
        .map(|(metric, value)| (*metric, at("2026-11-22T08:00:00Z"), *value))
        .collect();
    app.store(patient, device, &at_eight).await;
    app.store(
        patient,
        device,
        &[(Metric::HeartRate, at("2026-11-22T11:00:00Z"), 132.0)],
    )
    .await;
    let nurse = of_team(&app, "mei.ng", Role::CareTeamMember).await;
    let complete = nurse.get("/patients/1001/news2").await;
    shows(
        &complete,
        &[
            "Scale 2",
            "<td class=\"hw-score--2\">22 ",
            "<td class=\"hw-score--1\"><strong>3</strong>",
            "measured within 15 minutes",
            // What was measured since is not overlooked.
            "The newest score is incomplete: <strong>at least 3</strong>,",
            "low to medium: 3 in one parameter. Heart rate 132 (scores 3).",
        ],
    );
    let scored = complete
        .body
        .matches("<td class=\"hw-score--1\"><strong>")
        .count();
    assert_eq!(scored, 1, "{}", complete.body);
    let apart = nurse.get("/patients/1001/news2?sets=incomplete").await;
    shows(
        &apart,
        &[
            "<strong class=\"hw-total hw-score--2\">at least 3</strong>",
            "Heart rate 132 (scores 3)",
            "a line for each change of a score",
        ],
    );
    assert!(!apart.body.contains("The NEWS2 chart"), "{}", apart.body);
    assert_eq!(nurse.get("/patients/1001/news2?sets=all").await.status, 400);

    let overview = nurse.get("/patients/1001").await;
    shows(
        &overview,
        &["at least 3", "The last complete one was 3", "Target: 88 to 92 %"],
    );

    // A watch that measures each minute is a line for each change.
    let minute = |n: i64| at("2026-11-22T11:10:00Z") + TimeDelta::minutes(n);
    let pulse = |n: i64| if n < 20 { 80.0 } else { 96.0 };
    let watched: Vec<_> = (0..45)
        .map(|n| (Metric::HeartRate, minute(n), pulse(n)))
        .collect();
    app.store(patient, device, &watched).await;
    let apart = nurse.get("/patients/1001/news2?sets=incomplete").await;
    let lines = apart.body.matches("hw-total").count();
    assert!((2..=4).contains(&lines), "{lines}: {}", apart.body);

    let (app, _) = on("diabetes-pregnancy").await;
    let nurse = of_team(&app, "mei.ng", Role::CareTeamMember).await;
    shows(
        &nurse.get("/patients/1001/news2").await,
        &["not for use in pregnancy"],
    );
}

#[tokio::test]
async fn a_measurement_is_marked_as_entered_in_error_for_a_reason() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let device = app.add_device(patient).await;
    let time = at("2026-11-22T08:00:00Z");
    app.store(
        patient,
        device,
        &[(Metric::Systolic, time, 188.0), (Metric::Diastolic, time, 121.0)],
    )
    .await;
    let mut nurse = of_team(&app, "mei.ng", Role::CareTeamMember).await;
    let list = nurse.get("/patients/1001/readings?type=blood_pressure").await;
    shows(&list, &["188 mmHg", "121 mmHg", "cuff no. 10001"]);
    let micros = time.timestamp_micros();
    let (systolic, diastolic) = (format!("{micros}.5.10001"), format!("{micros}.6.10001"));
    let ask = nurse
        .get(&format!(
            "/patients/1001/readings/entered-in-error?reading={systolic}"
        ))
        .await;
    shows(
        &ask,
        &[
            "Systolic blood pressure 188 mmHg",
            "Diastolic blood pressure 121 mmHg",
        ],
    );
    let path = "/patients/1001/readings/entered-in-error";
    let without = nurse
        .post(
            path,
            &form(
                &ask,
                &[("reading", &systolic), (&diastolic, "on"), ("reason", " ")],
            ),
        )
        .await;
    assert_eq!(without.status, 422);
    assert!(
        without.body.contains("Say why the reading is none") && without.body.contains("checked"),
        "{}",
        without.body
    );
    let sent = form(
        &ask,
        &[
            ("reading", &systolic),
            (&diastolic, "on"),
            ("reason", "cuff was loose"),
        ],
    );
    assert_eq!(
        location(&nurse.post(path, &sent).await),
        "/patients/1001/readings"
    );
    let list = nurse.get("/patients/1001/readings").await;
    shows(
        &list,
        &[
            "<s>188 mmHg</s>",
            "<s>121 mmHg</s>",
            "Entered in error, Mei Ng: cuff was loose",
        ],
    );
    // It counts no more, and cannot be marked twice.
    assert_eq!(nurse.get(&format!("{path}?reading={systolic}")).await.status, 404);
    assert_eq!(nurse.get(&format!("{path}?reading=7")).await.status, 400);
}

#[tokio::test]
async fn readings_come_in_pages() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let device = app.add_device(patient).await;
    let readings: Vec<_> = (1..=150)
        .map(|minute| (Metric::HeartRate, now() - TimeDelta::minutes(minute), 60.0))
        .collect();
    app.store(patient, device, &readings).await;
    let nurse = of_team(&app, "mei.ng", Role::CareTeamMember).await;
    let rows = |page: &Answer| page.body.matches("<tr class=\"nhsuk-table__row\">").count();
    let first = nurse.get("/patients/1001/readings?type=&range=7d").await;
    assert_eq!(rows(&first), 100);
    let (before, _) = first.body.split_once("\">Earlier readings").unwrap();
    let next = before.rsplit("href=\"").next().unwrap().replace("&#38;", "&");
    let second = nurse.get(&next).await;
    assert_eq!(rows(&second), 50, "{next}");
    assert!(!second.body.contains("Earlier readings"));
}
