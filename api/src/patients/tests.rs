use axum::http::header::AUTHORIZATION;
use axum::http::{Method, Request};
use homeward_store::access::{Role, default_team};
use homeward_store::admin::add_organisation;
use serde_json::{Value, json};

use crate::testing::{Answer, TestApp};

struct Town {
    app: TestApp,
    practice: i64,
    team: i64,
    administrator: String,
}

impl Town {
    async fn open() -> Town {
        let app = TestApp::start().await;
        let mut connection = app.connection().await;
        let practice = add_organisation(&mut connection, "gp_practice", "High Street")
            .await
            .unwrap();
        let team = default_team(&mut connection).await.unwrap();
        drop(connection);
        let administrator = app.token_of(Role::Administrator, None, None).await;
        Town {
            app,
            practice,
            team,
            administrator,
        }
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> Answer {
        self.app
            .send_as(&self.administrator, &method, path, Some(body))
            .await
    }

    async fn register(&self, nhs_number: &str, name: &str) -> Answer {
        let body = json!({
            "nhs_number": nhs_number, "name": name, "born": "1956-03-01", "practice": self.practice, "team": self.team,
        });
        self.ask(Method::POST, "/api/v1/patients", &body).await
    }

    async fn change(&self, version: &str, body: &Value) -> Answer {
        let request = Request::put("/api/v1/patients/1001")
            .header(AUTHORIZATION, format!("Bearer {}", self.administrator))
            .header("If-Match", version);
        self.app.send_with(request, body).await
    }
}

fn names(page: &Value) -> Vec<&str> {
    let patients = page["patients"].as_array().unwrap();
    patients
        .iter()
        .map(|patient| patient["name"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_patient_is_registered_found_and_changed() {
    let town = Town::open().await;
    let answer = town.register("999 000 0018", " Ada Example ").await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(answer.headers["location"], "/api/v1/patients/1001");
    let team = town.team;
    let shown: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(
        shown,
        json!({
            "id": 1001, "nhs_number": "9990000018", "name": "Ada Example", "born": "1956-03-01",
            "practice": {"id": town.practice, "name": "High Street"}, "programmes": [],
            "enrolments": [{
                "organisation": team, "name": "Community care team", "enrolled_at": shown["enrolments"][0]["enrolled_at"],
                "enrolled_by": "registration", "ended_at": null, "ended_by": null,
            }],
            "basis": null,
        })
    );
    assert_eq!(town.register("9990000018", "Somebody Else").await.status, 409);

    // The team sees the patient, with the programmes, and why.
    let rule = town.app.add_rule(homeward_record::PatientId(1001)).await;
    assert!(rule.0 > 0);
    let seen = town.app.get("/api/v1/patients/1001").await;
    assert_eq!(seen.headers["etag"], "\"1\"");
    let seen = seen.json();
    assert_eq!(
        (&seen["basis"], &seen["programmes"]),
        (&json!("enrolment"), &json!(["test"]))
    );
    // Whoever looks after people reads nothing clinical.
    let plain = town
        .ask(Method::GET, "/api/v1/patients/1001", &json!({}))
        .await
        .json();
    assert_eq!(plain["programmes"], json!([]));

    let changed = json!({"name": "Ada Sample", "born": "1956-03-02"});
    let answer = town.change("\"1\"", &changed).await;
    assert_eq!(answer.headers["etag"], "\"2\"");
    let answer = answer.json();
    assert_eq!(
        (&answer["name"], &answer["born"], &answer["practice"]),
        (&json!("Ada Sample"), &json!("1956-03-02"), &Value::Null)
    );
    assert_eq!(town.change("\"1\"", &changed).await.status, 412);
    let doctor = town
        .app
        .token_of(Role::GpClinician, Some(town.practice), None)
        .await;
    let gone = town
        .app
        .status_as(&doctor, &Method::GET, "/api/v1/patients/1001")
        .await;
    assert_eq!(gone, 404, "registered with another practice");
}

#[tokio::test]
async fn people_are_found_by_number_and_name_within_one_s_relationships() {
    let town = Town::open().await;
    for (number, name) in [
        ("9990000018", "Ada Example"),
        ("9990000026", "Adam O'Neill-Example"),
        ("9990000034", "Berta Example"),
    ] {
        let answer = town.register(number, name).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
    let others = {
        let mut connection = town.app.connection().await;
        add_organisation(&mut connection, "care_team", "South")
            .await
            .unwrap()
    };
    let stranger = town.app.add_patient_of(None, Some(others)).await;
    for (query, expected) in [
        ("", vec!["Ada Example", "Adam O'Neill-Example", "Berta Example"]),
        ("?nhs_number=999%20000%200018", vec!["Ada Example"]),
        ("?nhs_number=9990000042", vec![]),
        ("?name=ada", vec!["Ada Example", "Adam O'Neill-Example"]),
        ("?name=exam%20b", vec!["Berta Example"]),
        ("?name=o'neill", vec!["Adam O'Neill-Example"]),
        ("?name=.*", vec![]),
        ("?name=simulated", vec![]),
        ("?after=1002", vec!["Berta Example"]),
    ] {
        let page = town.app.get(&format!("/api/v1/patients{query}")).await.json();
        assert_eq!(names(&page), expected, "{query}");
    }
    let page = town.app.get("/api/v1/patients?limit=2").await.json();
    assert_eq!((names(&page).len(), &page["next"]), (2, &json!(1002)));
    for query in ["nhs_number=123", "name=%20", "limit=0", "born=1956-03-01"] {
        let answer = town.app.get(&format!("/api/v1/patients?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
    }
    // An administrator looks after all, and each sees in the log that they were found.
    let page = town
        .ask(Method::GET, "/api/v1/patients?name=simulated", &json!({}))
        .await
        .json();
    assert_eq!(page["patients"][0]["id"], json!(stranger));
    let own = town.app.token_of(Role::Patient, None, Some(stranger)).await;
    let log = format!("/api/v1/patients/{stranger}/access-log");
    let log = town.app.send_as(&own, &Method::GET, &log, None).await.json();
    assert_eq!(
        log["entries"][0]["text"],
        "administrator (administrator) saw your details in a list of patients. Why they may: they look after people \
         and devices."
    );
}

#[tokio::test]
async fn an_enrolment_lets_a_team_in_until_it_ends() {
    let town = Town::open().await;
    town.register("9990000018", "Ada Example").await;
    let south = {
        let mut connection = town.app.connection().await;
        add_organisation(&mut connection, "care_team", "South")
            .await
            .unwrap()
    };
    let lead = town.app.token_of(Role::CareTeamLead, Some(south), None).await;
    let sees = async || {
        town.app
            .status_as(&lead, &Method::GET, "/api/v1/patients/1001/enrolments")
            .await
            .as_u16()
    };
    let path = format!("/api/v1/patients/1001/enrolments/{south}");
    assert_eq!(sees().await, 404);
    for _ in 0..2 {
        let listed = town.ask(Method::PUT, &path, &json!({})).await.json();
        assert_eq!(listed["enrolments"].as_array().unwrap().len(), 2);
    }
    assert_eq!(sees().await, 200);

    // A lead ends what is their own team's, and no other.
    let others = format!("/api/v1/patients/1001/enrolments/{}", town.team);
    assert_eq!(town.app.status_as(&lead, &Method::DELETE, &others).await, 403);
    let ended = town.app.send_as(&lead, &Method::DELETE, &path, None).await.json();
    let enrolments = ended["enrolments"].as_array().unwrap();
    let ours = enrolments.iter().find(|one| one["organisation"] == south);
    assert_eq!(
        ours.unwrap()["ended_by"],
        "care_team_lead",
        "by the name of the token"
    );
    assert_eq!(sees().await, 404);
    assert_eq!(town.ask(Method::DELETE, &path, &json!({})).await.status, 404);
    let practice = format!("/api/v1/patients/1001/enrolments/{}", town.practice);
    assert_eq!(
        town.ask(Method::PUT, &practice, &json!({})).await.status,
        400,
        "no care team"
    );
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let town = Town::open().await;
    let good = json!({"nhs_number": "9990000018", "name": "Ada", "born": "1956-03-01", "team": town.team});
    for (field, value) in [
        ("nhs_number", json!("9990000019")),
        ("name", json!(" ")),
        ("name", json!("x".repeat(101))),
        ("born", json!("2026-12-01")),
        ("born", json!("yesterday")),
        ("team", json!(town.practice)),
        ("practice", json!(town.team)),
        ("practice", json!(7777)),
        ("sex", json!("female")),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let answer = town.ask(Method::POST, "/api/v1/patients", &body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.body);
    }
    assert_eq!(
        town.ask(Method::POST, "/api/v1/patients", &good).await.status,
        201
    );
}
