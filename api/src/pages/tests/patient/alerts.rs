use homeward_store::access::Role;

use super::{of_team, shows};
use crate::testing::TestApp;

#[tokio::test]
async fn alerts_are_listed_as_they_stand() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let rule = app.add_rule(patient).await;
    app.raise(patient, rule, "medium", true).await;
    app.raise(patient, rule, "high", false).await;
    let nurse = of_team(&app, "mei.ng", Role::CareTeamMember).await;
    let all = nurse.get("/patients/1001/alerts").await;
    shows(
        &all,
        &[
            "hw-timeline--high",
            "/alerts/1",
            "/alerts/2",
            "Over, and nobody had it. Came late",
            "Nobody has it",
            "It lasts",
        ],
    );
    app.post("/api/v1/alerts/2/acknowledge").await.json();
    app.clear(patient).await;
    let open = nurse.get("/patients/1001/alerts?status=open").await;
    shows(&open, &["/alerts/1"]);
    assert!(!open.body.contains("/alerts/2"), "{}", open.body);
    let closed = nurse.get("/patients/1001/alerts?status=closed&range=7d").await;
    shows(&closed, &["/alerts/2", "Closed; ward 3 had it"]);
    assert_eq!(nurse.get("/patients/1001/alerts?status=new").await.status, 400);
}

#[tokio::test]
async fn an_alert_that_lasts_is_shown_however_many_came_after_it() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let rule = app.add_rule(patient).await;
    app.raise(patient, rule, "high", false).await;
    // It has lasted for long; meanwhile another rule raises and clears.
    sqlx::query(
        "INSERT INTO episode (patient_id, rule_id, code, severity, status, late, raised_at, cleared_at, onset_at, onset_value,
             onset_metric, latest_at, latest_value, latest_metric, worst_at, worst_value, worst_metric)
         SELECT patient_id, rule_id, code, 'low', 'closed', late, raised_at, raised_at, onset_at, onset_value,
             onset_metric, latest_at, latest_value, latest_metric, worst_at, worst_value, worst_metric
         FROM episode CROSS JOIN generate_series(1, 250)",
    )
    .execute(app.pool())
    .await
    .unwrap();
    let nurse = of_team(&app, "mei.ng", Role::CareTeamMember).await;
    let page = nurse.get("/patients/1001").await;
    shows(&page, &["href=\"/alerts/1\""]);
    assert!(!page.body.contains("No alert is open now"));
}
