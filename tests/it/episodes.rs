//! The life of an episode, from readings to what a team sees and does.

use serde_json::Value;

use crate::harness::*;

async fn alerts(server: &Server, token: &str, device: &Device) -> Vec<Value> {
    let path = format!("/api/v1/alerts?patient={}", device.patient);
    let mut alerts = server.get(&path, token).await.json()["alerts"]
        .as_array()
        .unwrap()
        .clone();
    // The oldest first.
    alerts.reverse();
    alerts
}

/// Rule and status of each alert, the oldest first.
async fn statuses(server: &Server, token: &str, device: &Device) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let alerts = alerts(server, token, device).await;
    alerts
        .iter()
        .map(|alert| (text(&alert["rule"]["code"]), text(&alert["status"])))
        .collect()
}

fn told(alerts: &[(&str, &str)]) -> Vec<(String, String)> {
    alerts
        .iter()
        .map(|(code, status)| ((*code).to_owned(), (*status).to_owned()))
        .collect()
}

#[tokio::test]
async fn invariant_7_one_open_episode_of_a_rule_seen_to_alone_and_armed_again_once_it_cleared() {
    const LOW: &str = "glucose-low";
    const VERY_LOW: &str = "glucose-very-low";
    let database = TestDatabase::create().await;
    let mut server = Server::start(&database).await;
    let token = server.add_token("a team").await;
    let [cgm, other] = [
        server.enrol_on("diabetes-type-1", "cgm").await,
        server.enrol_on("diabetes-type-1", "cgm").await,
    ];
    let (topic, elsewhere) = (cgm.topic("readings"), other.topic("readings"));
    let mut client = cgm.connect_v5().await;
    let mut bystander = other.connect_v5().await;
    bystander
        .upload(&elsewhere, upload(&[glucose(minutes_ago(59), 2.5)]))
        .await;
    for (minutes, value) in [(60, 2.9), (50, 2.8), (45, 2.9)] {
        client
            .upload(&topic, upload(&[glucose(minutes_ago(minutes), value)]))
            .await;
    }
    let both = told(&[(VERY_LOW, "raised"), (LOW, "raised")]);
    assert_eq!(statuses(&server, &token, &cgm).await, both);

    // A team sees to one of them, which changes none of the others.
    let first = alerts(&server, &token, &cgm).await[0]["id"].clone();
    let path = format!("/api/v1/alerts/{first}/acknowledge");
    assert_eq!(server.post(&path, &token).await.status, 200);
    let seen_to = told(&[(VERY_LOW, "acknowledged"), (LOW, "raised")]);
    assert_eq!(statuses(&server, &token, &cgm).await, seen_to);
    assert_eq!(
        statuses(&server, &token, &other).await,
        told(&[(VERY_LOW, "raised")])
    );

    // It goes on as one episode, also for a process that knows it only from the record, and though the value
    // is back beyond the bound, as long as it is not back at what clears.
    server.kill().await;
    server.start_again().await;
    let mut client = cgm.connect_v4().await;
    for (minutes, value) in [(40, 2.7), (35, 3.5), (30, 2.6), (25, 3.2)] {
        client
            .upload(&topic, upload(&[glucose(minutes_ago(minutes), value)]))
            .await;
        assert_eq!(statuses(&server, &token, &cgm).await, seen_to);
    }
    // Back: what was seen to is closed. The other rule wants to see more of it.
    client
        .upload(&topic, upload(&[glucose(minutes_ago(20), 4.5)]))
        .await;
    let cleared = told(&[(VERY_LOW, "closed"), (LOW, "raised")]);
    assert_eq!(statuses(&server, &token, &cgm).await, cleared);
    // The rule is armed again: a new episode, which nobody has seen to.
    client
        .upload(&topic, upload(&[glucose(minutes_ago(15), 2.4)]))
        .await;
    let again = told(&[(VERY_LOW, "closed"), (LOW, "raised"), (VERY_LOW, "raised")]);
    assert_eq!(statuses(&server, &token, &cgm).await, again);
    for episode in server.judged(cgm.patient).await {
        let raised = episode.transitions.iter().filter(|kind| *kind == "raised");
        assert_eq!(raised.count(), 1, "{episode:?}");
    }
}

#[tokio::test]
async fn invariant_5_a_late_episode_pages_when_it_turns_out_to_be_true_now() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let token = server.add_token("a team").await;
    let cgm = server.enrol_on("diabetes-type-1", "cgm").await;
    let topic = cgm.topic("readings");
    let mut stream = server.events("/api/v1/alerts/stream", &token, None).await;
    let mut client = cgm.connect_v5().await;
    let mut events = Vec::new();
    // Hours ago, and nothing since.
    client
        .upload(&topic, upload(&[glucose(minutes_ago(180), 2.8)]))
        .await;
    events.push(stream.next().await.unwrap());
    client
        .upload(&topic, upload(&[glucose(minutes_ago(120), 2.7)]))
        .await;
    let alert = &alerts(&server, &token, &cgm).await[0];
    assert_eq!(
        (&alert["late"], &alert["status"]),
        (&true.into(), &"raised".into())
    );

    // And it is so now.
    client
        .upload(&topic, upload(&[glucose(minutes_ago(1), 2.6)]))
        .await;
    events.push(stream.next().await.unwrap());
    client.upload(&topic, upload(&[glucose(now(), 5.0)])).await;
    events.push(stream.next().await.unwrap());
    // In the event of what happened stands how it was then, or is now: of each, it became true once.
    let names: Vec<_> = events.iter().map(|event| event.event.as_str()).collect();
    // The sustained rule has nothing to say: an hour without a reading is not known to have been low.
    assert_eq!(names, ["raised", "became_current", "cleared"]);
    let episodes = server.judged(cgm.patient).await;
    assert_eq!(episodes.len(), 1);
    assert!(!episodes[0].late);
    assert_eq!(episodes[0].transitions, ["raised", "became_current", "cleared"]);
}
