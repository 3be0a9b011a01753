//! What leads of teams do: devices of the team's stock, and patients who come into its care.

use chrono::TimeDelta;
use homeward_record::DeviceId;
use homeward_store::access::{Role, act_as, default_team};
use homeward_store::admin::{AdminError, add_organisation};
use homeward_store::devices::{Contact, note_contacts};
use serde_json::json;

use super::{administrator, assert_has, between, form, lead, logged};
use crate::pages::tests::location;
use crate::qr;
use crate::testing::{TestApp, now};

#[tokio::test]
async fn a_lead_registers_a_device_gives_it_out_takes_it_back_and_revokes_it() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let mut lead = lead(&app).await;
    let page = lead.get("/admin/devices/new").await;
    // Of which team is not asked.
    assert!(!page.body.contains("name=\"organisation\""));
    let wrong = lead
        .post(
            "/admin/devices",
            &form(
                &page,
                &[
                    ("kind", ""),
                    ("label", "SN-7"),
                    ("patient", "7777"),
                    ("from", "yesterday"),
                ],
            ),
        )
        .await;
    assert_eq!(wrong.status, 422);
    assert_has(&wrong, &["SN-7", "You look after no patient", "Expected a day"]);
    let made = lead
        .post(
            "/admin/devices",
            &form(&page, &[("kind", "cuff"), ("label", "SN-7")]),
        )
        .await;
    assert_eq!(made.status, 200, "{}", made.body);
    let (secret, text) = (
        between(&made, "data-secret>", "<"),
        between(&made, "data-text>", "<"),
    );
    let text = text.replace("&#34;", "\"");
    assert!(text.contains(secret) && secret.len() == 64, "{text}");
    // The image is that of the text.
    assert_has(&made, &[&qr::inline(&text).unwrap()]);
    let device: i64 = between(&made, "data-username>", "<").parse().unwrap();
    let path = format!("/admin/devices/{device}");

    let stock = lead.get("/admin/devices?with=nobody").await;
    assert_has(&stock, &["SN-7", "Never", "Not known"]);
    let page = lead.get(&path).await;
    let nhs: String = sqlx::query_scalar("SELECT nhs_number FROM patient")
        .fetch_one(app.pool())
        .await
        .unwrap();
    let given = lead
        .post(
            &format!("{path}/assign"),
            &form(&page, &[("patient", &nhs), ("from", "2026-11-20")]),
        )
        .await;
    assert_eq!(location(&given), path);
    let contact = Contact {
        device: DeviceId(device),
        last_at: now() - TimeDelta::hours(40),
        battery: Some((9, now() - TimeDelta::hours(40))),
    };
    // One that was refused at first and is tried once more may come after a later one.
    let earlier = Contact {
        last_at: contact.last_at - TimeDelta::hours(9),
        battery: Some((80, contact.last_at - TimeDelta::hours(9))),
        ..contact
    };
    for contact in [contact, earlier] {
        note_contacts(&mut *app.connection().await, &[contact])
            .await
            .unwrap();
    }
    let out = lead.get("/admin/devices?with=patient").await;
    assert_has(&out, &["Ada Simulated", "Silent", "9 %", "Low"]);
    assert_has(
        &lead.get("/admin/devices?with=nobody").await,
        &["the stock is empty"],
    );

    let page = lead.get(&path).await;
    assert_eq!(
        location(&lead.post(&format!("{path}/return"), &form(&page, &[])).await),
        path
    );
    assert_eq!(
        lead.post(&format!("{path}/return"), &form(&page, &[]))
            .await
            .status,
        409
    );
    assert_eq!(
        location(&lead.post(&format!("{path}/revoke"), &form(&page, &[])).await),
        path
    );
    let page = lead.get(&path).await;
    assert_has(&page, &["Revoked"]);
    let late = lead
        .post(
            &format!("{path}/assign"),
            &form(&page, &[("patient", &patient.to_string())]),
        )
        .await;
    assert_eq!(late.status, 422, "{}", late.body);
    assert_has(&late, &["was revoked at"]);
    // The patient sees what was done with devices of theirs.
    let of: Vec<i64> = sqlx::query_scalar(
        "SELECT count(*) FROM audit_event WHERE action = 'manage_devices' AND patients @> ARRAY[$1]",
    )
    .bind(patient.0)
    .fetch_all(app.pool())
    .await
    .unwrap();
    assert!(of[0] >= 2, "{of:?}");
}

