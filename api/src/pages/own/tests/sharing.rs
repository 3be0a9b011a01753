//! What patients choose, share, take along and want.

use axum::http::{Method, Request};
use homeward_record::Metric;
use homeward_store::access::Role;
use homeward_store::admin::add_organisation;
use serde_json::json;

use super::{ada, ben, hides, measure_pressure, shows};
use crate::pages::tests::{location, token};
use crate::testing::{TestApp, now};

#[tokio::test]
async fn a_patient_stops_sharing_after_being_told_what_follows() {
    let app = TestApp::start().await;
    let practice = add_organisation(&mut *app.connection().await, "gp_practice", "High Street")
        .await
        .unwrap();
    let patient = app.add_patient_of(Some(practice), None).await;
    let doctor = app.token_of(Role::GpClinician, Some(practice), None).await;
    let readings = "/api/v1/patients/1001/readings";
    assert_eq!(app.status_as(&doctor, &Method::GET, readings).await, 200);
    let mut own = ada(&app, patient).await;
    shows(
        &own.get("/patients/1001/choices").await,
        &[
            "High Street",
            "You are registered there",
            "Sharing is on",
            "Not opted out",
            "0300 303 5678",
        ],
    );
    let path = format!("/patients/1001/choices/sharing/{practice}");
    let confirm = own.get(&path).await;
    shows(
        &confirm,
        &[
            "Stop sharing your record with High Street?",
            "for a stated reason",
        ],
    );
    let form = format!("csrf_token={}&shared=false", token(&confirm));
    let done = "/patients/1001/choices?done=not-shared";
    assert_eq!(location(&own.post(&path, &form).await), done);
    shows(&own.get(done).await, &["Sharing is off", "Share again"]);
    assert_eq!(app.status_as(&doctor, &Method::GET, readings).await, 404);

    let path = "/patients/1001/choices/research";
    let confirm = own.get(path).await;
    let form = format!("csrf_token={}&opted_out=true", token(&confirm));
    let done = "/patients/1001/choices?done=opted-out";
    assert_eq!(location(&own.post(path, &form).await), done);
    shows(&own.get(done).await, &["Opted out", "may not use the record"]);
    // What is no organisation of theirs is nothing to ask about.
    assert_eq!(
        location(&own.get("/patients/1001/choices/sharing/999").await),
        "/patients/1001/choices"
    );

    let mut named = ben(&app, patient).await;
    let seen = named.get("/patients/1001/choices").await;
    shows(&seen, &["Only they can change it", "Sharing is off"]);
    hides(&seen, &["Share again"]);
    let form = format!("csrf_token={}&opted_out=false", token(&seen));
    assert_eq!(named.post(path, &form).await.status, 403);
}

