//! Who may ask, and for what.

use axum::http::Method;
use homeward_record::{DeviceId, Metric};
use homeward_store::access::Role;

use super::ward;
use crate::routes::api_routes;
use crate::testing::now;

#[tokio::test]
async fn invariant_8_a_search_tells_nothing_of_who_is_not_the_caller_s_patient() {
    let (app, ..) = ward().await;
    let (practice, others) = {
        let mut connection = app.connection().await;
        let add = homeward_store::admin::add_organisation;
        let practice = add(&mut connection, "gp_practice", "High Street").await.unwrap();
        (
            practice,
            add(&mut connection, "care_team", "South").await.unwrap(),
        )
    };
    let unknown = app.add_patient_of(None, Some(others)).await;
    app.store(unknown, DeviceId(10_001), &[(Metric::HeartRate, now(), 72.0)])
        .await;
    let patients = [
        (Role::CareTeamLead, Some(others)),
        (Role::GpClinician, Some(practice)),
        (Role::Integrator, Some(practice)),
    ];
    // The first of these looks after the second patient alone, the others after nobody.
    for (role, organisation) in patients {
        let token = app.token_of(role, organisation, None).await;
        for route in api_routes() {
            let is_search = route.path.starts_with("/fhir") && !route.path.contains('{');
            if !is_search || !crate::access::does(role, route.action) {
                continue;
            }
            let ask = async |patient: i64| {
                let path = format!("{}?patient={patient}&_id={patient}&code=8867-4", route.path);
                let answer = app.send_as(&token, &Method::GET, &path, None).await;
                (answer.status, answer.body.replace(&format!("={patient}"), "=*"))
            };
            let unseen = ask(1001).await;
            assert_eq!(unseen, ask(7777).await, "{role} {}", route.path);
            assert!(
                !unseen.1.contains("entry") && !unseen.1.contains("resource\":"),
                "{}",
                unseen.1
            );
        }
    }
    // Each try is in the patient's log, and none says that anything was seen.
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT DISTINCT outcome, array_to_string(bases, ' ') FROM audit_event WHERE patients @> ARRAY[1001::bigint]",
    )
    .fetch_all(app.pool())
    .await
    .unwrap();
    assert_eq!(rows, [("refused".to_owned(), "none".to_owned())]);
}

#[tokio::test]
async fn a_token_does_what_its_scopes_say() {
    let (app, ..) = ward().await;
    for (scopes, allowed) in [
        (vec!["system/Patient.read"], vec!["Patient/1001"]),
        (
            vec!["system/Flag.rs", "user/Device.*"],
            vec!["Flag/1", "Device/10001"],
        ),
        (
            vec!["system/*.read"],
            vec![
                "Patient/1001",
                "Flag/1",
                "Device/10001",
                "Patient/1001/$everything",
            ],
        ),
    ] {
        sqlx::query("UPDATE api_token SET scopes = $1")
            .bind(
                scopes
                    .iter()
                    .map(|scope| (*scope).to_owned())
                    .collect::<Vec<String>>(),
            )
            .execute(app.pool())
            .await
            .unwrap();
        for path in [
            "Patient/1001",
            "Flag/1",
            "Device/10001",
            "Patient/1001/$everything",
        ] {
            let status = app.get(&format!("/fhir/R4/{path}")).await.status.as_u16();
            let expected = if allowed.contains(&path) { 200 } else { 403 };
            assert_eq!(status, expected, "{scopes:?} {path}");
        }
    }
}
