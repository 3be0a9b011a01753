use std::fmt::Write;

use axum::http::Method;
use chrono::TimeDelta;
use homeward_record::{EpisodeId, Metric, PatientId};
use homeward_store::access::{Role, act_as, default_team};
use homeward_store::admin::add_organisation;
use serde_json::json;

use super::{Browser, location, signed_in, token};
use crate::testing::{Answer, TestApp, at, now};

/// A record with a patient of a team who has a rule, and a nurse of the team.
struct Team {
    app: TestApp,
    number: i64,
    patient: PatientId,
}

impl Team {
    async fn start() -> Team {
        let app = TestApp::start().await;
        let number = default_team(&mut *app.connection().await).await.unwrap();
        let patient = app.add_patient().await;
        Team { app, number, patient }
    }

    async fn raise(&self, severity: &'static str) -> EpisodeId {
        let rule = self.app.add_rule(self.patient).await;
        self.app.raise(self.patient, rule, severity, false).await
    }

    /// The browser of a member of the team.
    async fn member(&self, sign_in_name: &str, name: &str) -> Browser<'_> {
        let browser = signed_in(
            &self.app,
            sign_in_name,
            Role::CareTeamMember,
            (Some(self.number), None),
        )
        .await;
        self.execute(&format!(
            "UPDATE account SET name = '{name}' WHERE sign_in_name = '{sign_in_name}'"
        ))
        .await;
        browser
    }

    /// The number of an account.
    async fn account(&self, sign_in_name: &str) -> i64 {
        let account = sqlx::query_scalar("SELECT account_id FROM account WHERE sign_in_name = $1");
        account
            .bind(sign_in_name)
            .fetch_one(self.app.pool())
            .await
            .unwrap()
    }

    async fn execute(&self, statement: &str) {
        sqlx::query(sqlx::AssertSqlSafe(statement.to_owned()))
            .execute(self.app.pool())
            .await
            .unwrap();
    }

    /// Who has read or changed the patient's record, by action, from the first.
    async fn logged(&self) -> Vec<(String, String)> {
        sqlx::query_as("SELECT action, target FROM audit_event WHERE $1 = ANY (patients) ORDER BY sequence")
            .bind(self.patient.0)
            .fetch_all(self.app.pool())
            .await
            .unwrap()
    }
}

