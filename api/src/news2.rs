//! `GET /api/v1/patients/{patient}/news2`: the National Early Warning Score 2 (Royal College of Physicians, 2017).
//!
//! Parameters: `from` and `to` (RFC 3339; the last 24 hours, at most 31 days).
//!
//! `latest` is the score as of the last reading, `last_complete` the last one to which nothing was missing, each with
//! its seven parameters: value, time and score. `trend` has a point for each set of readings. Of each parameter the
//! latest reading counts that is not older than the window of the plan's rule, or 15 minutes. A score to which a
//! parameter is missing is `incomplete, at least N`, and so is its `response`: `zero`, `low` (1 to 4), `low_medium` (3
//! in one parameter), `medium` (5 or 6: urgent review) or `high` (7 or more: emergency). Scale 2 for oxygen saturation
//! counts while a rule of the patient's care plan sets it, else scale 1.
//!
//! The score is not for patients under 16 nor in pregnancy: `not_for` says so then, and nothing is scored.

use axum::Json;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use homeward_alerts::summary::news2::{
    LEAST_AGE, METRICS, News2Score, News2Summary, Setting, summarise_news2,
};
use homeward_alerts::{Condition, Definition, Observation, Scale};
use homeward_record::PatientId;
use homeward_store::plans::{PlanVersion, load_versions};
use homeward_store::summary::born;
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::access::Exchange;
use crate::error::ApiError;
use crate::request::{Path, Query, Window, window_parameters};
use crate::series::{observations, readings_of_window, require_patient, unknown};

const USUAL: TimeDelta = TimeDelta::days(1);

/// A month, so that a stay on a virtual ward is within it.
pub(crate) const LONGEST: TimeDelta = TimeDelta::days(31);

/// The programme whose patients are pregnant.
const PREGNANCY: &str = "diabetes-pregnancy";

window_parameters!();

#[derive(Serialize, ToSchema)]
pub(crate) struct Summary {
    patient: PatientId,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    not_for: Option<NotFor>,
    #[serde(flatten)]
    pub(crate) scores: News2Summary,
}

/// Whom the score is not for.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NotFor {
    #[serde(rename = "under_16")]
    Under16,
    Pregnancy,
}

pub(crate) async fn get(
    exchange: Exchange,
    path: Path,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Summary>, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let window = Window::of_summary(parameters.from, parameters.to, exchange.now(), (USUAL, LONGEST))?;

    let mut connection = exchange.connection().await;
    require_patient(&mut connection, patient).await?;
    summarise(&mut connection, patient, window).await.map(Json)
}

/// The scores of the time before now, of a length.
pub(crate) async fn of_last(
    length: TimeDelta,
    connection: &mut PgConnection,
    patient: PatientId,
    now: DateTime<Utc>,
) -> Result<Summary, ApiError> {
    let window = Window::of_summary(None, None, now, (length, LONGEST))?;
    summarise(connection, patient, window).await
}

async fn summarise(
    connection: &mut PgConnection,
    patient: PatientId,
    window: Window,
) -> Result<Summary, ApiError> {
    let (not_for, scores) = match Scored::load(connection, patient, window).await? {
        Ok(scored) => {
            let summary = summarise_news2(&scored.readings, |at| scored.setting(at));
            (None, summary)
        }
        Err(not_for) => (Some(not_for), News2Summary::default()),
    };
    Ok(Summary {
        patient,
        from: window.from,
        to: window.to,
        not_for,
        scores,
    })
}

/// The score as of a time: of what had been measured by then. `None`: nothing had, as long as it counts.
pub(crate) async fn as_of(
    connection: &mut PgConnection,
    patient: PatientId,
    (born, plan): (NaiveDate, &[PlanVersion]),
    at: DateTime<Utc>,
) -> Result<Result<Option<News2Score>, NotFor>, ApiError> {
    let window = Window {
        from: at - setting_at(&settings(plan), at).window,
        to: at + TimeDelta::microseconds(1),
    };
    let scored = Scored::by_plan(connection, patient, (born, plan), window).await?;
    Ok(scored.map(|scored| summarise_news2(&scored.readings, |at| scored.setting(at)).latest))
}