#[tokio::test]
async fn a_lead_has_nothing_to_do_with_devices_of_another_team() {
    let app = TestApp::start().await;
    let south = add_organisation(&mut *app.connection().await, "care_team", "South")
        .await
        .unwrap();
    let theirs = app.add_patient_of(None, Some(south)).await;
    let device = app.add_device(theirs).await;
    let mut lead = lead(&app).await;
    let page = lead.get("/admin/devices/new").await;
    let path = format!("/admin/devices/{device}");
    assert_eq!(lead.get(&path).await.status, 404);
    assert!(!lead.get("/admin/devices").await.body.contains(&path));
    for what in ["assign", "return", "revoke"] {
        let answer = lead.post(&format!("{path}/{what}"), &form(&page, &[])).await;
        assert_eq!(answer.status, 404, "{what}: {}", answer.body);
    }
    let of_theirs = [("kind", "cuff"), ("patient", &*theirs.to_string())];
    assert_eq!(
        lead.post("/admin/devices", &form(&page, &of_theirs)).await.status,
        422
    );
    assert_eq!(lead.get(&format!("/admin/patients/{theirs}")).await.status, 404);

    // By the interface for programs neither, whatever it asks; and by the database alone.
    let team = default_team(&mut *app.connection().await).await.unwrap();
    let program = app.token_of(Role::CareTeamLead, Some(team), None).await;
    for (path, body) in [
        (format!("/api/v1/devices/{device}/revoke"), json!({})),
        (
            "/api/v1/devices".to_owned(),
            json!({"kind": "cuff", "patient": theirs}),
        ),
    ] {
        let answer = app
            .send_as(&program, &axum::http::Method::POST, &path, Some(&body))
            .await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
    }
    // One of their own stock that is with a patient of another team: they see that it is out, and not with whom.
    let ours = app.add_patient().await;
    let mut connection = app.connection().await;
    sqlx::query("UPDATE device SET organisation_id = $1 WHERE device_id = $2")
        .bind(team)
        .bind(device.0)
        .execute(&mut *connection)
        .await
        .unwrap();
    let page = lead.get(&path).await;
    assert_has(&page, &["Somebody whom another team looks after"]);
    assert!(!page.body.contains("Simulated"), "{}", page.body);
    let taken = lead
        .post(
            &format!("{path}/assign"),
            &form(&page, &[("patient", &ours.to_string())]),
        )
        .await;
    assert_eq!(taken.status, 422, "{}", taken.body);
    assert!(
        taken.body.contains(&AdminError::InUse.to_string()[1..]),
        "{}",
        taken.body
    );
}

