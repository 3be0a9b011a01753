use chrono::TimeDelta;
use homeward_record::Clock;
use serde_json::{Value, json};

use super::{PASSWORD, add_account, add_nurse, browse, default_team, execute};
use crate::harness::*;

/// Sensors of patients with type 1 diabetes, each on a connection of its own.
struct Sensors(Vec<(Device, Client)>);

impl Sensors {
    async fn start(server: &Server, count: usize) -> Sensors {
        let mut sensors = Vec::new();
        for _ in 0..count {
            let sensor = server.enrol_on("diabetes-type-1", "cgm").await;
            let client = sensor.connect_v5().await;
            sensors.push((sensor, client));
        }
        Sensors(sensors)
    }

    /// Does what a script asks for: `publish a very low glucose of 2`, `publish glucose in range of 1`. Answers when it
    /// began to, in milliseconds.
    async fn publish(&mut self, wish: &str) -> Value {
        let (what, number) = wish.split_once(" of ").unwrap_or((wish, ""));
        // Of the present, and later than the one before.
        let (value, later) = match what {
            "publish a very low glucose" => (2.6, 0),
            "publish glucose in range" => (6.1, 1),
            _ => panic!("the script asks for {wish}"),
        };
        let (sensor, client) = &mut self.0[number.parse::<usize>().unwrap() - 1];
        let at = now() + TimeDelta::seconds(later);
        let reading = json!({"type": "glucose", "at": at, "value": value, "sample": "interstitial"});
        let body = json!({"readings": [reading]}).to_string();
        let began = Clock::System.now().timestamp_millis();
        assert_eq!(client.upload(&sensor.topic("readings"), body).await, 0);
        json!(began)
    }

    async fn stop(self) {
        for (_, client) in self.0 {
            client.disconnect().await;
        }
    }
}

/// A second nurse of the team, who signs in as `sam`.
async fn add_colleague(server: &Server) {
    let team = default_team(server).await;
    let role = ["care_team_member", "--organisation", &team];
    add_account(server, "sam", "Sam Okafor", &role).await;
}

/// Plays a script to a nurse with these sensors. Beside what [`Sensors::publish`] does it may ask for changes of the
/// record: each by a name, with the statement that makes it.
async fn play(server: &Server, script: &str, mut sensors: Sensors, changes: &[(&str, &'static str)]) {
    add_nurse(server).await;
    browse(server, script, &[PASSWORD], async |wish| {
        match changes.iter().find(|(change, _)| *change == wish) {
            Some((_, statement)) => {
                execute(server, statement).await;
                Value::Null
            }
            None => sensors.publish(wish).await,
        }
    })
    .await;
    sensors.stop().await;
}

#[tokio::test]
async fn an_alert_shows_up_on_the_worklist_and_is_worked_to_its_end_with_keys() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let sensors = Sensors::start(&server, 3).await;
    add_colleague(&server).await;
    let night = "UPDATE worklist_look SET seen_at = seen_at - interval '10 hours', seen = 0";
    play(&server, "worklist.mjs", sensors, &[("let a night pass", night)]).await;
}

#[tokio::test]
async fn a_worklist_without_a_connection_says_so_and_catches_up() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let sensors = Sensors::start(&server, 2).await;
    let end = "UPDATE sign_in_session SET ended_at = now()";
    play(
        &server,
        "worklist_broken.mjs",
        sensors,
        &[("end the session", end)],
    )
    .await;
}

#[tokio::test]
async fn the_worklist_is_worked_with_forms_where_there_are_no_scripts() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let sensors = Sensors::start(&server, 2).await;
    add_colleague(&server).await;
    play(&server, "worklist_plain.mjs", sensors, &[]).await;
}

#[tokio::test]
async fn a_list_of_a_thousand_alerts_is_not_rebuilt_by_a_key_or_a_change() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    server.enrol_on("diabetes-type-1", "cgm").await;
    add_nurse(&server).await;
    // Each of a rule of its own: what is of no rule in the plan is over.
    let raised = "WITH rule AS (
            INSERT INTO care_plan_rule (patient_id, code, version, programme, definition, author, reason, valid_from)
            SELECT patient_id, code || '-' || n, version, programme, definition, author, reason, valid_from
            FROM (SELECT * FROM care_plan_rule ORDER BY rule_id LIMIT 1) AS rule, generate_series(1, 1003) AS n
            RETURNING patient_id, rule_id, code
        )
        INSERT INTO episode (patient_id, rule_id, code, severity, status, late, raised_at, onset_at,
            onset_value, onset_metric, latest_at, latest_value, latest_metric, worst_at, worst_value, worst_metric)
        SELECT patient_id, rule_id, code, 'medium', 'raised', false, $1, $1, 2.8, 7, $1, 2.6, 7, $1, 2.4, 7
        FROM rule ORDER BY rule_id";
    sqlx::query(raised)
        .bind(now())
        .execute(&server.pool)
        .await
        .unwrap();
    browse(&server, "worklist_many.mjs", &[PASSWORD], async |wish| {
        assert_eq!(wish, "change one of them");
        execute(
            &server,
            "WITH changed AS (
                 UPDATE episode SET latest_value = 2.2, worst_value = 2.2
                 WHERE episode_id = (SELECT min(episode_id) + 1 FROM episode) RETURNING episode_id
             )
             INSERT INTO episode_transition (episode_id, kind, at) SELECT episode_id, 'amended', now() FROM changed",
        )
        .await;
        Value::Null
    })
    .await;
}
