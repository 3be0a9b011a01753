//! People, organisations, tokens, and who sees what was done.

use homeward_store::access::{Role, act_as, default_team};

use super::{administrator, assert_has, between, form, logged};
use crate::pages::tests::{Browser, location, signed_in};
use crate::testing::{PASSWORD, TestApp, now};

#[tokio::test]
async fn a_person_is_added_granted_a_role_locked_and_unlocked() {
    let app = TestApp::start().await;
    let team = default_team(&mut *app.connection().await).await.unwrap();
    let mut admin = administrator(&app).await;
    assert_eq!(location(&admin.get("/").await), "/admin");
    assert_has(
        &admin.get("/admin").await,
        &["Add a person", "aria-current=\"page\""],
    );

    let page = admin.get("/admin/people/new").await;
    let once = between(&page, "name=\"once\" value=\"", "\"").to_owned();
    let refused = admin
        .post(
            "/admin/people",
            &form(
                &page,
                &[
                    ("name", "Sam <b>Field"),
                    ("sign_in_name", "sam field"),
                    ("once", &once),
                ],
            ),
        )
        .await;
    assert_eq!(refused.status, 422);
    // What was typed stays, as text; what was wrong is said at its head and at its field.
    assert_has(
        &refused,
        &[
            "Sam &#60;b&#62;Field",
            "sam field",
            "There is a problem",
            "href=\"#sign_in_name\"",
            "id=\"sign_in_name-error\"",
        ],
    );
    let good = form(
        &page,
        &[
            ("name", "Sam Field"),
            ("sign_in_name", "Sam.Field"),
            ("once", &once),
        ],
    );
    let added = admin.post("/admin/people", &good).await;
    assert_eq!(added.status, 200, "{}", added.body);
    assert_eq!(added.headers["cache-control"], "no-store");
    let first = between(&added, "data-password>", "<").to_owned();
    let path = format!(
        "/admin/people/{}",
        between(&added, "href=\"/admin/people/", "\">Go on")
    );
    // A second click adds nobody, and shows nothing again.
    let again = admin.post("/admin/people", &good).await;
    assert_eq!(again.status, 409);
    assert!(!again.body.contains(&first));
    assert_eq!(
        logged(&app, "manage_people").await,
        (
            "done".to_owned(),
            Some("added Sam Field (sam.field), account 502".to_owned())
        )
    );
    assert!(!again.body.contains("sam.field"));

    let person = admin.get(&path).await;
    assert_has(&person, &["Sam Field", "None yet", "Has not chosen a password"]);
    let nowhere = admin
        .post(
            &format!("{path}/roles"),
            &form(&person, &[("role", "care_team_member")]),
        )
        .await;
    assert_eq!(nowhere.status, 422);
    assert_has(
        &nowhere,
        &["Say in which organisation", "value=\"care_team_member\" selected"],
    );
    let fields = [
        ("role", "care_team_member"),
        ("organisation", &team.to_string()),
        ("patient", ""),
    ];
    let granted = admin
        .post(&format!("{path}/roles"), &form(&person, &fields))
        .await;
    assert_eq!(location(&granted), path);
    assert_has(&admin.get(&path).await, &["Care team, Community care team"]);

    // The first password is for choosing another one, and then she is a nurse of the team.
    let mut nurse = Browser {
        app: &app,
        cookie: String::new(),
    };
    let typed = format!("name=sam.field&password={first}");
    assert_eq!(location(&nurse.post("/sign-in", &typed).await), "/");
    assert_eq!(location(&nurse.get("/").await), "/password");
    let choose = nurse.get("/password").await;
    let chosen = form(&choose, &[("old", &first), ("new", "nine wooden horses")]);
    assert_eq!(location(&nurse.post("/password", &chosen).await), "/");
    assert_eq!(location(&nurse.get("/").await), "/worklist");
    assert_eq!(nurse.get("/worklist").await.status, 200);

    let person = admin.get(&path).await;
    let locked = admin.post(&format!("{path}/lock"), &form(&person, &[])).await;
    assert_eq!(location(&locked), path);
    assert_eq!(location(&nurse.get("/worklist").await), "/sign-in?to=%2Fworklist");
    let typed = "name=sam.field&password=nine+wooden+horses";
    assert_eq!(nurse.post("/sign-in", typed).await.status, 422);
    let person = admin.get(&path).await;
    assert_has(&person, &["Locked"]);
    admin.post(&format!("{path}/unlock"), &form(&person, &[])).await;
    assert_eq!(location(&nurse.post("/sign-in", typed).await), "/");

    // Another first password signs her out; ending the role leaves her with nothing.
    let person = admin.get(&path).await;
    let given = admin.post(&format!("{path}/password"), &form(&person, &[])).await;
    assert_eq!(given.status, 200, "{}", given.body);
    assert_ne!(between(&given, "data-password>", "<"), first);
    assert_eq!(location(&nurse.get("/worklist").await), "/sign-in?to=%2Fworklist");
    let role = between(&person, &format!("action=\"{path}/roles/"), "/end").to_owned();
    let ended = admin
        .post(&format!("{path}/roles/{role}/end"), &form(&person, &[]))
        .await;
    assert_eq!(location(&ended), path);
    assert_has(&admin.get(&path).await, &["None yet"]);
    let log = admin.get("/admin/log").await;
    assert_has(
        &log,
        &[
            "Added Sam Field (sam.field), account 502",
            "Gave Sam Field, account 502, another first password",
            "Locked Sam Field",
        ],
    );
}

