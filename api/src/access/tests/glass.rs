//! Records that are opened for a stated reason alone: nothing is changed, somebody else looks into it, and whoever opens one
//! knows whose it is.

use axum::http::Method;
use chrono::TimeDelta;
use homeward_record::PatientId;
use homeward_store::access::{Role, end_enrolment, enrol};
use homeward_store::admin::secret_hash;
use homeward_store::break_glass::break_glass;
use serde_json::{Value, json};

use super::Ward;
use crate::testing::{Answer, TestApp, now};

impl Ward {
    async fn send(&self, token: &str, path: &str, body: &Value) -> Answer {
        self.app.send_as(token, &Method::POST, path, Some(body)).await
    }

    /// Lets the holder of a role see the second patient for a stated reason.
    async fn break_glass(&self, held_role: i64) {
        let times = (now(), now() + TimeDelta::hours(4));
        let mut connection = self.app.connection().await;
        break_glass(&mut connection, held_role, self.unknown, "found collapsed", times)
            .await
            .unwrap();
    }

    /// Another token of somebody who holds a role.
    async fn token_for(&self, held_role: i64, name: &str) -> String {
        let token = format!("token of {name}");
        sqlx::query("INSERT INTO api_token (name, token_hash, held_role_id) VALUES ($1, $2, $3)")
            .bind(name)
            .bind(&secret_hash(&token)[..])
            .bind(held_role)
            .execute(self.app.pool())
            .await
            .unwrap();
        token
    }

    /// How many rows of the log about a patient say that this was refused.
    async fn refused(&self, action: &str, patient: PatientId) -> i64 {
        sqlx::query_scalar(
            "SELECT count(*) FROM audit_event
             WHERE action = $1 AND outcome = 'refused' AND patients @> ARRAY[$2::bigint]",
        )
        .bind(action)
        .bind(patient.0)
        .fetch_one(self.app.pool())
        .await
        .unwrap()
    }
}

fn held(token: &str) -> i64 {
    token.trim_start_matches("token-").parse().unwrap()
}

#[tokio::test]
async fn whoever_breaks_the_glass_changes_nothing_of_devices_and_tasks_either() {
    let ward = Ward::open(TestApp::start().await).await;
    let lead = ward.token_of(Role::CareTeamLead).await;
    // A task from when the team looked after the patient.
    let mut connection = ward.app.connection().await;
    enrol(&mut connection, &[ward.unknown], ward.team, "Dr Ng", now())
        .await
        .unwrap();
    let task = json!({"patient": ward.unknown, "text": "Call", "due_at": "2026-11-24T17:00:00Z"});
    assert_eq!(ward.send(&lead, "/api/v1/tasks", &task).await.status, 201);
    end_enrolment(&mut connection, ward.unknown, ward.team, "Dr Ng", now())
        .await
        .unwrap();
    drop(connection);
    ward.break_glass(held(&lead)).await;
    let cuff = json!({"kind": "cuff"});
    let of_stock = ward.send(&lead, "/api/v1/devices", &cuff).await.made()["device"].clone();

    let assignments = format!("/api/v1/devices/{of_stock}/assignments");
    let theirs = 10_002;
    for (path, body) in [
        (&*assignments, json!({"patient": ward.unknown})),
        // To take it from them is a change for them too.
        (
            &*format!("/api/v1/devices/{theirs}/assignments"),
            json!({"patient": ward.known}),
        ),
        (&*format!("/api/v1/devices/{theirs}/revoke"), json!({})),
        (&*format!("/admin/devices/{theirs}/return"), json!({})),
        ("/api/v1/tasks/1/done", json!({})),
    ] {
        let answer = ward.send(&lead, path, &body).await;
        assert_eq!(answer.status, 403, "{path}: {}", answer.body);
    }
    let untouched: bool = sqlx::query_scalar(
        "SELECT revoked_at IS NULL AND EXISTS (SELECT FROM device_assignment AS held
             WHERE held.device_id = device.device_id AND patient_id = $2 AND upper_inf(valid_during))
         FROM device WHERE device_id = $1",
    )
    .bind(i64::from(theirs))
    .bind(ward.unknown.0)
    .fetch_one(ward.app.pool())
    .await
    .unwrap();
    assert!(untouched);
    // The patient sees all of it.
    assert_eq!(ward.refused("manage_devices", ward.unknown).await, 4);
    assert_eq!(ward.refused("work_on_tasks", ward.unknown).await, 1);
    // To their own patient the lead gives it.
    let own = ward
        .send(&lead, &assignments, &json!({"patient": ward.known}))
        .await;
    assert_eq!(own.status, 200, "{}", own.body);
}

