use axum::http::Method;
use homeward_record::PatientId;
use homeward_store::access::Role;
use serde_json::{Value, json};

use crate::testing::{Answer, TestApp};

struct Stock {
    app: TestApp,
    patient: PatientId,
    administrator: String,
}

impl Stock {
    async fn open() -> Stock {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let administrator = app.token_of(Role::Administrator, None, None).await;
        Stock {
            app,
            patient,
            administrator,
        }
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.app
            .send_as(&self.administrator, &Method::POST, path, Some(body))
            .await
    }
}

#[tokio::test]
async fn a_device_is_registered_given_to_another_patient_and_revoked() {
    let stock = Stock::open().await;
    let other = stock.app.add_patient().await;
    let body = json!({"patient": stock.patient, "kind": "cuff", "from": "2026-11-01T00:00:00Z"});
    let registered = stock.post("/api/v1/devices", &body).await;
    assert_eq!(registered.status, 201, "{}", registered.body);
    let credentials: Value = serde_json::from_str(&registered.body).unwrap();
    assert_eq!(
        credentials,
        json!({
            "device": 10001, "username": "10001", "client_id": "10001", "secret": credentials["secret"],
            "readings_topic": "v1/devices/10001/readings", "errors_topic": "v1/devices/10001/errors",
        })
    );
    assert_eq!(credentials["secret"].as_str().unwrap().len(), 64);

    let assigned = stock
        .post(
            "/api/v1/devices/10001/assignments",
            &json!({"patient": other, "from": "2026-11-20T00:00:00Z"}),
        )
        .await
        .json();
    assert_eq!(assigned["devices"][0]["until"], Value::Null);
    let before = stock
        .app
        .get(&format!("/api/v1/patients/{}/devices", stock.patient))
        .await
        .json();
    assert_eq!(
        before,
        json!({
            "patient": stock.patient,
            "devices": [{
                "device_id": 10001, "kind": "cuff", "utc_offset_minutes": 0, "from": "2026-11-01T00:00:00Z",
                "until": "2026-11-20T00:00:00Z", "revoked_at": null,
            }],
        })
    );
    let past = json!({"patient": stock.patient, "from": "2026-11-10T00:00:00Z"});
    assert_eq!(
        stock
            .post("/api/v1/devices/10001/assignments", &past)
            .await
            .status,
        409,
        "a period that is over does not change"
    );
    for _ in 0..2 {
        let revoked = stock
            .post("/api/v1/devices/10001/revoke", &json!({}))
            .await
            .json();
        assert_eq!(
            revoked,
            json!({"device": 10001, "revoked_at": "2026-11-22T12:00:00Z"})
        );
    }
    let again = json!({"patient": stock.patient});
    let again = stock.post("/api/v1/devices/10001/assignments", &again).await;
    assert_eq!(again.status, 409, "{}", again.body);
    assert_eq!(
        stock.post("/api/v1/devices/7/revoke", &json!({})).await.status,
        404
    );
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let stock = Stock::open().await;
    for (body, status) in [
        (json!({"patient": stock.patient, "kind": " "}), 400),
        (
            json!({"patient": stock.patient, "kind": "cuff", "utc_offset_minutes": 1081}),
            400,
        ),
        (
            json!({"patient": stock.patient, "kind": "cuff", "secret": "mine"}),
            400,
        ),
        (json!({"patient": 7777, "kind": "cuff"}), 404),
    ] {
        let answer = stock.post("/api/v1/devices", &body).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
    }
}
