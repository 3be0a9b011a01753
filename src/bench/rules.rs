//! Nine rules, one of each kind. All but the average of blood pressures look at every heart rate.

use anyhow::Result;
use homeward_alerts::Definition;
use homeward_record::{Clock, PatientId};
use homeward_store::admin::{NewRule, set_rules};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::load::Enrolled;

/// Gives each patient the nine rules.
pub(super) async fn give_nine(connection: &mut PgConnection, patients: &[(i64, Enrolled)]) -> Result<()> {
    let definitions = conditions().into_iter().map(|condition| {
        let kind = condition["kind"].as_str().unwrap_or_default().to_owned();
        let definition = Definition::parse(&json!({
            "name": "Bench", "severity": "low", "condition": condition, "guidance": "None.", "source": "A bench.",
        }))?;
        anyhow::Ok((kind, serde_json::to_value(definition)?))
    });
    let definitions = definitions.collect::<Result<Vec<_>>>()?;
    let rules: Vec<_> = patients
        .iter()
        .flat_map(|(patient, _)| {
            definitions.iter().map(|(kind, definition)| NewRule {
                patient: PatientId(*patient),
                code: kind,
                programme: "bench",
                definition,
                always_on: false,
            })
        })
        .collect();
    set_rules(connection, &rules, "bench", "bench", Clock::System.now()).await?;
    Ok(())
}

fn conditions() -> [Value; 9] {
    let limits = json!([
        {"metric": "heart_rate", "above": 120, "clear": 110},
        {"metric": "heart_rate", "below": 40, "clear": 45},
    ]);
    [
        json!({"kind": "threshold", "limits": limits}),
        json!({
            "kind": "sustained", "limits": limits, "for_seconds": 600, "max_gap_seconds": 300,
            "unless": {"metric": "steps", "above": 0, "within_seconds": 600},
        }),
        json!({"kind": "repeated", "limits": limits, "times": 2, "of": 3, "within_seconds": 86_400}),
        json!({
            "kind": "change",
            "changes": [{"metric": "heart_rate", "rise": 60, "within_seconds": 3_600}],
        }),
        json!({
            "kind": "rate", "metric": "heart_rate", "rise_per_minute": 10, "over_seconds": 900,
            "min_span_seconds": 300, "toward": 140, "ahead_seconds": 600,
        }),
        json!({
            "kind": "time_in_range", "metric": "heart_rate", "days": 14, "min_active_percent": 70,
            "interval_seconds": 60, "zone": "Europe/London",
            "figures": [{"from": 50, "to": 100, "under_percent": 70}],
        }),
        json!({"kind": "news2", "scale": 1, "total_at_least": 5, "single_at_least": 3}),
        json!({"kind": "silence", "metric": "heart_rate", "expected_every_seconds": 3_600, "times": 2}),
        // Of pressures only: it stands for a rule that none of the readings concern.
        json!({
            "kind": "home_average", "limits": [{"metric": "systolic", "at_least": 135}], "days": 7,
            "min_days": 4, "zone": "Europe/London",
        }),
    ]
}
