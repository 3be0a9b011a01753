use axum::http::Method;
use homeward_record::PatientId;
use homeward_store::access::{Role, act_as};
use homeward_store::admin::add_organisation;
use homeward_store::choices::{Chosen, choose_sharing};
use serde_json::{Value, json};

use crate::testing::{Answer, TestApp, now};

/// A patient who is registered with a practice and enrolled with a team, and the tokens of people.
struct Ward {
    app: TestApp,
    patient: PatientId,
    practice: i64,
    team: i64,
    own: String,
    clinician: String,
    lead: String,
}

impl Ward {
    async fn open() -> Ward {
        let app = TestApp::start().await;
        let mut connection = app.connection().await;
        let practice = add_organisation(&mut connection, "gp_practice", "High Street")
            .await
            .unwrap();
        let team = add_organisation(&mut connection, "care_team", "North")
            .await
            .unwrap();
        drop(connection);
        let patient = app.add_patient_of(Some(practice), Some(team)).await;
        Ward {
            own: app.token_of(Role::Patient, None, Some(patient)).await,
            clinician: app.token_of(Role::GpClinician, Some(practice), None).await,
            lead: app.token_of(Role::CareTeamLead, Some(team), None).await,
            app,
            patient,
            practice,
            team,
        }
    }

    fn path(&self, rest: &str) -> String {
        format!("/api/v1/patients/{}/{rest}", self.patient)
    }

    async fn get(&self, token: &str, rest: &str) -> Answer {
        self.app
            .send_as(token, &Method::GET, &self.path(rest), None)
            .await
    }

    async fn put(&self, token: &str, rest: &str, body: &Value) -> Answer {
        let path = self.path(&format!("choices/{rest}"));
        self.app.send_as(token, &Method::PUT, &path, Some(body)).await
    }

    async fn share(&self, organisation: i64, body: &Value) -> Answer {
        self.put(&self.own, &format!("sharing/{organisation}"), body)
            .await
    }
}