#[tokio::test]
async fn nobody_administers_themselves_also_not_by_the_database_alone() {
    let app = TestApp::start().await;
    let mut connection = app.connection().await;
    let team = default_team(&mut connection).await.unwrap();
    let account = app.add_account("admin").await;
    let held = app.grant(account, Role::Administrator, None, None).await;
    let mut admin = Browser {
        app: &app,
        cookie: String::new(),
    };
    let typed = format!("name=admin&password={}", PASSWORD.replace(' ', "+"));
    assert_eq!(location(&admin.post("/sign-in", &typed).await), "/");
    let path = format!("/admin/people/{account}");
    let own = admin.get(&path).await;
    assert_has(&own, &["This is your own account"]);
    assert!(!own.body.contains("Grant the role"));
    let fields = [("role", "care_team_lead"), ("organisation", &team.to_string())];
    for (rest, fields) in [
        ("/roles", &fields[..]),
        (&format!("/roles/{held}/end"), &[]),
        ("/lock", &[]),
        ("/unlock", &[]),
        ("/password", &[]),
    ] {
        let refused = admin.post(&format!("{path}{rest}"), &form(&own, fields)).await;
        assert_eq!(refused.status, 403, "{rest}: {}", refused.body);
    }

    // Whatever the pages do: the database takes no role for oneself, and from nobody who is no administrator.
    let nurse = app.grant(account, Role::CareTeamMember, Some(team), None).await;
    let other = app.add_account("other").await;
    let requests = app.database.pool_for_requests();
    for (acting, of, allowed) in [(held, account, false), (held, other, true), (nurse, other, false)] {
        let mut transaction = requests.begin().await.unwrap();
        act_as(&mut transaction, acting, None, now()).await.unwrap();
        let granted = homeward_store::access::grant_role(
            &mut transaction,
            &homeward_store::access::NewRole {
                account: Some(of),
                role: Role::PrivacyOfficer,
                organisation: None,
                patient: None,
            },
            now(),
        )
        .await;
        assert_eq!(granted.is_ok(), allowed, "{acting} to {of}: {granted:?}");
    }
    for statement in [
        "UPDATE account SET password_hash = 'x'",
        "INSERT INTO organisation (kind, name) VALUES ('care_team', 'Mine')",
        "UPDATE api_token SET revoked_at = now()",
    ] {
        let mut transaction = requests.begin().await.unwrap();
        act_as(&mut transaction, nurse, None, now()).await.unwrap();
        let done = sqlx::query(statement).execute(&mut *transaction).await;
        assert!(done.is_err() || done.unwrap().rows_affected() == 0, "{statement}");
    }
}

