//! People who sign in, from the command that adds their accounts to the page they may see.

use std::io::Write;
use std::process::Stdio;

use hyper::Method;
use serde_json::{Value, json};

use crate::harness::*;

/// Name of the cookie and its value, and the token of the session.
struct Browser {
    cookie: String,
    csrf_token: String,
}

impl Browser {
    async fn sign_in(server: &Server, name: &str, password: &str) -> (Browser, Value) {
        let body = json!({"name": name, "password": password});
        let answer = server.send(Method::POST, "/api/v1/sign-in", &[], &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        (Browser::after(&answer), answer.json())
    }

    fn after(answer: &Answer) -> Browser {
        let cookie = answer.set_cookie.as_deref().unwrap();
        Browser {
            cookie: cookie.split(';').next().unwrap().to_owned(),
            csrf_token: answer.json()["csrf_token"].as_str().unwrap().to_owned(),
        }
    }

    async fn send(&self, server: &Server, method: Method, path: &str, body: &Value) -> Answer {
        let headers = [
            ("cookie", self.cookie.as_str()),
            ("x-csrf-token", self.csrf_token.as_str()),
        ];
        server.send(method, path, &headers, body).await
    }
}

#[tokio::test]
async fn a_team_member_is_given_an_account_signs_in_and_sees_the_team_s_patients() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let team = server
        .cli(&["organisation", "add", "--kind", "care_team", "--name", "North"])
        .await["organisation_id"]
        .to_string();
    let nhs_number = "999 000 0018";
    let patient = server
        .cli(&[
            "patient",
            "add",
            "--nhs-number",
            nhs_number,
            "--name",
            "Ada Example",
            "--born",
            "1956-03-01",
            "--team",
            &team,
        ])
        .await["patient_id"]
        .to_string();
    let added = server
        .cli(&["account", "add", "--sign-in-name", "Mei.Ng", "--name", "Mei Ng"])
        .await;
    let account = added["account_id"].to_string();
    let first = added["password"].as_str().unwrap();
    assert_eq!(added["sign_in_name"], "mei.ng");
    let role = server
        .cli(&[
            "role",
            "grant",
            "--account",
            &account,
            "--role",
            "care_team_member",
            "--organisation",
            &team,
        ])
        .await["role_id"]
        .clone();

    let (browser, view) = Browser::sign_in(&server, "mei.ng", first).await;
    assert_eq!(view["must_change_password"], true);
    let readings = format!("/api/v1/patients/{patient}/readings");
    let ask = async |browser: &Browser| {
        browser
            .send(&server, Method::GET, &readings, &Value::Null)
            .await
            .status
    };
    assert_eq!(ask(&browser).await, 403);
    let change = json!({"old": first, "new": "a horse of my own"});
    let changed = browser
        .send(&server, Method::POST, "/api/v1/account/password", &change)
        .await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let picked = browser
        .send(
            &server,
            Method::POST,
            "/api/v1/session/role",
            &json!({"role": role}),
        )
        .await;
    let browser = Browser::after(&picked);
    assert_eq!(ask(&browser).await, 200);

    server.cli(&["role", "end", &role.to_string()]).await;
    assert_eq!(ask(&browser).await, 403);
    let reset = server.cli(&["account", "reset-password", &account]).await;
    assert_eq!(ask(&browser).await, 401);
    let (browser, _) = Browser::sign_in(&server, "mei.ng", reset["password"].as_str().unwrap()).await;
    server.cli(&["account", "unlock", &account]).await;
    server.cli(&["account", "disable", &account]).await;
    assert_eq!(ask(&browser).await, 401);
    server.cli(&["audit", "verify"]).await;
}

#[tokio::test]
async fn a_patient_chooses_the_password_at_once_and_may_be_a_proxy() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let (own, other) = (server.add_patient(&[]).await, server.add_patient(&[]).await);
    let add = |password: &'static str| {
        let mut command = server.command(&[
            "account",
            "add",
            "--sign-in-name",
            "ada@example.org",
            "--name",
            "Ada",
            "--password-stdin",
        ]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            child
                .stdin
                .take()
                .unwrap()
                .write_all(password.as_bytes())
                .unwrap();
            child.wait_with_output().unwrap()
        })
    };
    let refused = add("password123\n").await.unwrap();
    assert!(!refused.status.success());
    let added = add("one two three\n").await.unwrap();
    let added: Value = serde_json::from_slice(&added.stdout).unwrap();
    assert_eq!(added["password"], Value::Null);
    let account = added["account_id"].to_string();
    let (own, other) = (own.to_string(), other.to_string());
    for arguments in [
        &["role", "grant", "--account", &account, "--role", "patient"][..],
        &["role", "grant", "--account", &account, "--role", "gp_clinician"],
        &["role", "grant", "--account", "7", "--role", "administrator"],
        // In no role of a patient there is nothing that a proxy could do.
        &["proxy", "add", "--account", &account, "--patient", &other],
    ] {
        server.cli_fails(arguments).await;
    }
    server
        .cli(&[
            "role",
            "grant",
            "--account",
            &account,
            "--role",
            "patient",
            "--patient",
            &own,
        ])
        .await;
    let (browser, view) = Browser::sign_in(&server, "Ada@Example.org", "one two three").await;
    assert_eq!(view["must_change_password"], false);
    let ask = async |patient: &str| {
        let path = format!("/api/v1/patients/{patient}/readings");
        browser
            .send(&server, Method::GET, &path, &Value::Null)
            .await
            .status
    };
    assert_eq!((ask(&own).await.as_u16(), ask(&other).await.as_u16()), (200, 404));
    server
        .cli(&["proxy", "add", "--account", &account, "--patient", &other])
        .await;
    assert_eq!(ask(&other).await, 200);
}
