mod sharing;

use axum::http::Method;
use chrono::TimeDelta;
use homeward_record::{Metric, PatientId};
use homeward_store::access::{Role, default_team};
use homeward_store::admin::{add_organisation, add_proxy};
use homeward_store::devices::{Contact, note_contacts};
use serde_json::json;

use crate::pages::tests::{Browser, signed_in};
use crate::testing::{Answer, TestApp, at, now};

/// A page that was shown and has all of these texts in it.
fn shows(page: &Answer, texts: &[&str]) {
    assert_eq!(page.status, 200, "{}", page.body);
    for text in texts {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
}

fn hides(page: &Answer, texts: &[&str]) {
    for text in texts {
        assert!(!page.body.contains(text), "{text}: {}", page.body);
    }
}

/// A patient who has signed in.
async fn ada(app: &TestApp, patient: PatientId) -> Browser<'_> {
    signed_in(app, "ada", Role::Patient, (None, Some(patient))).await
}

/// Somebody whom a patient has named, and who is a patient too.
async fn ben(app: &TestApp, patient: PatientId) -> Browser<'_> {
    let other = app.add_patient().await;
    let browser = signed_in(app, "ben", Role::Patient, (None, Some(other))).await;
    let account: i64 = sqlx::query_scalar("SELECT account_id FROM account WHERE sign_in_name = 'ben'")
        .fetch_one(app.pool())
        .await
        .unwrap();
    let mut connection = app.connection().await;
    add_proxy(&mut connection, patient, account, "Ada", now())
        .await
        .unwrap();
    browser
}

/// Blood pressure in the morning and in the evening of each of the last six days.
async fn measure_pressure(app: &TestApp, patient: PatientId) {
    let device = app.add_device(patient).await;
    let mut readings = Vec::new();
    for day in 17..23 {
        for minute in ["08:00", "08:02"] {
            let at = at(&format!("2026-11-{day}T{minute}:00Z"));
            readings.extend([(Metric::Systolic, at, 128.0), (Metric::Diastolic, at, 79.0)]);
        }
    }
    app.store(patient, device, &readings).await;
}

#[tokio::test]
async fn a_patient_reads_what_was_measured_in_plain_words() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let own = ada(&app, patient).await;
    let empty = own.get("/patients/1001").await;
    shows(&empty, &["There are no readings yet", "This is your own record"]);

    measure_pressure(&app, patient).await;
    let device = app.add_device(patient).await;
    let hours_ago = |hours| now() - TimeDelta::hours(hours);
    app.store(
        patient,
        device,
        &[
            (Metric::HeartRate, hours_ago(200), 51.0),
            (Metric::HeartRate, hours_ago(30), 64.0),
            (Metric::HeartRate, hours_ago(2), 88.0),
            (Metric::BodyWeight, hours_ago(100), 81.8),
            (Metric::BodyWeight, hours_ago(4), 82.4),
            (Metric::Steps, hours_ago(26), 4_000.0),
        ],
    )
    .await;
    let page = own.get("/patients/1001").await;
    shows(
        &page,
        &[
            "Your blood pressure at home, averaged over the last 7 days, is 128/79.",
            "That is within your target of 135/85.",
            "On target",
            "your heart rate was between 64 and 88 beats a minute",
            "Your weight is 82.4 kg",
            "0.6 kg more than",
            "you took 4,000 steps a day on average",
            "The numbers",
        ],
    );
    let month = own.get("/patients/1001?days=30").await;
    shows(
        &month,
        &["In the last 30 days, your heart rate was between 51 and 88"],
    );
    assert_eq!(own.get("/patients/1001?days=31").await.status, 400);

    let named = ben(&app, patient).await;
    shows(
        &named.get("/patients/1001").await,
        &[
            "Their blood pressure at home",
            "The patient has named you",
            "What the team was told",
            "Look at another record",
        ],
    );
}

#[tokio::test]
async fn whoever_measures_every_day_reads_an_average_whatever_the_time_is() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let device = app.add_device(patient).await;
    // As the team asks for it: in the morning and in the evening, for weeks. It is noon now.
    let readings: Vec<_> = (2..=22)
        .flat_map(|day| ["07:30", "20:00"].map(|time| at(&format!("2026-11-{day:02}T{time}:00Z"))))
        .filter(|at| *at < now())
        .flat_map(|at| [(Metric::Systolic, at, 128.0), (Metric::Diastolic, at, 79.0)])
        .collect();
    app.store(patient, device, &readings).await;
    let own = ada(&app, patient).await;
    shows(
        &own.get("/patients/1001").await,
        &[
            "Your blood pressure at home, averaged over the last 7 days, is 128/79.",
            "On target",
        ],
    );
    // What is printed or shared says the same.
    let printed = own.get("/patients/1001/passport/summary").await;
    shows(&printed, &["Average at home", "128/79 mmHg"]);
}

#[tokio::test]
async fn whoever_is_not_the_patient_s_own_is_not_there() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let other = app.add_patient().await;
    let own = ada(&app, patient).await;
    for rest in [
        "",
        "/alerts",
        "/devices",
        "/goal",
        "/choices",
        "/choices/research",
        "/choices/sharing/101",
        "/passport",
        "/passport/summary",
        "/passport/download",
        "/access-log",
    ] {
        let ask = async |patient: i64| {
            let answer = own.get(&format!("/patients/{patient}{rest}")).await;
            (answer.status, answer.body.replace(&patient.to_string(), "*"))
        };
        let unseen = ask(other.0).await;
        assert_eq!(unseen.0, 404, "{rest}");
        assert_eq!(unseen, ask(7_777).await, "{rest}");
        // Those who look after the patient have pages of their own.
        let team = default_team(&mut *app.connection().await).await.unwrap();
        let nurse = app.token_of(Role::CareTeamMember, Some(team), None).await;
        let path = format!("/patients/{patient}{rest}");
        let status = app.status_as(&nurse, &Method::GET, &path).await.as_u16();
        assert!([200, 303, 403].contains(&status), "{rest}: {status}");
    }
}

