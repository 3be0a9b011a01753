//! Reasons to see a patient: how they begin, and how they end.

use axum::http::Method;
use chrono::TimeDelta;
use homeward_store::access::{Role, basis_for, default_team, end_enrolment, end_role, enrol, visible_to};
use homeward_store::break_glass::break_glass;
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::Ward;
use crate::testing::{TestApp, now};

#[tokio::test]
async fn a_relationship_begins_and_ends() {
    let ward = Ward::open(TestApp::start().await).await;
    let mut connection = ward.app.connection().await;
    let team = default_team(&mut connection).await.unwrap();
    let token = ward.app.token_of(Role::CareTeamMember, Some(team), None).await;
    let held_role: i64 = token.trim_start_matches("token-").parse().unwrap();
    let path = format!("/api/v1/patients/{}/readings", ward.known);
    let status = async || ward.app.status_as(&token, &Method::GET, &path).await.as_u16();

    assert_eq!(status().await, 404);
    enrol(&mut connection, &[ward.known], team, "Dr Ng", now())
        .await
        .unwrap();
    assert_eq!(status().await, 200);
    assert_eq!(
        visible_to(&mut connection, held_role, now()).await.unwrap(),
        [ward.known]
    );
    // The patient shares no longer with this team, and then does again.
    for (shared, expected) in [(false, 404), (true, 200)] {
        sqlx::query(
            "INSERT INTO sharing_choice (patient_id, organisation_id, shared, effective_from, made_by, made_at)
             VALUES ($1, $2, $3, $4, 'Ada', $4)",
        )
        .bind(ward.known.0)
        .bind(team)
        .bind(shared)
        .bind(now())
        .execute(&mut *connection)
        .await
        .unwrap();
        assert_eq!(status().await, expected);
    }
    end_enrolment(&mut connection, ward.known, team, "Dr Ng", now())
        .await
        .unwrap();
    assert_eq!(status().await, 404);
    end_role(&mut connection, held_role, now()).await.unwrap();
    assert_eq!(status().await, 401);
    assert_eq!(
        basis_for(&mut connection, held_role, ward.known, now())
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn breaking_the_glass_is_for_a_reason_for_a_time_and_seen_by_the_patient() {
    let ward = Ward::open(TestApp::start().await).await;
    let clinician = ward.token_of(Role::GpClinician).await;
    let officer = ward.token_of(Role::PrivacyOfficer).await;
    let patient = ward.app.token_of(Role::Patient, None, Some(ward.unknown)).await;
    let nhs_number: String = sqlx::query_scalar("SELECT nhs_number FROM patient WHERE patient_id = $1")
        .bind(ward.unknown.0)
        .fetch_one(ward.app.pool())
        .await
        .unwrap();
    let app = &ward.app;
    let readings = format!("/api/v1/patients/{}/readings", ward.unknown);
    assert_eq!(app.status_as(&clinician, &Method::GET, &readings).await, 404);
    let ask = async |body: &Value| {
        app.send_as(&clinician, &Method::POST, "/api/v1/break-glass", Some(body))
            .await
    };
    for (body, status) in [
        (
            json!({"nhs_number": nhs_number, "born": "1970-01-01", "reason": "because"}),
            400,
        ),
        (
            json!({"nhs_number": "1234567890", "born": "1970-01-01", "reason": "found collapsed"}),
            400,
        ),
        (
            json!({"nhs_number": nhs_number, "born": "1970-01-02", "reason": "found collapsed"}),
            404,
        ),
    ] {
        assert_eq!(ask(&body).await.status, status, "{body}");
    }
    let body =
        json!({"nhs_number": nhs_number, "born": "1970-01-01", "reason": "found collapsed, no relative"});
    let broken = ask(&body).await.json();
    assert_eq!(
        broken,
        json!({"id": 1, "patient": ward.unknown, "until": "2026-11-22T16:00:00Z"})
    );
    // It is for looking.
    assert_eq!(app.status_as(&clinician, &Method::GET, &readings).await, 200);
    assert_eq!(
        app.status_as(&clinician, &Method::POST, &format!("{readings}/entered-in-error"))
            .await,
        403
    );

    let log = format!("/api/v1/patients/{}/access-log", ward.unknown);
    let seen = app.send_as(&patient, &Method::GET, &log, None).await.json();
    let told: Vec<&str> = seen["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["text"].as_str().unwrap())
        .collect();
    assert_snapshot!(told.join("\n"), @r"
    gp_clinician (doctor or nurse, High Street) tried to mark one of your readings as wrong, and was refused: their role or their reason does not cover it.
    gp_clinician (doctor or nurse, High Street) looked at your readings. Why they may: they stated a reason to open your record.
    gp_clinician (doctor or nurse, High Street) opened your record without a relationship: found collapsed, no relative. Why they may: they stated a reason to open your record.
    gp_clinician (doctor or nurse, High Street) tried to open your record without a relationship, and was refused: the date of birth was wrong.
    gp_clinician (doctor or nurse, High Street) tried to look at your readings, and was refused: there was no reason on file.
    ");

    let listed = app
        .send_as(&officer, &Method::GET, "/api/v1/break-glass", None)
        .await
        .json();
    assert_eq!(listed["break_glass"][0]["reason"], "found collapsed, no relative");
    let finding = json!({"finding": "justified"});
    let reviewed = app
        .send_as(
            &officer,
            &Method::POST,
            "/api/v1/break-glass/1/review",
            Some(&finding),
        )
        .await
        .json();
    assert_eq!(
        (&reviewed["finding"], &reviewed["reviewed_by"]),
        (&json!("justified"), &json!("privacy_officer"))
    );
}

#[tokio::test]
async fn a_glass_that_was_broken_is_whole_again() {
    let ward = Ward::open(TestApp::start().await).await;
    let token = ward.token_of(Role::CareTeamLead).await;
    let held_role: i64 = token.trim_start_matches("token-").parse().unwrap();
    let until = now() - TimeDelta::seconds(1);
    let mut connection = ward.app.connection().await;
    let times = (until - TimeDelta::hours(4), until);
    break_glass(&mut connection, held_role, ward.unknown, "found collapsed", times)
        .await
        .unwrap();
    let path = format!("/api/v1/patients/{}/readings", ward.unknown);
    assert_eq!(ward.app.status_as(&token, &Method::GET, &path).await, 404);
}
