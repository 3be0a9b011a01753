mod patient;
mod refused;
mod shown_again;
mod worklist;

use axum::http::Request;
use axum::http::header::{ACCEPT, CONTENT_TYPE, COOKIE};
use chrono::TimeDelta;
use homeward_record::{Metric, PatientId};
use homeward_store::access::{Role, default_team};
use homeward_store::admin::add_organisation;

use crate::testing::{Answer, PASSWORD, TestApp, now};

/// A browser that shows pages and sends forms.
pub(super) struct Browser<'a> {
    pub(super) app: &'a TestApp,
    pub(super) cookie: String,
}

impl Browser<'_> {
    pub(super) async fn get(&self, path: &str) -> Answer {
        let request = Request::get(path)
            .header(ACCEPT, "text/html")
            .header(COOKIE, &self.cookie);
        self.app.send(request).await
    }

    /// Sends a form, and keeps the cookie that comes back.
    pub(super) async fn post(&mut self, path: &str, form: &str) -> Answer {
        let request = Request::post(path)
            .header(ACCEPT, "text/html")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(COOKIE, &self.cookie);
        let answer = self.app.send_text(request, form).await;
        if let Some(set) = answer.headers.get("set-cookie") {
            self.cookie = set.to_str().unwrap().split(';').next().unwrap().to_owned();
        }
        answer
    }
}

pub(super) fn location(answer: &Answer) -> &str {
    assert_eq!(answer.status, 303, "{}", answer.body);
    answer.headers["location"].to_str().unwrap()
}

/// What the page's forms bring along.
pub(super) fn token(page: &Answer) -> &str {
    let (_, rest) = page
        .body
        .split_once("name=\"csrf_token\" value=\"")
        .expect("the page has a form");
    rest.split('"').next().unwrap()
}

#[tokio::test]
async fn a_nurse_signs_in_sees_who_needs_her_takes_it_and_puts_it_away() {
    let app = TestApp::start().await;
    let team = default_team(&mut *app.connection().await).await.unwrap();
    let account = app.add_account("mei.ng").await;
    app.grant(account, Role::CareTeamMember, Some(team), None).await;
    let patient = app.add_patient().await;
    let rule = app.add_rule(patient).await;
    app.raise(patient, rule, "high", false).await;
    let mut browser = Browser {
        app: &app,
        cookie: String::new(),
    };

    // Where she wanted to go she gets to by signing in.
    assert_eq!(
        location(&browser.get("/worklist").await),
        "/sign-in?to=%2Fworklist"
    );
    let wrong = browser
        .post("/sign-in", "name=mei.ng&password=wrong&to=/worklist")
        .await;
    assert_eq!(wrong.status, 422);
    assert!(
        wrong.body.contains("There is a problem") && wrong.body.contains("value=\"mei.ng\""),
        "{}",
        wrong.body
    );
    let form = format!("name=mei.ng&password={}&to=/worklist", PASSWORD.replace(' ', "+"));
    assert_eq!(location(&browser.post("/sign-in", &form).await), "/worklist");

    let list = browser.get("/worklist").await;
    assert_eq!(list.status, 200);
    assert!(
        list.body.contains("Glucose very low") && list.body.contains("Ada Simulated"),
        "{}",
        list.body
    );
    assert!(
        list.body.contains("Nobody has it") && list.body.contains("Mei Ng"),
        "{}",
        list.body
    );
    let policy = list.headers["content-security-policy"].to_str().unwrap();
    assert!(
        !policy.contains("unsafe") && list.headers["cache-control"] == "no-store",
        "{policy}"
    );

    // Without the token of the page nothing is done.
    let forged = browser.post("/alerts/1/acknowledge", "").await;
    assert_eq!(forged.status, 403, "{}", forged.body);
    let form = format!("csrf_token={}", token(&list));
    assert_eq!(
        location(&browser.post("/alerts/1/acknowledge", &form).await),
        "/alerts/1"
    );
    let list = browser.get("/worklist").await;
    assert!(list.body.contains("You have it"), "{}", list.body);

    // What is taken up is over with its condition; nobody has it to put away.
    app.clear(patient).await;
    let list = browser.get("/worklist").await;
    assert!(list.body.contains("Nothing is open"), "{}", list.body);

    app.raise(patient, rule, "medium", true).await;
    let list = browser.get("/worklist").await;
    assert!(list.body.contains("Nobody had it"), "{}", list.body);
    let form = format!(
        "csrf_token={}&reason=Sensor+was+loose&back=/worklist",
        token(&list)
    );
    assert_eq!(
        location(&browser.post("/alerts/2/close", &form).await),
        "/worklist#alert-2"
    );
    assert!(browser.get("/worklist").await.body.contains("Nothing is open"));

    let form = format!("csrf_token={}", token(&list));
    assert_eq!(location(&browser.post("/sign-out", &form).await), "/sign-in");
    assert_eq!(
        location(&browser.get("/worklist").await),
        "/sign-in?to=%2Fworklist"
    );
}