#[tokio::test]
async fn what_the_team_was_told_is_said_with_who_takes_care_of_it_and_what_to_do() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let rule = app.add_rule(patient).await;
    let own = ada(&app, patient).await;
    shows(
        &own.get("/patients/1001/alerts").await,
        &["Your team was not told of anything"],
    );
    app.raise(patient, rule, "high", false).await;
    let home = own.get("/patients/1001").await;
    shows(
        &home,
        &[
            "Your team was told",
            "Your glucose was 2.4 mmol/L.",
            "Nobody has taken it up yet",
            "tel:111",
        ],
    );
    app.post("/api/v1/alerts/1/acknowledge").await.json();
    let said = json!({"text": "Called <her> daughter"});
    app.post_json("/api/v1/alerts/1/comment", &said).await.json();
    // The page of all alerts, and that of this one.
    for path in ["/patients/1001/alerts", "/alerts/1"] {
        let told = own.get(path).await;
        shows(
            &told,
            &[
                "ward 3 has taken it up",
                "Your team was told.",
                "ward 3 took it up.",
                "ward 3 wrote:",
                "<blockquote class=\"hw-course__text\">Called &#60;her&#62; daughter</blockquote>",
                "Still going on",
                "tel:999",
            ],
        );
        hides(&told, &["Treat the low glucose now", "What you can do"]);
    }
    assert_eq!(own.get("/alerts/17").await.status, 404);
    app.clear(patient).await;
    let over = own.get("/patients/1001/alerts").await;
    shows(&over, &["Over", "It was over."]);
    hides(&over, &["Still going on", "tel:111"]);
    hides(&own.get("/patients/1001").await, &["tel:111"]);

    for _ in 0..25 {
        app.raise(patient, rule, "low", true).await;
    }
    let first = own.get("/patients/1001/alerts").await;
    shows(&first, &["alerts?after=7\"", "nobody was called"]);
    shows(
        &own.get("/patients/1001/alerts?after=7").await,
        &["ward 3 took it up."],
    );
}

#[tokio::test]
async fn devices_are_told_with_when_they_were_last_heard_of() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let own = ada(&app, patient).await;
    shows(
        &own.get("/patients/1001/devices").await,
        &["No device measures you now"],
    );
    let device = app.add_device(patient).await;
    app.add_device(patient).await;
    let contact = Contact {
        device,
        last_at: now() - TimeDelta::hours(1),
        battery: Some((12, now())),
    };
    note_contacts(&mut *app.connection().await, &[contact])
        .await
        .unwrap();
    sqlx::query("UPDATE device SET revoked_at = $1 WHERE device_id = 10002")
        .bind(now())
        .execute(app.pool())
        .await
        .unwrap();
    let page = own.get("/patients/1001/devices").await;
    shows(
        &page,
        &[
            "Blood pressure cuff",
            "22 November 2026, 11:00",
            "12 %: please charge it",
            "1 November 2026",
            "Blocked on",
        ],
    );
    hides(&page, &["quiet for a while"]);
}

#[tokio::test]
async fn a_patient_sees_who_looked_by_day_and_what_was_opened_without_a_relationship() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let own = ada(&app, patient).await;
    let log = "/patients/1001/access-log";
    shows(&own.get(log).await, &["Nobody else has looked"]);
    app.get("/api/v1/patients/1001/readings").await.json();
    app.get("/api/v1/patients/1001/readings").await.json();
    let practice = add_organisation(&mut *app.connection().await, "gp_practice", "High Street")
        .await
        .unwrap();
    let doctor = app.token_of(Role::GpClinician, Some(practice), None).await;
    let number: String = sqlx::query_scalar("SELECT nhs_number FROM patient WHERE patient_id = 1001")
        .fetch_one(app.pool())
        .await
        .unwrap();
    let reason = json!({"nhs_number": number, "born": "1970-01-01", "reason": "found collapsed"});
    let broken = app
        .send_as(&doctor, &Method::POST, "/api/v1/break-glass", Some(&reason))
        .await;
    assert_eq!(broken.status, 200, "{}", broken.body);

    let seen = own.get(log).await;
    shows(
        &seen,
        &[
            "Sunday, 22 November 2026",
            "(2 times)",
            "looked at your readings",
            "Without a relationship</strong>",
            "found collapsed",
            "If something seems wrong",
        ],
    );
    hides(&seen, &["you, signed in yourself"]);
    shows(
        &own.get(&format!("{log}?only=all")).await,
        &["you, signed in yourself"],
    );
    let broken = own.get(&format!("{log}?only=break_glass")).await;
    shows(&broken, &["found collapsed"]);
    hides(&broken, &["looked at your readings"]);
    shows(
        &own.get(&format!("{log}?only=refused")).await,
        &["Nobody was refused"],
    );
    assert_eq!(own.get(&format!("{log}?only=some")).await.status, 400);
    let api = own
        .get("/api/v1/patients/1001/access-log?only=break_glass")
        .await
        .json();
    assert_eq!(api["entries"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn whoever_was_named_picks_whose_record_to_see() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let own = ada(&app, patient).await;
    hides(&own.get("/patients/1001").await, &["Look at another record"]);
    shows(&own.get("/whose").await, &["Nobody has named you"]);
    let named = ben(&app, patient).await;
    shows(
        &named.get("/whose").await,
        &[
            "/patients/1001\"",
            "(named you to see it)",
            "/patients/1002\"",
            "(your own record)",
        ],
    );
}