/// Readings of the seven parameters, and how they are scored.
pub(crate) struct Scored {
    /// Without those that are marked as entered in error, in their order.
    pub(crate) readings: Vec<Observation>,
    settings: Vec<(PlanVersion, Setting)>,
}

impl Scored {
    /// What of a window there is to score; or why this patient is not scored.
    pub(crate) async fn load(
        connection: &mut PgConnection,
        patient: PatientId,
        window: Window,
    ) -> Result<Result<Scored, NotFor>, ApiError> {
        let born = born(connection, patient).await?.ok_or_else(|| unknown(patient))?;
        let plan = load_versions(connection, patient, None).await?;
        Scored::by_plan(connection, patient, (born, &plan), window).await
    }

    /// The same of a patient of whom it is known when they were born, and what their plan is.
    pub(crate) async fn by_plan(
        connection: &mut PgConnection,
        patient: PatientId,
        (born, plan): (NaiveDate, &[PlanVersion]),
        window: Window,
    ) -> Result<Result<Scored, NotFor>, ApiError> {
        if let Some(not_for) = not_for(born, plan, window.to) {
            return Ok(Err(not_for));
        }
        let readings = readings_of_window(connection, patient, &METRICS, window).await?;
        let right = readings.iter().filter(|reading| !reading.entered_in_error);
        Ok(Ok(Scored {
            readings: observations(right),
            settings: settings(plan),
        }))
    }

    /// How readings are scored at a time: by a rule on scale 2 if there is one, since a clinician must have set that; by
    /// the first of the plan otherwise.
    pub(crate) fn setting(&self, at: DateTime<Utc>) -> Setting {
        setting_at(&self.settings, at)
    }
}

/// See [`Scored::setting`].
fn setting_at(settings: &[(PlanVersion, Setting)], at: DateTime<Utc>) -> Setting {
    let in_force = settings.iter().filter(|(version, _)| version.is_in_force(at));
    let mut in_force = in_force.map(|(_, setting)| *setting);
    let first = in_force.clone().next().unwrap_or_default();
    in_force
        .find(|setting| setting.scale == Scale::Two)
        .unwrap_or(first)
}

/// Whether oxygen saturation is scored on scale 2 at a time.
pub(crate) fn is_on_scale_2(plan: &[PlanVersion], at: DateTime<Utc>) -> bool {
    setting_at(&settings(plan), at).scale == Scale::Two
}

/// Within how long what is measured counts together, at a time.
pub(crate) fn window_at(plan: &[PlanVersion], at: DateTime<Utc>) -> TimeDelta {
    setting_at(&settings(plan), at).window
}

fn not_for(born: NaiveDate, plan: &[PlanVersion], at: DateTime<Utc>) -> Option<NotFor> {
    let pregnant =
        |version: &PlanVersion| version.is_in_force(at) && version.programme.as_deref() == Some(PREGNANCY);
    match at.date_naive().years_since(born) {
        None | Some(..LEAST_AGE) => Some(NotFor::Under16),
        _ if plan.iter().any(pregnant) => Some(NotFor::Pregnancy),
        _ => None,
    }
}

/// The versions of the plan's rules of the score, with what each sets.
fn settings(plan: &[PlanVersion]) -> Vec<(PlanVersion, Setting)> {
    let setting = |version: &PlanVersion| match Definition::parse(&version.definition).ok()?.condition {
        Condition::News2(rule) => Some(Setting {
            scale: rule.scale,
            window: TimeDelta::seconds(i64::from(rule.window_seconds)),
        }),
        _ => None,
    };
    let set = |version: &PlanVersion| setting(version).map(|setting| (version.clone(), setting));
    plan.iter().filter_map(set).collect()
}

#[cfg(test)]
mod tests {
    use homeward_record::{DeviceId, Metric};
    use insta::assert_snapshot;
    use serde_json::{Value, json};

    use super::*;
    use crate::care_plan::testing::on;
    use crate::testing::{TestApp, at};

    const DEVICE: DeviceId = DeviceId(10_001);

    /// Stores a set of readings with a saturation of 90 %, and 0 on the chart of everything else.
    async fn store_set(app: &TestApp, patient: PatientId, time: &str) {
        let value = |metric| match metric {
            Metric::RespiratoryRate => 16.0,
            Metric::Spo2 => 90.0,
            Metric::Systolic => 120.0,
            Metric::HeartRate => 70.0,
            Metric::BodyTemperature => 37.0,
            _ => 0.0,
        };
        let readings = METRICS.map(|metric| (metric, at(time), value(metric)));
        app.store(patient, DEVICE, &readings).await;
    }