#[tokio::test]
async fn who_holds_several_roles_picks_one() {
    let app = TestApp::start().await;
    let team = default_team(&mut *app.connection().await).await.unwrap();
    let account = app.add_account("mei.ng").await;
    app.grant(account, Role::CareTeamMember, Some(team), None).await;
    let officer = app.grant(account, Role::PrivacyOfficer, None, None).await;
    let mut browser = Browser {
        app: &app,
        cookie: String::new(),
    };
    let form = format!("name=mei.ng&password={}", PASSWORD.replace(' ', "+"));
    assert_eq!(location(&browser.post("/sign-in", &form).await), "/");
    assert_eq!(location(&browser.get("/").await), "/role");
    let page = browser.get("/role").await;
    assert!(
        page.body.contains("Care team, Community care team"),
        "{}",
        page.body
    );
    let none = format!("csrf_token={}", token(&page));
    let refused = browser.post("/role", &none).await;
    assert_eq!(refused.status, 422);
    assert!(refused.body.contains("Pick one of the roles"), "{}", refused.body);
    let form = format!("csrf_token={}&role={officer}", token(&page));
    assert_eq!(location(&browser.post("/role", &form).await), "/");
    // A privacy officer has no worklist, and is told so on a page.
    let refused = browser.get("/worklist").await;
    assert_eq!(refused.status, 403);
    assert!(
        refused.body.contains("<h1") && refused.body.contains("Nobody in your role"),
        "{}",
        refused.body
    );
}

#[tokio::test]
async fn nobody_is_led_elsewhere_by_signing_in() {
    let app = TestApp::start().await;
    let team = default_team(&mut *app.connection().await).await.unwrap();
    let account = app.add_account("mei.ng").await;
    app.grant(account, Role::CareTeamMember, Some(team), None).await;
    // A browser leaves the tab out, and goes to //elsewhere.example.
    for to in [
        "//elsewhere.example",
        "/%09/elsewhere.example",
        "/%5Celsewhere.example",
    ] {
        let mut browser = Browser {
            app: &app,
            cookie: String::new(),
        };
        let page = browser.get(&format!("/sign-in?to={to}")).await;
        assert!(!page.body.contains("elsewhere.example"), "{to}: {}", page.body);
        let form = format!("name=mei.ng&password={}&to={to}", PASSWORD.replace(' ', "+"));
        assert_eq!(location(&browser.post("/sign-in", &form).await), "/", "{to}");
    }
}

#[tokio::test]
async fn a_form_that_does_not_come_is_not_waited_for_for_long() {
    let app = TestApp::start().await;
    let request = Request::post("/sign-in")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(ACCEPT, "text/html");
    // As long as any request may take.
    let answer = app.send_without_end(request).await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.body.contains("took too long"), "{}", answer.body);
}

#[tokio::test]
async fn what_the_record_cannot_have_is_the_mistake_of_who_types_it() {
    let app = TestApp::start().await;
    app.add_patient().await;
    let team = default_team(&mut *app.connection().await).await.unwrap();
    let mut nurse = signed_in(&app, "mei.ng", Role::CareTeamMember, (Some(team), None)).await;
    let csrf = token(&nurse.get("/patients").await).to_owned();
    assert_eq!(nurse.get("/patients?query=a%00b").await.status, 400);
    assert_eq!(
        nurse.get("/patients/1001/care-plan/rules/a%00b").await.status,
        400
    );
    let note = format!("csrf_token={csrf}&text=a%00b");
    assert_eq!(nurse.post("/patients/1001/notes", &note).await.status, 400);
    let answer = app
        .post_json(
            "/api/v1/patients/1001/notes",
            &serde_json::json!({"text": "a\0b"}),
        )
        .await;
    assert_eq!(answer.status, 400, "{}", answer.body);
}

#[tokio::test]
async fn what_pages_load_stays_in_caches_and_comes_compressed() {
    let app = TestApp::start().await;
    let page = app
        .send(Request::get("/sign-in").header(ACCEPT, "text/html"))
        .await;
    let (_, rest) = page.body.split_once("rel=\"stylesheet\" href=\"").unwrap();
    let styles = rest.split('"').next().unwrap().to_owned();
    let plain = app.send(Request::get(&styles)).await;
    assert_eq!(plain.status, 200);
    assert_eq!(plain.headers["content-type"], "text/css; charset=utf-8");
    assert!(
        plain.headers["cache-control"]
            .to_str()
            .unwrap()
            .contains("immutable")
    );
    assert!(
        !plain.body.contains("https://"),
        "nothing is fetched from elsewhere"
    );
    let status = app
        .send_bytes(Request::get(&styles).header("Accept-Encoding", "gzip, br"))
        .await;
    assert_eq!(status.0["content-encoding"], "br");
    assert!(status.1 < 60_000, "{} bytes", status.1);
    assert_eq!(app.send(Request::get("/assets/nothing.css")).await.status, 404);
}

/// A browser in which somebody has signed in, in their one role.
pub(super) async fn signed_in<'a>(
    app: &'a TestApp,
    name: &str,
    role: Role,
    of: (Option<i64>, Option<PatientId>),
) -> Browser<'a> {
    let account = app.add_account(name).await;
    app.grant(account, role, of.0, of.1).await;
    let mut browser = Browser {
        app,
        cookie: String::new(),
    };
    let form = format!("name={name}&password={}", PASSWORD.replace(' ', "+"));
    assert_eq!(location(&browser.post("/sign-in", &form).await), "/");
    browser
}

