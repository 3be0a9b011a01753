//! Bulk exports, by the real process.

use serde_json::Value;

use hyper::Method;

use crate::harness::*;

#[tokio::test]
async fn an_export_goes_on_after_a_restart_and_has_every_reading_once() {
    const PATIENTS: usize = 12;
    const READINGS: usize = 650;
    let database = TestDatabase::create().await;
    let mut server = Server::start(&database).await;
    let token = server.add_token("a warehouse").await;
    let watches = server.enrol_many(PATIENTS, &[]).await;
    let series: Vec<Value> = times().take(READINGS).map(|at| heart_rate(at, 70)).collect();
    for watch in &watches {
        let mut client = watch.connect_v5().await;
        assert_eq!(
            client.upload(&watch.topic("readings"), upload(&series)).await,
            STORED
        );
    }
    let authorization = format!("Bearer {token}");
    let headers = [
        ("authorization", authorization.as_str()),
        ("prefer", "respond-async"),
    ];
    let path = "/fhir/R4/Patient/$export?_type=Patient,Observation";
    let begun = server.send(Method::GET, path, &headers, &Value::Null).await;
    assert_eq!(begun.status, 202, "{}", begun.body);
    let id: String = sqlx::query_scalar("SELECT export_id FROM bulk_export")
        .fetch_one(&server.pool)
        .await
        .unwrap();
    server.kill().await;
    server.start_again().await;

    let status = format!("/fhir/R4/$export-status/{id}");
    let manifest = eventually("the export is complete", async || {
        let answer = server.get(&status, &token).await;
        (answer.status == 200).then(|| answer.json())
    });
    let manifest = manifest.await;
    for (place, (kind, number)) in [("Patient", PATIENTS), ("Observation", PATIENTS * READINGS)]
        .into_iter()
        .enumerate()
    {
        let file = &manifest["output"][place];
        assert_eq!((&file["type"], &file["count"]), (&kind.into(), &number.into()));
        let url = file["url"].as_str().unwrap();
        let answer = server.get(&url[url.find("/fhir/").unwrap()..], &token).await;
        let mut ids: Vec<String> = answer
            .body
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].to_string())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), number, "{kind}");
    }
    assert_eq!(server.get(&status, "").await.status, 401);
}