/// The text of a page, without its tags and with single spaces.
fn words(page: &Answer) -> String {
    let mut text = String::new();
    let mut within = false;
    for letter in page.body.chars() {
        match letter {
            '<' => within = true,
            '>' => {
                within = false;
                text.push(' ');
            }
            letter if !within => text.push(letter),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn contains(page: &Answer, expected: &[&str]) {
    let words = words(page);
    for text in expected {
        assert!(words.contains(text), "{text:?} in {words}");
    }
}

#[tokio::test]
async fn a_row_says_why_since_when_what_was_measured_and_who_has_it() {
    let team = Team::start().await;
    team.raise("high").await;
    let device = team.app.add_device(team.patient).await;
    let readings = [
        (Metric::Glucose, at("2026-11-21T20:00:00Z"), 7.0),
        (Metric::Glucose, at("2026-11-22T11:50:00Z"), 2.8),
        (Metric::Glucose, at("2026-11-22T11:53:00Z"), 2.4),
        (Metric::Glucose, at("2026-11-22T11:55:00Z"), 2.6),
    ];
    team.app.store(team.patient, device, &readings).await;
    team.execute("UPDATE episode SET escalation = 2").await;
    let nurse = team.member("mei", "Mei Ng").await;
    let list = nurse.get("/worklist").await;
    contains(
        &list,
        &[
            "high Ada Simulated Glucose very low since 22 Nov, 11:50 Glucose 2.6 mmol/L, below 3.0 mmol/L",
            "Latest 2.6 mmol/L 22 Nov, 11:55 Worst 2.4 mmol/L 22 Nov, 11:53",
            "Nobody has it Escalated to the team&#39;s lead (level 2)",
            "I take it : Glucose very low of Ada Simulated",
            "All 1 High 1 Medium 0 Low 0 Info 0",
        ],
    );
    assert!(
        list.body
            .contains("Glucose in the last 24 hours: lowest 2.4 mmol/L, highest 7.0 mmol/L, last 2.6 mmol/L"),
        "{}",
        list.body
    );
    // Who only looks is offered nothing.
    let patient = signed_in(&team.app, "ada", Role::Patient, (None, Some(team.patient))).await;
    let own = patient.get("/worklist").await;
    assert!(
        !own.body.contains("I take it") && !own.body.contains("data-panel"),
        "{}",
        own.body
    );
    assert!(!patient.get("/alerts/1").await.body.contains("What you can do"));
}

#[tokio::test]
async fn the_list_is_filtered_by_a_link_and_every_link_keeps_the_rest() {
    let team = Team::start().await;
    let other = team.app.add_patient().await;
    team.raise("high").await;
    let rule = team.app.add_rule(other).await;
    team.app.raise(other, rule, "medium", false).await;
    team.execute("UPDATE care_plan_rule SET programme = 'hypertension' WHERE patient_id = 1002")
        .await;
    let mut nurse = team.member("mei", "Mei Ng").await;
    let csrf = token(&nurse.get("/worklist").await).to_owned();
    let shown = async |browser: &Browser<'_>, query: &str| -> Vec<u32> {
        let page = browser.get(&format!("/worklist{query}")).await;
        assert_eq!(page.status, 200, "{query}: {}", page.body);
        let there = |id: &u32| page.body.contains(&format!("data-alert=\"{id}\""));
        (1..=2).filter(there).collect()
    };
    for (query, expected) in [
        ("", vec![1, 2]),
        ("?severity=medium", vec![2]),
        ("?severity=high,medium", vec![1, 2]),
        ("?severity=low", vec![]),
        ("?programme=hypertension", vec![2]),
        ("?programme=&severity=&mine=", vec![1, 2]),
        ("?programme=hypertension&severity=high", vec![]),
        ("?mine=true", vec![]),
        ("?mine=false", vec![1, 2]),
    ] {
        assert_eq!(shown(&nurse, query).await, expected, "{query}");
    }
    // What somebody takes up is theirs, until it is assigned to somebody else.
    let take = format!("csrf_token={csrf}");
    location(&nurse.post("/alerts/2/acknowledge", &take).await);
    assert_eq!(shown(&nurse, "?mine=true").await, [2]);
    let sam = team.member("sam", "Sam Okafor").await;
    location(
        &nurse
            .post(
                "/alerts/2/assign",
                &format!("{take}&to={}", team.account("sam").await),
            )
            .await,
    );
    assert_eq!(shown(&nurse, "?mine=true").await, Vec::<u32>::new());
    assert_eq!(shown(&sam, "?mine=true").await, [2]);
    contains(&nurse.get("/worklist").await, &["Sam Okafor has it"]);

    let page = nurse
        .get("/worklist?mine=true&programme=hypertension&severity=high")
        .await;
    for link in [
        "href=\"/worklist?mine=true&#38;severity=low&#38;programme=hypertension\"",
        "href=\"/worklist?severity=high&#38;programme=hypertension\"",
        "href=\"/worklist?mine=true&#38;programme=hypertension\"",
        "name=\"mine\" value=\"true\"",
        "name=\"severity\" value=\"high\"",
        "<option value=\"hypertension\" selected>",
        "No open alert fits this filter",
    ] {
        assert!(page.body.contains(link), "{link}: {}", page.body);
    }
    for wrong in [
        "mine=perhaps",
        "severity=purple",
        "programme=dancing",
        "after=7",
        "colour=red",
    ] {
        assert_eq!(
            nurse.get(&format!("/worklist?{wrong}")).await.status,
            400,
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn a_thousand_alerts_come_in_pages_the_most_urgent_first() {
    let team = Team::start().await;
    let rule = team.app.add_rule(team.patient).await;
    let mut statement = String::from(
        "INSERT INTO episode (patient_id, rule_id, code, severity, status, late, raised_at, onset_at, onset_value,
             onset_metric, latest_at, latest_value, latest_metric, worst_at, worst_value, worst_metric) ",
    );
    write!(
        statement,
        "SELECT {}, {}, 'rule-' || n, (ARRAY['low', 'high', 'medium'])[1 + n % 3],
             'raised', false, now(), now(), 2.8, 7, now(), 2.6, 7, now(), 2.4, 7
         FROM generate_series(1, 1000) AS n",
        team.patient.0, rule.0
    )
    .unwrap();
    team.execute(&statement).await;
    let nurse = team.member("mei", "Mei Ng").await;
    let mut path = "/worklist".to_owned();
    let mut severities = Vec::new();
    for page in 1.. {
        let list = nurse.get(&path).await;
        let rows: Vec<&str> = list
            .body
            .split("<li class=\"hw-alert hw-alert--")
            .skip(1)
            .collect();
        assert_eq!(rows.len(), 200);
        severities.extend(rows.iter().map(|row| row.split('"').next().unwrap().to_owned()));
        contains(
            &list,
            &["All 1000 High 334 Medium 333 Low 333", "Nobody has it 1000"],
        );
        match list.body.split_once("class=\"hw-next\" href=\"") {
            Some((_, rest)) => path = rest.split('"').next().unwrap().replace("&#38;", "&"),
            None => {
                assert_eq!(page, 5);
                contains(&list, &["To the most urgent"]);
                break;
            }
        }
    }
    let mut sorted = severities.clone();
    sorted.sort_by_key(|severity| ["high", "medium", "low"].iter().position(|name| name == severity));
    assert_eq!(severities, sorted);
}

#[tokio::test]
async fn an_alert_has_a_page_of_all_that_happened_and_can_be_done() {
    let team = Team::start().await;
    team.raise("high").await;
    let mut nurse = team.member("mei", "Mei Ng").await;
    let page = nurse.get("/alerts/1").await;
    contains(
        &page,
        &[
            "Glucose very low high",
            "Treat the low glucose now.",
            "I take it",
            "Me (Mei Ng)",
            "Raised",
            "International Consensus on Time in Range, 2019",
        ],
    );
    let csrf = token(&page).to_owned();
    for (action, fields) in [
        ("comment", "text=Called+%3Cher%3E+daughter"),
        ("snooze", "minutes=30"),
        ("snooze", "minutes=60&reason=Eating+now"),
        ("assign", "to=me"),
        ("assign", "to="),
        ("acknowledge", ""),
    ] {
        let form = format!("csrf_token={csrf}&back=/alerts/1&{fields}");
        let answer = nurse.post(&format!("/alerts/1/{action}"), &form).await;
        assert_eq!(location(&answer), "/alerts/1", "{action}");
    }
    contains(
        &nurse.get("/alerts/1").await,
        &[
            "You have it Snoozed until 22 Nov, 13:00",
            "Comment , Mei Ng Called &#60;her&#62; daughter",
            "Snoozed until 22 November 2026, 12:30 , Mei Ng No reason was given",
            "Snoozed until 22 November 2026, 13:00 , Mei Ng Eating now",
            "Assigned to Mei Ng , Mei Ng",
            "Assigned to nobody , Mei Ng",
            "Taken up , Mei Ng",
        ],
    );
    assert_eq!(nurse.get("/alerts/17").await.status, 404);
}

#[tokio::test]
async fn what_is_refused_says_why_keeps_what_was_typed_and_is_a_read_of_the_record() {
    let team = Team::start().await;
    team.raise("high").await;
    let mut nurse = team.member("mei", "Mei Ng").await;
    let csrf = token(&nurse.get("/worklist").await).to_owned();
    for (action, fields, status, told) in [
        ("comment", "text=+", 422, "Write your comment"),
        (
            "snooze",
            "minutes=7&reason=Eating+now",
            422,
            "Choose for how long",
        ),
        ("assign", "to=7", 422, "Choose one of those who work with you"),
        (
            "close",
            "reason=Sensor+was+loose",
            409,
            "The condition of the alert lasts",
        ),
    ] {
        let form = format!("csrf_token={csrf}&{fields}");
        let page = nurse.post(&format!("/alerts/1/{action}"), &form).await;
        assert_eq!(page.status.as_u16(), status, "{action}: {}", page.body);
        contains(&page, &[told, "There is a problem"]);
        assert!(page.body.contains("<title>Error: "), "{}", page.body);
        if let Some((_, typed)) = fields.split_once("reason=").filter(|_| action == "snooze") {
            assert!(
                page.body
                    .contains(&format!("value=\"{}\"", typed.replace('+', " "))),
                "{}",
                page.body
            );
        }
        let logged = team.logged().await;
        let expected = ("read_alerts".to_owned(), format!("/alerts/1/{action}"));
        assert_eq!(logged.last(), Some(&expected));
    }
    assert_eq!(team.app.happenings(1).await.len(), 1);
    // A script is told no more than the problem.
    let token = team
        .app
        .token_of(Role::CareTeamMember, Some(team.number), None)
        .await;
    let answer = team
        .app
        .send_as(&token, &Method::POST, "/alerts/1/close", Some(&json!({})))
        .await;
    assert_eq!(answer.headers["content-type"], "application/problem+json");
}

#[tokio::test]
async fn two_who_press_at_once_are_told_who_was_quicker() {
    let team = Team::start().await;
    team.raise("high").await;
    let mut mei = team.member("mei", "Mei Ng").await;
    let mut sam = team.member("sam", "Sam Okafor").await;
    let of_mei = format!("csrf_token={}", token(&mei.get("/worklist").await));
    let of_sam = format!("csrf_token={}", token(&sam.get("/worklist").await));
    location(&mei.post("/alerts/1/acknowledge", &of_mei).await);
    // A second press of the same person is the first one.
    location(&mei.post("/alerts/1/acknowledge", &of_mei).await);
    let late = sam.post("/alerts/1/acknowledge", &of_sam).await;
    assert_eq!(late.status, 409);
    contains(&late, &["Mei Ng was quicker, and has it", "Mei Ng has it"]);

    let other = team.app.add_patient().await;
    let rule = team.app.add_rule(other).await;
    team.app.raise(other, rule, "medium", true).await;
    team.execute("UPDATE episode SET status = 'cleared', cleared_at = now() WHERE episode_id = 2")
        .await;
    location(
        &mei.post("/alerts/2/close", &format!("{of_mei}&usual=Patient+well"))
            .await,
    );
    for action in ["acknowledge", "close"] {
        let late = sam
            .post(
                &format!("/alerts/2/{action}"),
                &format!("{of_sam}&reason=The+sensor"),
            )
            .await;
        assert_eq!(late.status, 409, "{action}");
        contains(
            &late,
            &["Mei Ng has closed it meanwhile", "Closed , Mei Ng Patient well"],
        );
    }
}

#[tokio::test]
async fn two_of_one_name_are_two() {
    let team = Team::start().await;
    team.raise("high").await;
    let other = team.app.add_patient().await;
    let rule = team.app.add_rule(other).await;
    team.app.raise(other, rule, "medium", false).await;
    let mut one = team.member("mei.ng", "Mei Ng").await;
    let mut two = team.member("mei.ng.2", "Mei Ng").await;
    let second = team.account("mei.ng.2").await;
    let page = one.get("/alerts/1").await;
    // Each is offered herself and the other one.
    contains(&page, &["Me (Mei Ng) Mei Ng (mei.ng.2) Nobody"]);
    let of_one = format!("csrf_token={}", token(&page));
    let of_two = format!("csrf_token={}", token(&two.get("/alerts/1").await));
    location(&one.post("/alerts/1/acknowledge", &of_one).await);
    location(
        &one.post("/alerts/2/assign", &format!("{of_one}&to={second}"))
            .await,
    );
    contains(
        &one.get("/worklist").await,
        &["You have it", "Assigned to another Mei Ng, not taken up yet"],
    );
    contains(
        &two.get("/worklist").await,
        &["Another Mei Ng has it", "Assigned to you, not taken up yet"],
    );
    let mine = async |browser: &Browser<'_>| -> Vec<u32> {
        let page = browser.get("/worklist?mine=true").await;
        let there = |id: &u32| page.body.contains(&format!("data-alert=\"{id}\""));
        (1..=2).filter(there).collect()
    };
    assert_eq!((mine(&one).await, mine(&two).await), (vec![1], vec![2]));
    let late = two.post("/alerts/1/acknowledge", &of_two).await;
    assert_eq!(late.status, 409);
    contains(&late, &["Another Mei Ng was quicker, and has it"]);
    // What one of them closes, the other one is told of.
    team.execute("UPDATE worklist_look SET seen_at = seen_at - interval '19 hours'")
        .await;
    team.execute("UPDATE episode SET status = 'cleared', cleared_at = now() WHERE episode_id = 2")
        .await;
    location(&one.post("/alerts/2/acknowledge", &of_one).await);
    contains(&two.get("/worklist").await, &["1 closed without you"]);
    contains(
        &one.get("/worklist").await,
        &["Nothing was raised, escalated or closed without you"],
    );
}

#[tokio::test]
async fn of_earlier_alerts_the_name_has_to_do() {
    let team = Team::start().await;
    team.raise("high").await;
    team.execute("UPDATE episode SET assigned_to = 'Mei Ng'").await;
    let mei = team.member("mei", "Mei Ng").await;
    let sam = team.member("sam", "Sam Okafor").await;
    contains(
        &mei.get("/worklist?mine=true").await,
        &["Assigned to you, not taken up yet"],
    );
    contains(
        &sam.get("/worklist").await,
        &["Assigned to Mei Ng, not taken up yet"],
    );
    contains(
        &sam.get("/worklist?mine=true").await,
        &["No open alert fits this filter"],
    );
}

#[tokio::test]
async fn a_request_writes_nothing_down_in_the_name_of_somebody_else() {
    let team = Team::start().await;
    team.raise("high").await;
    let _mei = team.member("mei", "Mei Ng").await;
    let _sam = team.member("sam", "Sam Okafor").await;
    let roles: Vec<i64> =
        sqlx::query_scalar("SELECT held_role_id FROM held_role WHERE account_id IS NOT NULL ORDER BY 1")
            .fetch_all(team.app.pool())
            .await
            .unwrap();
    let write = async |acting: i64, named: i64| {
        let mut transaction = team.app.database.pool_for_requests().begin().await.unwrap();
        act_as(&mut transaction, acting, None, now()).await.unwrap();
        sqlx::query(
            "INSERT INTO episode_transition (episode_id, kind, at, actor, held_role_id)
             VALUES (1, 'commented', now(), 'Mei Ng', $1)",
        )
        .bind(named)
        .execute(&mut *transaction)
        .await
    };
    assert!(write(roles[0], roles[0]).await.is_ok());
    let refused = write(roles[0], roles[1]).await.unwrap_err().to_string();
    assert!(refused.contains("row-level security"), "{refused}");
}

#[tokio::test]
async fn whoever_sees_a_patient_for_a_stated_reason_changes_nothing_about_alerts() {
    let app = TestApp::start().await;
    let others = add_organisation(&mut *app.connection().await, "care_team", "South")
        .await
        .unwrap();
    let patient = app.add_patient_of(None, Some(others)).await;
    let rule = app.add_rule(patient).await;
    app.raise(patient, rule, "high", false).await;
    let team = default_team(&mut *app.connection().await).await.unwrap();
    let token = app.token_of(Role::CareTeamMember, Some(team), None).await;
    let show = "/api/v1/alerts/1";
    let status = async |method, path: &str| {
        app.send_as(&token, &method, path, Some(&json!({"to": "me"})))
            .await
            .status
    };
    assert_eq!(status(Method::GET, show).await, 404);
    let opened = "INSERT INTO break_glass (held_role_id, patient_id, reason, begun_at, until)
        SELECT max(held_role_id), $1, 'found collapsed', $2, $3 FROM held_role";
    sqlx::query(opened)
        .bind(patient.0)
        .bind(now())
        .bind(now() + TimeDelta::hours(1))
        .execute(app.pool())
        .await
        .unwrap();
    assert_eq!(status(Method::GET, show).await, 200);
    for path in [
        "/api/v1/alerts/1/acknowledge",
        "/api/v1/alerts/1/assign",
        "/alerts/1/acknowledge",
    ] {
        assert_eq!(status(Method::POST, path).await, 403, "{path}");
    }
    assert_eq!(app.happenings(1).await.len(), 1);
}

#[tokio::test]
async fn who_comes_back_is_told_what_happened_meanwhile() {
    let team = Team::start().await;
    let mut nurse = team.member("mei", "Mei Ng").await;
    let first = nurse.get("/worklist").await;
    assert!(!first.body.contains("Since you last looked"), "{}", first.body);
    // The clock of the test stands still, so the look is made to be of long ago.
    let leave = "UPDATE worklist_look SET seen_at = seen_at - interval '19 hours'";
    team.execute(leave).await;
    contains(
        &nurse.get("/worklist").await,
        &["Since you last looked ( 21 Nov, 17:00 ) Nothing was raised, escalated or closed without you."],
    );
    team.execute(leave).await;
    team.raise("high").await;
    team.execute("INSERT INTO episode_transition (episode_id, kind, at) VALUES (1, 'escalated', now())")
        .await;
    let other = team.app.add_patient().await;
    let rule = team.app.add_rule(other).await;
    team.app.raise(other, rule, "medium", false).await;
    let mut sam = team.member("sam", "Sam Okafor").await;
    team.app.clear(other).await;
    let form = format!("csrf_token={}", token(&sam.get("/worklist").await));
    location(&sam.post("/alerts/2/acknowledge", &form).await);
    let expected = [
        "2 raised Ada Simulated: Glucose very low",
        "1 escalated Ada Simulated: Glucose very low",
        "1 closed without you Ada Simulated: Glucose very low , 22 Nov, 12:00 , by Sam Okafor",
    ];
    // A list that is renewed behind another window is not looked at.
    nurse.get("/worklist/list?unseen=true").await;
    for _ in 0..2 {
        contains(&nurse.get("/worklist").await, &expected);
    }
    // What she does herself, she knows.
    team.execute(leave).await;
    let form = format!("csrf_token={}", token(&nurse.get("/worklist").await));
    team.execute("UPDATE episode SET status = 'cleared', cleared_at = now() WHERE episode_id = 1")
        .await;
    location(&nurse.post("/alerts/1/acknowledge", &form).await);
    team.execute(leave).await;
    contains(
        &nurse.get("/worklist").await,
        &["Nothing was raised, escalated or closed without you."],
    );
}

#[tokio::test]
async fn a_list_that_renews_itself_is_one_look_an_hour() {
    let team = Team::start().await;
    team.raise("high").await;
    let nurse = team.member("mei", "Mei Ng").await;
    let reads = async || {
        let logged = team.logged().await;
        logged
            .iter()
            .filter(|(action, _)| action == "read_alerts")
            .count()
    };
    nurse.get("/worklist").await;
    assert_eq!(reads().await, 1);
    for path in [
        "/worklist/list",
        "/worklist/list?unseen=true",
        "/worklist/list?severity=high",
    ] {
        assert!(nurse.get(path).await.body.contains("data-alert=\"1\""));
    }
    assert_eq!(reads().await, 1);
    // Whoever loads the page looks anew, and so does somebody else.
    nurse.get("/worklist").await;
    assert_eq!(reads().await, 2);
    let sam = team.member("sam", "Sam Okafor").await;
    sam.get("/worklist/list").await;
    assert_eq!(reads().await, 3);

    // Of a patient who comes onto the list it is said at once.
    let other = team.app.add_patient().await;
    let rule = team.app.add_rule(other).await;
    team.app.raise(other, rule, "medium", false).await;
    let of_other = async || -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM audit_event WHERE patients = ARRAY[$1::bigint]")
            .bind(other.0)
            .fetch_one(team.app.pool())
            .await
            .unwrap()
    };
    for _ in 0..2 {
        nurse.get("/worklist/list").await;
        assert_eq!(of_other().await, 1);
    }
    // And of all of them again after an hour.
    team.execute("UPDATE worklist_look SET noted_since = noted_since - interval '1 hour'")
        .await;
    nurse.get("/worklist/list").await;
    nurse.get("/worklist/list").await;
    assert_eq!(reads().await, 4);
}

#[tokio::test]
async fn a_script_is_sent_the_list_alone() {
    let team = Team::start().await;
    team.raise("high").await;
    let nurse = team.member("mei", "Mei Ng").await;
    let list = nurse.get("/worklist/list?severity=high").await;
    assert!(
        list.body.contains("data-alert=\"1\"") && !list.body.contains("<html"),
        "{}",
        list.body
    );
    let mark = |page: &Answer| page.body.split_once("data-mark=\"").unwrap().1[..16].to_owned();
    // A row that says the same is known by its mark.
    assert_eq!(mark(&list), mark(&nurse.get("/worklist").await));
    team.execute("UPDATE episode SET latest_value = 2.5").await;
    assert_ne!(mark(&list), mark(&nurse.get("/worklist/list").await));
}