#[tokio::test]
async fn what_a_nurse_writes_the_patient_reads_and_sees_that_she_looked() {
    let app = TestApp::start().await;
    let team = default_team(&mut *app.connection().await).await.unwrap();
    let patient = app.add_patient().await;
    let device = app.add_device(patient).await;
    app.store(
        patient,
        device,
        &[(Metric::HeartRate, now() - TimeDelta::hours(1), 72.0)],
    )
    .await;
    let mut nurse = signed_in(&app, "mei.ng", Role::CareTeamMember, (Some(team), None)).await;
    let page = nurse.get("/patients/1001").await;
    assert_eq!(page.status, 200, "{}", page.body);
    for text in [
        "because your team looks after the patient",
        "Heart rate",
        "Ada Simulated",
        "Write a note",
    ] {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
    let note = format!("csrf_token={}&text=Called%3A+%3Cb%3Efeels+well", token(&page));
    assert_eq!(
        location(&nurse.post("/patients/1001/notes", &note).await),
        "/patients/1001#notes"
    );
    assert_eq!(nurse.get("/patients/7777").await.status, 404);

    let ada = signed_in(&app, "ada", Role::Patient, (None, Some(patient))).await;
    assert_eq!(location(&ada.get("/").await), "/patients/1001");
    let own = ada.get("/patients/1001").await;
    assert!(own.body.contains("This is your own record"), "{}", own.body);
    // As text, whatever it was that was typed.
    assert!(own.body.contains("Called: &#60;b&#62;feels well"), "{}", own.body);
    assert!(!own.body.contains("Write a note"));
    let log = ada.get("/patients/1001/access-log").await;
    assert!(
        log.body
            .contains("Mei Ng (care team, Community care team) looked at your readings"),
        "{}",
        log.body
    );
    assert!(log.body.contains("wrote a note about you"), "{}", log.body);
}

#[tokio::test]
async fn who_breaks_the_glass_is_seen_by_the_privacy_officer() {
    let app = TestApp::start().await;
    let mut connection = app.connection().await;
    let others = add_organisation(&mut connection, "care_team", "South")
        .await
        .unwrap();
    let team = default_team(&mut connection).await.unwrap();
    drop(connection);
    let patient = app.add_patient_of(None, Some(others)).await;
    let number: String = sqlx::query_scalar("SELECT nhs_number FROM patient")
        .fetch_one(app.pool())
        .await
        .unwrap();
    let mut nurse = signed_in(&app, "mei.ng", Role::CareTeamMember, (Some(team), None)).await;
    let path = format!("/patients/{patient}");
    assert_eq!(nurse.get(&path).await.status, 404);
    let page = nurse.get("/break-glass/open").await;
    let csrf = token(&page).to_owned();
    for (form, told) in [
        (
            format!("nhs_number={number}&born=1970-01-01&reason=because"),
            "say why you need to see the record",
        ),
        (
            format!("nhs_number={number}&born=1970-01-02&reason=Found+collapsed"),
            "there is no patient with this number",
        ),
        (
            format!("nhs_number={number}&born=&reason=Found+collapsed"),
            "Type the date of birth",
        ),
    ] {
        let answer = nurse
            .post("/break-glass/open", &format!("csrf_token={csrf}&{form}"))
            .await;
        assert_eq!(answer.status, 422, "{}", answer.body);
        // What was typed stays.
        assert!(
            answer.body.contains(told) && answer.body.contains(&number),
            "{}",
            answer.body
        );
    }
    let form =
        format!("csrf_token={csrf}&nhs_number={number}&born=1970-01-01&reason=Found+collapsed%2C+no+team");
    assert_eq!(location(&nurse.post("/break-glass/open", &form).await), path);
    let seen = nurse.get(&path).await;
    assert!(
        seen.body.contains("because you stated a reason") && !seen.body.contains("Write a note"),
        "{}",
        seen.body
    );

    let mut officer = signed_in(&app, "officer", Role::PrivacyOfficer, (None, None)).await;
    assert_eq!(location(&officer.get("/").await), "/break-glass");
    let list = officer.get("/break-glass").await;
    assert!(
        list.body.contains("Found collapsed, no team") && list.body.contains("Mei Ng"),
        "{}",
        list.body
    );
    let nothing = format!("csrf_token={}&finding-1=+", token(&list));
    let refused = officer.post("/break-glass/1/review", &nothing).await;
    assert_eq!(refused.status, 422);
    assert!(refused.body.contains("Say what you found"), "{}", refused.body);
    let form = format!("csrf_token={}&finding-1=Justified", token(&list));
    assert_eq!(
        location(&officer.post("/break-glass/1/review", &form).await),
        "/break-glass"
    );
    assert!(
        officer
            .get("/break-glass")
            .await
            .body
            .contains("Mei Ng: Justified")
    );
}