    async fn ask(app: &TestApp, patient: PatientId, query: &str) -> Value {
        let path = format!("/api/v1/patients/{patient}/news2?{query}");
        app.get(&path).await.json()
    }

    #[tokio::test]
    async fn a_score_is_told_with_its_parts_and_its_course() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        store_set(&app, patient, "2026-11-22T08:00:00Z").await;
        let hot = [(Metric::BodyTemperature, at("2026-11-22T11:00:00Z"), 39.5)];
        app.store(patient, DEVICE, &hot).await;
        let answer = ask(&app, patient, "").await;
        let trend: Vec<_> = answer["trend"]
            .as_array()
            .unwrap()
            .iter()
            .map(|point| json!([point["at"], point["words"], point["response"]]))
            .collect();
        assert_eq!(
            trend,
            [
                json!(["2026-11-22T08:00:00Z", "3", "low_medium"]),
                json!(["2026-11-22T11:00:00Z", "incomplete, at least 2", "low"]),
            ]
        );
        let complete = &answer["last_complete"];
        assert_eq!((&complete["total"], &complete["scale"]), (&json!(3), &json!(1)));
        assert_eq!(
            complete["parameters"][1],
            json!({"metric": "spo2", "value": 90.0, "at": "2026-11-22T08:00:00Z", "score": 3})
        );
        assert_eq!(answer["latest"]["missing"].as_array().unwrap().len(), 6);
        assert_eq!(answer["not_for"], json!(null));
        // What is entered in error scores nothing.
        sqlx::query("UPDATE reading SET entered_in_error = true WHERE value = 90")
            .execute(app.pool())
            .await
            .unwrap();
        let answer = ask(&app, patient, "to=2026-11-22T10:00:00Z").await;
        assert_eq!(answer["latest"]["words"], "incomplete, at least 0");
    }

    #[tokio::test]
    async fn scale_2_counts_while_the_plan_sets_it() {
        let (app, patient) = on("copd").await;
        // Before the plan, and under it.
        store_set(&app, patient, "2026-10-31T08:00:00Z").await;
        store_set(&app, patient, "2026-11-20T08:00:00Z").await;
        let answer = ask(&app, patient, "from=2026-10-30T00:00:00Z&to=2026-11-22T12:00:00Z").await;
        let told: Vec<_> = answer["trend"]
            .as_array()
            .unwrap()
            .iter()
            .map(|point| json!([point["scale"], point["total"]]))
            .collect();
        assert_eq!(told, [json!([1, 3]), json!([2, 0])]);
    }

    #[tokio::test]
    async fn nobody_is_scored_whom_the_score_is_not_for() {
        let (app, patient) = on(PREGNANCY).await;
        store_set(&app, patient, "2026-11-22T08:00:00Z").await;
        let answer = ask(&app, patient, "").await;
        assert_eq!(
            (&answer["not_for"], &answer["latest"], &answer["trend"]),
            (&json!("pregnancy"), &json!(null), &json!([]))
        );
        for (born, not_for) in [("2010-11-23", json!("under_16")), ("2010-11-22", json!(null))] {
            let child = app.add_patient().await;
            sqlx::query("UPDATE patient SET born = $2::date WHERE patient_id = $1")
                .bind(child.0)
                .bind(born)
                .execute(app.pool())
                .await
                .unwrap();
            assert_eq!(ask(&app, child, "").await["not_for"], not_for, "{born}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_scored_is_explained() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let mut told = String::new();
        for (patient, query) in [
            (patient.0, "from=2026-01-01T00:00:00Z"),
            (patient.0, "scale=2"),
            (1002, ""),
        ] {
            let answer = app
                .get(&format!("/api/v1/patients/{patient}/news2?{query}"))
                .await;
            told += &format!("{}\n", answer.problem());
        }
        assert_snapshot!(told, @r"
        400 from: a summary is over 31 days at most
        400 scale: there is no such parameter; there are from, to
        404 -: there is no patient 1002
        ");
    }
}
