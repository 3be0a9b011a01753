//! A care plan that healthy readings breach often, so that there is much to judge: every kind of condition,
//! over one metric and over two, with limits on one side and on both.

use homeward_alerts::Definition;
use homeward_store::admin::{self, NewRule};
use serde_json::{Value, json};

use crate::harness::{Device, Server, now};
use crate::oracle::{self, Rule};

fn plan() -> Value {
    let pressure = json!([
        {"metric": "systolic", "at_least": 135, "clear": 130},
        {"metric": "diastolic", "at_least": 85, "clear": 82},
    ]);
    let pulse = json!([
        {"metric": "heart_rate", "above": 90, "clear": 85},
        {"metric": "heart_rate", "at_most": 60},
    ]);
    let glucose = json!([
        {"metric": "glucose", "below": 3.9, "clear": 4.2},
        {"metric": "glucose", "above": 10.0, "clear": 9.5},
    ]);
    let rule = |code: &str, condition: Value| {
        let definition = json!({
            "name": code, "severity": "low", "condition": condition, "guidance": "None.", "source": "A test.",
        });
        json!({"code": code, "definition": definition})
    };
    json!({"rules": [
        rule("pressure", json!({"kind": "threshold", "limits": pressure})),
        rule("pressure-for-hours", json!({
            "kind": "sustained", "limits": pressure, "for_seconds": 36_000, "max_gap_seconds": 86_400,
            "clear_after_seconds": 3_600,
        })),
        rule("pulse", json!({"kind": "threshold", "limits": pulse, "clear_after_seconds": 30})),
        rule("pulse-for-a-while", json!({
            "kind": "sustained", "limits": pulse, "for_seconds": 20, "max_gap_seconds": 3,
            "clear_after_seconds": 10,
        })),
        rule("glucose", json!({"kind": "threshold", "limits": glucose})),
        rule("glucose-for-a-while", json!({
            "kind": "sustained", "limits": glucose, "for_seconds": 1_800, "max_gap_seconds": 900,
            "clear_after_seconds": 1_200,
        })),
    ]})
}

/// Its rules, as the oracle reads them.
pub(crate) fn rules() -> Vec<Rule> {
    oracle::rules(&plan())
}

/// Enrols a device with a patient who has this plan.
pub(crate) async fn enrol(server: &Server, kind: &str) -> Device {
    let device = server.enrol(kind).await;
    let plan = plan();
    // As the product reads and writes them.
    let rules: Vec<_> = plan["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| {
            let definition = Definition::parse(&rule["definition"]).unwrap();
            (
                rule["code"].as_str().unwrap(),
                serde_json::to_value(definition).unwrap(),
            )
        })
        .collect();
    let rules: Vec<_> = rules
        .iter()
        .map(|(code, definition)| NewRule {
            patient: device.patient,
            code,
            programme: "strict",
            definition,
            always_on: false,
        })
        .collect();
    let mut transaction = server.pool.begin().await.unwrap();
    admin::set_rules(&mut transaction, &rules, "a test", "a test", now())
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    device
}