#[tokio::test]
async fn a_lead_enrols_patients_with_their_own_team_and_an_administrator_with_any() {
    let app = TestApp::start().await;
    let south = add_organisation(&mut *app.connection().await, "care_team", "South")
        .await
        .unwrap();
    let mut lead = lead(&app).await;
    let page = lead.get("/admin/patients/new").await;
    assert!(!page.body.contains("name=\"team\"") && page.body.contains("name=\"programme\""));
    let fields = |number: &'static str, born: &'static str| {
        [
            ("nhs_number", number),
            ("name", "Bo Example"),
            ("born", born),
            ("programme", "hypertension"),
            ("reason", "referred by Dr Ng"),
        ]
    };
    let wrong = lead
        .post(
            "/admin/patients",
            &form(&page, &fields("9990000019", "2030-01-01")),
        )
        .await;
    assert_eq!(wrong.status, 422);
    assert_has(
        &wrong,
        &[
            "value=\"9990000019\"",
            "value=\"Bo Example\"",
            "referred by Dr Ng",
            "href=\"#nhs_number\"",
        ],
    );
    let added = lead
        .post(
            "/admin/patients",
            &form(&page, &fields("999 000 0018", "1956-03-01")),
        )
        .await;
    let path = location(&added).to_owned();
    assert_has(
        &lead.get(&path).await,
        &[
            "Bo Example",
            "999 000 0018",
            "Community care team",
            "Enrolled by Mei Ng",
        ],
    );
    let patient: i64 = path.rsplit('/').next().unwrap().parse().unwrap();
    let rules: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM care_plan_rule WHERE patient_id = $1 AND programme = 'hypertension' AND reason = 'referred by Dr Ng'",
    )
    .bind(patient)
    .fetch_one(app.pool())
    .await
    .unwrap();
    assert!(rules > 0);

    // Whoever is in the record already is found by number and date of birth alone, and keeps their name.
    let theirs = app.add_patient_of(None, Some(south)).await;
    let number: String = sqlx::query_scalar("SELECT nhs_number FROM patient WHERE patient_id = $1")
        .bind(theirs.0)
        .fetch_one(app.pool())
        .await
        .unwrap();
    let mut of_record = fields("", "1970-01-02");
    let number: &'static str = number.leak();
    of_record[0].1 = number;
    let guessed = lead.post("/admin/patients", &form(&page, &of_record)).await;
    assert_eq!(guessed.status, 422);
    assert_has(&guessed, &["another date of birth"]);
    // Whose number it is sees that it was tried.
    let tried: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM audit_event
         WHERE action = 'enrol_patients' AND outcome = 'refused' AND patients = ARRAY[$1::bigint]",
    )
    .bind(theirs.0)
    .fetch_one(app.pool())
    .await
    .unwrap();
    assert_eq!(tried, 1);
    of_record[2].1 = "1970-01-01";
    let enrolled = lead.post("/admin/patients", &form(&page, &of_record)).await;
    assert_eq!(location(&enrolled), format!("/admin/patients/{theirs}"));
    let seen = lead.get(&format!("/admin/patients/{theirs}")).await;
    assert_has(&seen, &["Ada Simulated", "South"]);
    // Only their own team's enrolment is theirs to end.
    assert!(!seen.body.contains(&format!("/enrolments/{south}/end")));
    assert_eq!(
        logged(&app, "enrol_patients").await,
        ("done".to_owned(), Some("referred by Dr Ng".to_owned()))
    );
    let team = default_team(&mut *app.connection().await).await.unwrap();
    let ended = lead
        .post(
            &format!("/admin/patients/{theirs}/enrolments/{team}/end"),
            &form(&seen, &[]),
        )
        .await;
    assert_eq!(location(&ended), "/admin/patients");
    assert_eq!(lead.get(&format!("/admin/patients/{theirs}")).await.status, 404);

    let mut admin = administrator(&app).await;
    let page = admin.get("/admin/patients/new").await;
    assert!(page.body.contains("name=\"team\"") && !page.body.contains("name=\"programme\""));
    let twice = [
        ("nhs_number", "9990000018"),
        ("name", "Bo Example"),
        ("born", "1956-03-01"),
        ("team", &*south.to_string()),
    ];
    let twice = admin.post("/admin/patients", &form(&page, &twice)).await;
    assert_eq!(twice.status, 422);
    assert_has(&twice, &["is in the record already"]);
    let page = admin.get(&path).await;
    let enrolled = admin
        .post(
            &format!("{path}/enrolments"),
            &form(&page, &[("team", &south.to_string())]),
        )
        .await;
    assert_eq!(location(&enrolled), path);
    assert_has(&admin.get(&path).await, &["South", "Community care team"]);
    // A lead by the database alone enrols with nobody else's team.
    let program = app.token_of(Role::CareTeamMember, Some(south), None).await;
    let held: i64 = program.trim_start_matches("token-").parse().unwrap();
    let mut transaction = app.database.pool_for_requests().begin().await.unwrap();
    act_as(&mut transaction, held, None, now()).await.unwrap();
    let refused =
        sqlx::query("SELECT * FROM enrol_with_own_team('9990000107', 'X', '1970-01-01', NULL, 'x')")
            .fetch_all(&mut *transaction)
            .await;
    assert!(refused.is_err());
}