#[tokio::test]
async fn organisations_and_tokens_are_added_and_tokens_revoked() {
    let app = TestApp::start().await;
    let mut admin = administrator(&app).await;
    let page = admin.get("/admin/organisations").await;
    let wrong = admin
        .post(
            "/admin/organisations",
            &form(&page, &[("name", " "), ("kind", "shop")]),
        )
        .await;
    assert_eq!(wrong.status, 422);
    assert_has(&wrong, &["href=\"#name\"", "href=\"#kind\""]);
    let fields = [("name", "High Street"), ("kind", "gp_practice")];
    assert_eq!(
        location(&admin.post("/admin/organisations", &form(&page, &fields)).await),
        "/admin/organisations"
    );
    assert_has(
        &admin.get("/admin/organisations").await,
        &["High Street", "GP practice"],
    );
    let practice: i64 =
        sqlx::query_scalar("SELECT organisation_id FROM organisation WHERE name = 'High Street'")
            .fetch_one(app.pool())
            .await
            .unwrap();

    let page = admin.get("/admin/tokens/new").await;
    let wrong = admin
        .post(
            "/admin/tokens",
            &form(
                &page,
                &[
                    ("name", "Lab"),
                    ("role", "integrator"),
                    ("scopes", "Observation"),
                    ("days", "0"),
                ],
            ),
        )
        .await;
    assert_eq!(wrong.status, 422);
    assert_has(
        &wrong,
        &[
            "value=\"Lab\"",
            ">Observation</textarea>",
            "is no scope",
            "in which organisation",
            "Expected 1 to",
        ],
    );
    let fields = [
        ("name", "Lab"),
        ("role", "integrator"),
        ("organisation", &practice.to_string()),
        ("scopes", "user/Patient.read"),
        ("days", "30"),
    ];
    let made = admin.post("/admin/tokens", &form(&page, &fields)).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let secret = between(&made, "data-token>", "<").to_owned();
    let status = async |path: &str| {
        app.send_as(&secret, &axum::http::Method::GET, path, None)
            .await
            .status
            .as_u16()
    };
    assert_eq!(status("/api/v1/patients").await, 200);
    assert_eq!(status("/api/v1/alerts").await, 403);
    let list = admin.get("/admin/tokens").await;
    assert_has(&list, &["Lab", "user/Patient.read", "until <time"]);
    assert!(!list.body.contains(&secret));
    let id = between(&list, "action=\"/admin/tokens/", "/revoke").to_owned();
    let revoked = admin
        .post(&format!("/admin/tokens/{id}/revoke"), &form(&list, &[]))
        .await;
    assert_eq!(location(&revoked), "/admin/tokens");
    assert_eq!(status("/api/v1/patients").await, 401);
    assert_has(
        &admin.get("/admin/log").await,
        &["for Lab, acting as computer program", "Revoked token"],
    );
}

#[tokio::test]
async fn privacy_officers_see_what_administrators_did() {
    let app = TestApp::start().await;
    let mut admin = administrator(&app).await;
    let page = admin.get("/admin/people/new").await;
    let fields = [("name", "Sam Field"), ("sign_in_name", "sam")];
    admin.post("/admin/people", &form(&page, &fields)).await;
    let team = default_team(&mut *app.connection().await).await.unwrap();
    let officer = signed_in(&app, "officer", Role::PrivacyOfficer, (Some(team), None)).await;
    let log = officer.get("/admin/log").await;
    assert_has(&log, &["Added Sam Field", "Mei Ng"]);
    assert_eq!(officer.get("/admin/people").await.status, 403);
    let nurse = signed_in(&app, "nurse", Role::CareTeamMember, (Some(team), None)).await;
    assert_eq!(nurse.get("/admin/log").await.status, 403);
    assert_eq!(nurse.get("/admin").await.status, 403);
}