#[tokio::test]
async fn nobody_looks_into_what_they_opened_and_what_somebody_found_stands() {
    let ward = Ward::open(TestApp::start().await).await;
    let account = ward.app.add_account("mei.ng").await;
    let nurse = ward
        .app
        .grant(account, Role::CareTeamMember, Some(ward.team), None)
        .await;
    let as_officer = ward.app.grant(account, Role::PrivacyOfficer, None, None).await;
    ward.break_glass(nurse).await;
    let own = ward.token_for(as_officer, "Mei Ng").await;
    let path = "/api/v1/break-glass/1/review";
    let fine = json!({"finding": "fine"});
    assert_eq!(ward.send(&own, path, &fine).await.status, 403);

    // Officers of an organisation look into what was done there.
    let elsewhere = ward
        .app
        .token_of(Role::PrivacyOfficer, Some(ward.practice), None)
        .await;
    let listed = async |token: &str| -> usize {
        let answer = ward
            .app
            .send_as(token, &Method::GET, "/api/v1/break-glass", None)
            .await
            .json();
        answer["break_glass"].as_array().unwrap().len()
    };
    assert_eq!(listed(&elsewhere).await, 0);
    assert_eq!(ward.send(&elsewhere, path, &fine).await.status, 404);
    let theirs = ward
        .app
        .token_of(Role::PrivacyOfficer, Some(ward.team), None)
        .await;
    assert_eq!(listed(&theirs).await, 1);
    let found = ward
        .send(&theirs, path, &json!({"finding": "not justified"}))
        .await
        .json();
    assert_eq!(found["finding"], "not justified");

    // One finds the right words for one's own finding, and for nobody else's.
    let reworded = ward
        .send(&theirs, path, &json!({"finding": "not justified: no emergency"}))
        .await
        .json();
    assert_eq!(reworded["finding"], "not justified: no emergency");
    let of_all = ward.app.token_of(Role::PrivacyOfficer, None, None).await;
    let other = ward.token_for(held(&of_all), "another officer").await;
    let late = ward.send(&other, path, &fine).await;
    assert_eq!(late.status, 409, "{}", late.body);
    assert!(
        late.body.contains("privacy_officer has looked into it already"),
        "{}",
        late.body
    );
}

#[tokio::test]
async fn birthdays_are_not_guessed_and_whose_number_it_is_sees_who_tried() {
    let ward = Ward::open(TestApp::start().await).await;
    let clinician = ward.token_of(Role::GpClinician).await;
    let nhs_number: String = sqlx::query_scalar("SELECT nhs_number FROM patient WHERE patient_id = $1")
        .bind(ward.unknown.0)
        .fetch_one(ward.app.pool())
        .await
        .unwrap();
    let named =
        |born: &str| json!({"nhs_number": nhs_number, "born": born, "reason": "found collapsed at home"});
    for day in 2..22 {
        let wrong = named(&format!("1970-01-{day:02}"));
        let answer = ward.send(&clinician, "/api/v1/break-glass", &wrong).await;
        assert_eq!(answer.status, 404, "{day}: {}", answer.body);
    }
    for born in ["1970-01-22", "1970-01-01"] {
        let answer = ward.send(&clinician, "/api/v1/break-glass", &named(born)).await;
        assert_eq!(answer.status, 429, "{}", answer.body);
        assert_eq!(answer.headers["retry-after"], "3600");
    }
    assert_eq!(ward.refused("break_glass", ward.unknown).await, 20);
    // Whoever knows it is not counted, and nobody waits for somebody else's guesses.
    let nurse = ward.token_of(Role::CareTeamMember).await;
    for _ in 0..30 {
        let right = named("1970-01-01");
        let answer = ward.send(&nurse, "/api/v1/break-glass", &right).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}
