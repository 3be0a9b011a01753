use axum::http::Request;
use axum::http::header::{ACCEPT, CONTENT_TYPE, COOKIE};
use homeward_store::access::{Role, default_team};

use crate::testing::{Answer, PASSWORD, TestApp};

/// A browser that shows pages and sends forms.
struct Browser<'a> {
    app: &'a TestApp,
    cookie: String,
}

impl Browser<'_> {
    async fn get(&self, path: &str) -> Answer {
        let request = Request::get(path)
            .header(ACCEPT, "text/html")
            .header(COOKIE, &self.cookie);
        self.app.send(request).await
    }

    /// Sends a form, and keeps the cookie that comes back.
    async fn post(&mut self, path: &str, form: &str) -> Answer {
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

fn location(answer: &Answer) -> &str {
    assert_eq!(answer.status, 303, "{}", answer.body);
    answer.headers["location"].to_str().unwrap()
}

/// What the page's forms bring along.
fn token(page: &Answer) -> &str {
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
        list.body.contains("Open, and nobody has it") && list.body.contains("Mei Ng"),
        "{}",
        list.body
    );
    let policy = list.headers["content-security-policy"].to_str().unwrap();
    assert!(
        !policy.contains("unsafe") && list.headers["cache-control"] == "no-store",
        "{policy}"
    );

    // Without the token of the page nothing is done.
    let forged = browser.post("/worklist/1/acknowledge", "").await;
    assert_eq!(forged.status, 403, "{}", forged.body);
    let form = format!("csrf_token={}", token(&list));
    assert_eq!(
        location(&browser.post("/worklist/1/acknowledge", &form).await),
        "/worklist"
    );
    let list = browser.get("/worklist").await;
    assert!(list.body.contains("Mei Ng has it"), "{}", list.body);

    // What is taken up is over with its condition; nobody has it to put away.
    app.clear(patient).await;
    let list = browser.get("/worklist").await;
    assert!(list.body.contains("Nothing is open"), "{}", list.body);

    app.raise(patient, rule, "medium", true).await;
    let list = browser.get("/worklist").await;
    assert!(list.body.contains("Over, and nobody had it"), "{}", list.body);
    let form = format!("csrf_token={}&reason=Sensor+was+loose", token(&list));
    assert_eq!(
        location(&browser.post("/worklist/2/close", &form).await),
        "/worklist"
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
    let form = format!("csrf_token={}&role={officer}", token(&page));
    assert_eq!(location(&browser.post("/role", &form).await), "/");
    // A privacy officer has no worklist, and is told so on a page.
    let refused = browser.get("/worklist").await;
    assert_eq!(refused.status, 403);
    assert!(
        refused.body.contains("<h1") && refused.body.contains("nobody in your role"),
        "{}",
        refused.body
    );
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
