//! From a reading to an alert on a team's screen.

use hyper::StatusCode;
use serde_json::Value;

use crate::harness::*;

#[tokio::test]
async fn a_very_low_glucose_is_an_alert_on_the_list_and_on_the_stream() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let token = server.cli(&["token", "add", "--name", "ward screen"]).await["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let enrolled = server
        .cli(&[
            "patient",
            "add",
            "--nhs-number",
            "999 000 0018",
            "--name",
            "Test Patient",
            "--born",
            "1961-02-03",
            "--plan",
            "diabetes-type-1",
        ])
        .await;
    let patient = homeward_record::PatientId(enrolled["patient_id"].as_i64().unwrap());
    let cgm = server.enrol_for(patient, "cgm").await;
    let mut stream = server.events("/api/v1/alerts/stream", &token, None).await;
    let mut client = cgm.connect_v5().await;
    let topic = cgm.topic("readings");

    let at = minutes_ago(1);
    client.upload(&topic, upload(&[glucose(at, 2.5)])).await;
    // With the PUBACK it is there.
    let list = server.get("/api/v1/alerts?status=raised", &token).await.json();
    let alerts = list["alerts"].as_array().unwrap();
    assert_eq!(alerts.len(), 1, "{list}");
    let alert = &alerts[0];
    assert_eq!(
        (&alert["severity"], &alert["late"]),
        (&"high".into(), &false.into())
    );
    assert_eq!(
        (&alert["patient"], &alert["rule"]["code"]),
        (&patient.0.into(), &"glucose-very-low".into())
    );
    assert_eq!(
        (&alert["onset"]["value"], &alert["onset"]["unit"]),
        (&2.5.into(), &"mmol/L".into())
    );

    let event = stream.next().await.unwrap();
    assert_eq!(event.event, "raised");
    let told: Value = serde_json::from_str(&event.data).unwrap();
    assert_eq!(told["alert"]["id"], alert["id"]);

    // Somebody sees to it; the glucose rises; the episode ends.
    let path = format!("/api/v1/alerts/{}/acknowledge", alert["id"]);
    assert_eq!(server.post(&path, &token).await.status, StatusCode::OK);
    assert_eq!(stream.next().await.unwrap().event, "acknowledged");
    client.upload(&topic, upload(&[glucose(now(), 5.5)])).await;
    let mut kinds = vec![stream.next().await.unwrap().event];
    while kinds.last().unwrap() != "closed" {
        kinds.push(stream.next().await.unwrap().event);
    }
    assert_eq!(kinds, ["cleared", "closed"]);

    // Who comes later, or again, is told what happened meanwhile.
    let mut again = server
        .events("/api/v1/alerts/stream", &token, Some(&event.id))
        .await;
    assert_eq!(again.next().await.unwrap().event, "acknowledged");
    // Nobody without a token sees any of it.
    assert_eq!(
        server.get("/api/v1/alerts", "").await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        server.get("/api/v1/alerts", "hw_guessed").await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn invariant_5_what_arrives_late_is_judged_and_marked_late() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    for version in Version::BOTH {
        let cgm = server.enrol_on("diabetes-type-1", "cgm").await;
        let mut client = cgm.connect(version).await;
        let topic = cgm.topic("readings");
        // The present comes first, then the backlog of a day offline.
        client
            .upload(&topic, upload(&[glucose(minutes_ago(1), 5.5)]))
            .await;
        let day = 24 * 60;
        let backlog = upload(&[
            glucose(minutes_ago(day), 2.5),
            glucose(minutes_ago(day - 10), 5.0),
        ]);
        client.upload(&topic, backlog).await;
        let episodes = server.episodes(cgm.patient).await;
        assert_eq!(episodes.len(), 1, "{episodes:?}");
        assert!(episodes[0].late);
        assert_eq!(
            (&*episodes[0].code, &*episodes[0].severity),
            ("glucose-very-low", "high")
        );
        // It is over already: nothing to act on now.
        assert_ne!(episodes[0].status, "raised");

        // What is low now is an alert of its own.
        client.upload(&topic, upload(&[glucose(now(), 2.2)])).await;
        let episodes = server.episodes(cgm.patient).await;
        let shown: Vec<_> = episodes
            .iter()
            .map(|e| (e.late, &*e.status, e.worst_value))
            .collect();
        assert_eq!(shown[1], (false, "raised", 2.2), "{episodes:?}");
    }
}
