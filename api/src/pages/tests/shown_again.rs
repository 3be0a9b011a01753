//! A form that is shown once more, with what is wrong, shows whose it is: nothing was done, and the log says that it was read.

use chrono::TimeDelta;
use homeward_record::Metric;
use homeward_store::access::{Role, default_team};

use super::{Browser, signed_in, token};
use crate::care_plan::testing::on;
use crate::testing::{TestApp, now};

/// Sends each form with nothing in it but its token, and what it needs to be shown; expects each to be in the log so.
async fn refused(app: &TestApp, browser: &mut Browser<'_>, forms: &[(&str, String, &str)]) {
    let csrf = token(&browser.get("/role").await).to_owned();
    for (path, fields, action) in forms {
        let page = browser.post(path, &format!("csrf_token={csrf}&{fields}")).await;
        assert_eq!(page.status, 422, "{path}: {}", page.body);
        assert!(page.body.contains("There is a problem"), "{path}: {}", page.body);
        let logged: (String, String, String, Vec<i64>) = sqlx::query_as(
            "SELECT action, outcome, target, patients FROM audit_event ORDER BY sequence DESC LIMIT 1",
        )
        .fetch_one(app.pool())
        .await
        .unwrap();
        let expected = (
            (*action).to_owned(),
            "done".to_owned(),
            (*path).to_owned(),
            vec![1_001],
        );
        assert_eq!(logged, expected);
    }
}

#[tokio::test]
async fn whoever_is_shown_a_form_of_a_patient_once_more_has_read_it() {
    let (app, patient) = on("diabetes-type-1").await;
    let device = app.add_device(patient).await;
    let at = now() - TimeDelta::hours(1);
    app.store(patient, device, &[(Metric::HeartRate, at, 72.0)]).await;
    let team = default_team(&mut *app.connection().await).await.unwrap();
    let mut lead = signed_in(&app, "lead", Role::CareTeamLead, (Some(team), None)).await;
    let reading = format!(
        "reading={}.{}.{device}",
        at.timestamp_micros(),
        Metric::HeartRate.code()
    );
    let nothing = String::new;
    let rule = "/patients/1001/care-plan/rules/glucose-low";
    refused(
        &app,
        &mut lead,
        &[
            ("/patients/1001/notes", nothing(), "read_patient"),
            (
                "/patients/1001/readings/entered-in-error",
                reading,
                "read_readings",
            ),
            ("/patients/1001/care-plan", nothing(), "read_care_plan"),
            ("/patients/1001/care-plan/try", nothing(), "read_care_plan"),
            (rule, nothing(), "read_care_plan"),
            (&format!("{rule}/try"), nothing(), "read_care_plan"),
            (&format!("{rule}/remove"), nothing(), "read_care_plan"),
            ("/admin/devices/10001/assign", nothing(), "read_devices"),
        ],
    )
    .await;

    let mut ada = signed_in(&app, "ada", Role::Patient, (None, Some(patient))).await;
    refused(
        &app,
        &mut ada,
        &[
            ("/patients/1001/goal", nothing(), "read_step_goal"),
            ("/patients/1001/passport/shares", nothing(), "read_shares"),
        ],
    )
    .await;

    let mut admin = signed_in(&app, "admin", Role::Administrator, (None, None)).await;
    let enrolments = "/admin/patients/1001/enrolments";
    refused(&app, &mut admin, &[(enrolments, nothing(), "read_patient")]).await;
    // What shows nobody is no read of anybody's record.
    let before: i64 = sqlx::query_scalar("SELECT max(sequence) FROM audit_event")
        .fetch_one(app.pool())
        .await
        .unwrap();
    let csrf = token(&admin.get("/role").await).to_owned();
    let page = admin.post("/admin/people", &format!("csrf_token={csrf}")).await;
    assert_eq!(page.status, 422);
    let after: i64 = sqlx::query_scalar("SELECT max(sequence) FROM audit_event")
        .fetch_one(app.pool())
        .await
        .unwrap();
    assert_eq!(before, after);
}
