//! What was refused, as privacy officers see it.

use axum::http::Method;
use homeward_store::access::{Role, default_team};
use homeward_store::admin::add_organisation;
use serde_json::json;

use super::signed_in;
use crate::testing::{Answer, TestApp};

/// The numbers of the entries on a page.
fn entries(page: &Answer) -> Vec<i64> {
    assert_eq!(page.status, 200, "{}", page.body);
    let rows = page.body.split("Entry ").skip(1);
    let numbers = rows.filter_map(|row| row.split('<').next()?.parse().ok());
    numbers.collect()
}

#[tokio::test]
async fn privacy_officers_see_who_was_refused_what_and_why() {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let mut teams = [0; 2];
    for (team, name) in teams.iter_mut().zip(["North", "South"]) {
        let added = add_organisation(&mut *app.connection().await, "care_team", name).await;
        *team = added.unwrap();
    }
    let [north, south] = teams;
    let nurse = app.token_of(Role::CareTeamMember, Some(north), None).await;
    let manager = app.token_of(Role::CareTeamLead, Some(south), None).await;
    let get = async |token: &str, path: &str| app.send_as(token, &Method::GET, path, None).await.status;
    // Entries 1 to 5: a patient of nobody's, what an administrator does, a wrong birthday, and nobody who is known.
    assert_eq!(get(&nurse, &format!("/patients/{patient}")).await, 404);
    assert_eq!(get(&nurse, "/admin/people").await, 403);
    assert_eq!(get(&manager, "/admin/tokens").await, 403);
    let number: String = sqlx::query_scalar("SELECT nhs_number FROM patient")
        .fetch_one(app.pool())
        .await
        .unwrap();
    let guess = json!({"nhs_number": number, "born": "1900-01-01", "reason": "Found collapsed, no team"});
    let guessed = app
        .send_as(&nurse, &Method::POST, "/api/v1/break-glass", Some(&guess))
        .await;
    assert_eq!(guessed.status, 404, "{}", guessed.body);
    let wrong = json!({"name": "nobody", "password": "wrong"});
    let sign_in = axum::http::Request::post("/api/v1/sign-in");
    assert_eq!(app.send_with(sign_in, &wrong).await.status, 401);

    let officer = signed_in(&app, "ines", Role::PrivacyOfficer, (None, None)).await;
    let all = officer.get("/refused").await;
    assert_eq!(entries(&all), [5, 4, 3, 2, 1]);
    for text in [
        "Somebody unknown",
        "Nobody has this name",
        "care_team_member (care team, North)",
        "Number and date of birth do not belong together",
        "Read people",
        "/admin/people",
        "Their role, or what the token is for, does not cover it",
        "There was no reason on file",
        &format!("<a href=\"/patients/{patient}/access-log?only=refused\">no. {patient}</a>"),
        "<a href=\"/refused\" aria-current=\"page\">Refused</a>",
    ] {
        assert!(all.body.contains(text), "{text} in {}", all.body);
    }
    for (query, expected) in [
        ("about=nobody", &[5, 3, 2][..]),
        ("who=TEAM_LEAD", &[3]),
        ("who=team&about=nobody", &[3, 2]),
        ("day=2026-11-22", &[5, 4, 3, 2, 1]),
        ("day=2026-11-21", &[]),
        ("who=%25", &[]),
        ("before=3", &[2, 1]),
    ] {
        let page = officer.get(&format!("/refused?{query}")).await;
        assert_eq!(entries(&page), expected, "{query}");
    }
    let wrong = officer.get("/refused?day=yesterday&who=team").await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.body.contains("Expected a day") && wrong.body.contains("value=\"team\""));

    // Whoever is the officer of a team sees what was refused there, and nobody else sees anything.
    let of_south = signed_in(&app, "sam", Role::PrivacyOfficer, (Some(south), None)).await;
    assert_eq!(entries(&of_south.get("/refused").await), [3]);
    assert_eq!(get(&nurse, "/refused").await, 403);
    // The patient reads that it was looked at.
    let looked: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM audit_event WHERE action = 'read_refusals' AND outcome = 'done' AND patients @> ARRAY[$1]",
    )
    .bind(patient.0)
    .fetch_one(app.pool())
    .await
    .unwrap();
    assert!(looked > 0);
}

#[tokio::test]
async fn what_was_refused_is_shown_page_by_page() {
    let app = TestApp::start().await;
    let team = default_team(&mut *app.connection().await).await.unwrap();
    let lead = app.token_of(Role::CareTeamLead, Some(team), None).await;
    for _ in 0..51 {
        app.status_as(&lead, &Method::GET, "/admin/tokens").await;
    }
    let officer = signed_in(&app, "ines", Role::PrivacyOfficer, (None, None)).await;
    let first = officer.get("/refused?who=lead&about=nobody").await;
    assert_eq!(entries(&first).len(), 50);
    let next = "/refused?who=lead&#38;about=nobody&#38;before=2";
    assert!(first.body.contains(&format!("href=\"{next}\"")), "{}", first.body);
    let second = officer.get(&next.replace("&#38;", "&")).await;
    assert_eq!(entries(&second), [1]);
    assert!(!second.body.contains("Further back"));
}