#[tokio::test]
async fn whoever_is_no_longer_shared_with_finds_nobody_there_and_may_still_break_the_glass() {
    let ward = Ward::open().await;
    assert_eq!(ward.get(&ward.clinician, "readings").await.status, 200);
    let chosen = ward.share(ward.practice, &json!({"shared": false})).await.json();
    assert_eq!(chosen["sharing"][0]["shared"], false);

    let nobody = ward
        .app
        .send_as(
            &ward.clinician,
            &Method::GET,
            "/api/v1/patients/7777/readings",
            None,
        )
        .await;
    let closed = ward.get(&ward.clinician, "readings").await;
    assert_eq!(
        (
            closed.status,
            closed.body.replace(&ward.patient.to_string(), "7777")
        ),
        (nobody.status, nobody.body)
    );
    let found = ward
        .app
        .send_as(&ward.clinician, &Method::GET, "/fhir/R4/Patient?name=ada", None)
        .await;
    assert!(!found.body.contains("Ada"), "{}", found.body);
    // Others go on.
    assert_eq!(ward.get(&ward.lead, "readings").await.status, 200);
    assert_eq!(ward.get(&ward.own, "readings").await.status, 200);

    let nhs_number: String = sqlx::query_scalar("SELECT nhs_number FROM patient WHERE patient_id = $1")
        .bind(ward.patient.0)
        .fetch_one(ward.app.pool())
        .await
        .unwrap();
    let reason =
        json!({"nhs_number": nhs_number, "born": "1970-01-01", "reason": "found collapsed in the street"});
    let broken = ward
        .app
        .send_as(
            &ward.clinician,
            &Method::POST,
            "/api/v1/break-glass",
            Some(&reason),
        )
        .await;
    assert_eq!(broken.status, 200, "{}", broken.body);
    assert_eq!(ward.get(&ward.clinician, "readings").await.status, 200);
    let log = ward.get(&ward.own, "access-log").await.json();
    let told: Vec<&str> = log["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["text"].as_str().unwrap())
        .collect();
    assert!(
        told.iter()
            .any(|text| text.contains("opened your record without a relationship")),
        "{told:#?}"
    );
    assert!(
        told.contains(
            &"patient (patient) chose who may use your record. Why they may: you, signed in yourself."
        ),
        "{told:#?}"
    );

    ward.share(ward.practice, &json!({"shared": true})).await.json();
    let seen = ward.get(&ward.clinician, "choices").await.json();
    assert_eq!(seen["sharing"][0]["shared"], true);
}

#[tokio::test]
async fn what_is_chosen_is_told_with_who_and_since_when() {
    let ward = Ward::open().await;
    ward.share(
        ward.team,
        &json!({"shared": false, "from": "2026-12-01T00:00:00Z"}),
    )
    .await
    .json();
    // Later is not now, and is undone by choosing again.
    assert_eq!(ward.get(&ward.lead, "readings").await.status, 200);
    ward.put(&ward.own, "research", &json!({"opted_out": true}))
        .await
        .json();
    let seen = ward.get(&ward.lead, "choices").await.json();
    let later = json!({
        "shared": false, "from": "2026-12-01T00:00:00Z", "by": "patient", "made_at": "2026-11-22T12:00:00Z",
    });
    assert_eq!(
        seen["sharing"][1],
        json!({
            "organisation": {"id": ward.team, "name": "North", "kind": "care_team"},
            "reasons": ["enrolment"], "shared": true,
            "from": null, "by": null, "made_at": null, "next": later, "history": [later],
        })
    );
    let (research, since) = (&seen["research"], "2026-11-22T12:00:00Z");
    assert_eq!(
        (&research["allowed"], &research["patient"]["opted_out"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(
        (&research["patient"]["by"], &research["patient"]["from"]),
        (&json!("patient"), &json!(since))
    );
    assert_eq!(research["national_data_opt_out"]["opted_out"], false);
    let undone = ward.share(ward.team, &json!({"shared": true})).await.json();
    assert_eq!(undone["sharing"][1]["next"], Value::Null);
    assert_eq!(undone["sharing"][1]["history"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn only_the_patient_chooses() {
    let ward = Ward::open().await;
    let proxy = ward.app.token_of_proxy(ward.patient).await;
    let sharing = format!("sharing/{}", ward.practice);
    assert_eq!(ward.get(&proxy, "choices").await.status, 200);
    for token in [&proxy, &ward.clinician, &ward.lead] {
        for (rest, body) in [
            (sharing.as_str(), json!({"shared": false})),
            ("research", json!({"opted_out": true})),
        ] {
            assert_eq!(ward.put(token, rest, &body).await.status, 403, "{token} {rest}");
        }
    }

    // The second lock holds that too: a proxy and a clinician, who see the choices, cannot write one.
    let requests = ward.app.database.pool_for_requests();
    for (token, may) in [(&ward.own, true), (&proxy, false), (&ward.lead, false)] {
        let acting: i64 = token.trim_start_matches("token-").parse().unwrap();
        let mut transaction = requests.begin().await.unwrap();
        act_as(&mut transaction, acting, Some(ward.patient), now())
            .await
            .unwrap();
        let chosen = Chosen {
            by: "somebody",
            at: now(),
            from: now(),
        };
        let written = choose_sharing(&mut transaction, ward.patient, ward.team, false, chosen).await;
        assert_eq!(written.is_ok(), may, "{acting}");
    }
}

#[tokio::test]
async fn a_choice_that_makes_no_sense_is_refused() {
    let ward = Ward::open().await;
    for (rest, body, told) in [
        ("research", json!({}), "missing field `opted_out`"),
        (
            "research",
            json!({"opted_out": true, "from": "2026-11-22T11:59:59Z"}),
            "cannot hold for the past",
        ),
        (
            "research",
            json!({"opted_out": true, "from": "2028-01-01T00:00:00Z"}),
            "more than a year ahead",
        ),
        (
            "sharing/77",
            json!({"shared": false}),
            "there is no organisation 77",
        ),
        ("sharing/x", json!({"shared": false}), "invalid digit"),
    ] {
        let answer = ward.put(&ward.own, rest, &body).await;
        assert!(answer.status.is_client_error(), "{rest} {body}");
        assert!(answer.body.contains(told), "{rest} {body}: {}", answer.body);
    }
    // What is so already is no choice.
    ward.share(ward.team, &json!({"shared": true})).await.json();
    let seen = ward.get(&ward.own, "choices").await.json();
    assert_eq!(seen["sharing"][1]["history"], json!([]));
}