#[tokio::test]
async fn a_summary_is_shared_opened_seen_and_taken_back() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let mut own = ada(&app, patient).await;
    let page = own.get("/patients/1001/passport").await;
    shows(
        &page,
        &["Nothing is shared now", "Download the record: all readings"],
    );
    let csrf = token(&page).to_owned();
    let shares = "/patients/1001/passport/shares";
    for (form, wrong) in [
        ("made_for=&hours=1", "Type who it is for"),
        ("made_for=Eye+clinic&hours=5000", "Choose for how long"),
    ] {
        let refused = own.post(shares, &format!("csrf_token={csrf}&{form}")).await;
        assert_eq!(refused.status, 422, "{}", refused.body);
        assert!(
            refused.body.contains(wrong) && refused.body.contains("There is a problem"),
            "{}",
            refused.body
        );
    }
    let made = own
        .post(shares, &format!("csrf_token={csrf}&made_for=Eye+clinic&hours=1"))
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    let between = |before: &str, after: char| {
        let (_, rest) = made.body.split_once(before).unwrap();
        rest.split(after).next().unwrap().to_owned()
    };
    let code = between("data-code>", '<');
    let secret = between("href=\"https://homeward.example", '"');
    assert!(made.body.contains("<svg role=\"img\"") && !made.body.contains("<?xml"));

    for typed in ["00000000", code.as_str()] {
        let request = Request::post(&secret).header("content-type", "application/json");
        let who = json!({"code": typed, "name": "Sam Field", "role": "nurse", "organisation": "Eye clinic"});
        app.send_with(request, &who).await;
    }
    let seen = own.get("/patients/1001/passport").await;
    shows(
        &seen,
        &[
            "Eye clinic",
            "Sam Field (nurse, Eye clinic, as they said): opened it",
            "typed a wrong code",
        ],
    );
    hides(&seen, &[&code, &secret]);
    let form = format!("csrf_token={csrf}");
    let revoked = "/patients/1001/passport?revoked=true";
    assert_eq!(
        location(&own.post(&format!("{shares}/1/revoke"), &form).await),
        revoked
    );
    shows(
        &own.get(revoked).await,
        &["It is taken back", "Nothing is shared now", "Taken back on"],
    );
    assert_eq!(app.send(Request::get(&secret)).await.status, 404);

    let named = ben(&app, patient).await;
    let seen = named.get("/patients/1001/passport").await;
    shows(&seen, &["Eye clinic"]);
    hides(&seen, &["Make a link and a code"]);
}

#[tokio::test]
async fn the_record_is_taken_along_as_a_file_and_on_paper() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    measure_pressure(&app, patient).await;
    let own = ada(&app, patient).await;
    let file = own.get("/patients/1001/passport/download?_count=20000").await;
    assert_eq!(
        file.headers["content-disposition"],
        "attachment; filename=\"homeward-1001-2026-11-22.json\""
    );
    assert_eq!(file.headers["cache-control"], "no-store");
    let bundle = file.json();
    assert_eq!(
        (&bundle["resourceType"], &bundle["type"]),
        (&json!("Bundle"), &json!("document"))
    );
    shows(
        &own.get("/patients/1001/passport/summary").await,
        &["Summary of Ada Simulated", "128/79 mmHg"],
    );
}

#[tokio::test]
async fn a_goal_is_set_as_one_types_it_and_given_up() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let device = app.add_device(patient).await;
    app.store(patient, device, &[(Metric::Steps, now(), 2_600.0)])
        .await;
    let mut own = ada(&app, patient).await;
    let page = own.get("/patients/1001/goal").await;
    shows(
        &page,
        &["You have taken 2,600 steps so far this week", "Set a goal"],
    );
    let csrf = token(&page).to_owned();
    for (typed, wrong) in [("lots", "Type a whole number"), ("10", "1,000 to 350,000")] {
        let form = format!("csrf_token={csrf}&steps_a_week={typed}");
        let refused = own.post("/patients/1001/goal", &form).await;
        assert_eq!(refused.status, 422);
        assert!(
            refused.body.contains(wrong) && refused.body.contains(&format!("value=\"{typed}\"")),
            "{}",
            refused.body
        );
    }
    let form = format!("csrf_token={csrf}&steps_a_week=35%2C000");
    assert_eq!(
        location(&own.post("/patients/1001/goal", &form).await),
        "/patients/1001/goal"
    );
    shows(
        &own.get("/patients/1001/goal").await,
        &[
            "The goal is 35,000 steps a week",
            "Every step counts",
            "Change the goal",
        ],
    );
    let named = ben(&app, patient).await;
    let seen = named.get("/patients/1001/goal").await;
    shows(&seen, &["The goal is 35,000 steps a week"]);
    hides(&seen, &["Change the goal"]);
    let form = format!("csrf_token={csrf}");
    let stopped = own.post("/patients/1001/goal/stop", &form).await;
    assert_eq!(location(&stopped), "/patients/1001/goal");
    hides(&own.get("/patients/1001/goal").await, &["The goal is"]);
}
