//! What research gets, from the list for the national data opt-out to the files of an export.

use std::fs;

use chrono::TimeDelta;
use homeward_record::{NhsNumber, PatientId};
use homeward_store::choices::{Chosen, ResearchSource, choose_research};
use serde_json::json;

use crate::harness::*;

/// A heart rate that nobody else has.
fn pulse_of(patient: PatientId) -> f64 {
    60.25 + (patient.0 % 100) as f64
}

#[tokio::test]
async fn an_export_has_nobody_who_opted_out_and_says_who_nobody_is() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let devices = server.enrol_many(12, &["hypertension"]).await;
    let end = now();
    for device in &devices {
        sqlx::query(
            "INSERT INTO reading (patient_id, metric, time, device_id, value, received_at)
             SELECT $1, 1, $4 - days * INTERVAL '24 hours', $2, $3, $4 FROM generate_series(1, 3) AS days",
        )
        .bind(device.patient.0)
        .bind(device.id.0)
        .bind(pulse_of(device.patient))
        .bind(end)
        .execute(&server.pool)
        .await
        .unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();

    // The first of the list has opted out nationally, and somebody else here.
    let list = file("list.dat");
    let submitted = server.cli(&["opt-out", "submit", &list]).await;
    assert_eq!(submitted["numbers"], 12);
    let list = fs::read_to_string(list).unwrap();
    assert!(
        list.lines().all(|line| line.len() == 11 && line.ends_with(',')),
        "{list}"
    );
    assert!(list.ends_with(",\n") && !list.contains('\r'));
    let (first, rest) = list.split_once('\n').unwrap();
    let answer = file("answer.dat");
    let stranger = (998_000_000..)
        .find_map(NhsNumber::from_stem)
        .unwrap()
        .as_str()
        .to_owned();
    fs::write(&answer, format!("{rest}{stranger},\n")).unwrap();
    let wrong = server.cli_fails(&["opt-out", "import", &answer]).await;
    assert!(wrong.contains("line 12") && !wrong.contains(&stranger), "{wrong}");
    fs::write(&answer, rest).unwrap();
    let imported = server.cli(&["opt-out", "import", &answer]).await;
    assert_eq!(
        (&imported["returned"], &imported["newly_opted_out"]),
        (&json!(11), &json!(1))
    );
    let again = server.cli(&["opt-out", "import", &answer]).await;
    assert_eq!(again["newly_opted_out"], 0);
    let national: i64 = sqlx::query_scalar("SELECT patient_id FROM patient WHERE nhs_number = $1")
        .bind(first.trim_end_matches(','))
        .fetch_one(&server.pool)
        .await
        .unwrap();
    let own = devices
        .iter()
        .map(|device| device.patient)
        .find(|patient| patient.0 != national)
        .unwrap();
    let chosen = Chosen {
        by: "the patient",
        at: now(),
        from: now(),
    };
    let mut connection = server.pool.acquire().await.unwrap();
    choose_research(&mut connection, &[own], ResearchSource::Patient, true, chosen)
        .await
        .unwrap();
    let listed = server.cli(&["opt-out", "list"]).await;
    assert_eq!(listed["opted_out"].as_array().unwrap().len(), 2, "{listed}");

    let out = file("export");
    let export = [
        "research",
        "export",
        "--purpose",
        "how pulses change with age",
        "--requested-by",
        "Green Lane University",
        "--from",
        &(end - TimeDelta::days(9)).to_rfc3339(),
        "--to",
        &end.to_rfc3339(),
        "--rows",
        "--out",
        &out,
    ];
    let made = server.cli(&export).await;
    assert_eq!((&made["patients"], &made["opted_out"]), (&json!(10), &json!(2)));
    assert!(server.cli_fails(&export).await.contains("is there already"));
    let read = |name: &str| fs::read_to_string(folder.path().join("export").join(name)).unwrap();
    let aggregates = read("aggregates.csv");
    let pulses: Vec<&str> = aggregates
        .lines()
        .filter(|line| line.contains("heart_rate"))
        .collect();
    assert_eq!(pulses.len(), 1, "{aggregates}");
    assert!(pulses[0].starts_with("hypertension,"), "{aggregates}");
    assert!(pulses[0].contains(",heart_rate,/min,10,"), "{aggregates}");
    let rows = read("rows.csv");
    assert_eq!(rows.lines().count(), 1 + 10 * 3);
    for device in &devices {
        let is_out = device.patient == own || device.patient.0 == national;
        let pulse = format!(",{:.2},", pulse_of(device.patient));
        assert_eq!(!rows.contains(&pulse), is_out, "{}", device.patient);
    }
    let about = read("about.json");
    for text in [&aggregates, &rows, &about] {
        let day = (end - TimeDelta::days(2)).format("%Y-%m-%d").to_string();
        let numbers = list.lines().map(|line| line.trim_end_matches(','));
        for secret in numbers.chain(["A Patient", "1948", day.as_str()]) {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
    // Everybody in it sees that, and nobody else does.
    let told: Vec<i64> = sqlx::query_scalar(
        "SELECT UNNEST(patients) FROM audit_event WHERE action = 'research_rows' AND reason = 'how pulses change with age'",
    )
    .fetch_all(&server.pool)
    .await
    .unwrap();
    assert_eq!(told.len(), 10);
    assert!(!told.contains(&own.0) && !told.contains(&national));
    server.cli(&["audit", "verify"]).await;
}
