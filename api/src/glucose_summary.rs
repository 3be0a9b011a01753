//! `GET /api/v1/patients/{patient}/glucose-summary`: the figures of an ambulatory glucose profile.
//!
//! Parameters: `from` and `to` (RFC 3339; the last 14 days, at most 90), `interval` (minutes between two readings of
//! the sensor) and `zone` (the patient's time zone by its IANA name, `Europe/London` by default).
//! Readings marked as entered in error do not count. `targets` are those of the rule of time in range in the patient's
//! plan, as it is at the end of the window; without one, those of adults with diabetes; or those of the `programme` that
//! is named (such as `diabetes-older` or `diabetes-pregnancy`). What they aim at is `in_range`, and what is below it low.
//!
//! A sensor that measures every minute, every 5 minutes or, as FreeStyle Libre stores it, every 15 is told by its readings:
//! `interval_minutes` has the usual distance between them, and more than one where another sensor took its place. A reading
//! speaks for the time until the next, or where that is missing, for an interval. With less than 70 % of the time,
//! `sufficient` is false: the figures are told, and do not speak for the time. The rule of the plan goes by the interval that
//! stands in it: where it says nothing because of that, `expect_too_many` is true.

use axum::Json;
use chrono::{DateTime, TimeDelta, Utc};
use homeward_alerts::summary::glucose_targets::{GlucoseTargets, aim, judge_targets};
use homeward_alerts::summary::{ADULT_RANGE, GlucoseSummary, Sample, summarise_glucose};
use homeward_alerts::{Condition, Definition, Programme, Share, TimeInRange, Zone};
use homeward_record::{Metric, PatientId};
use homeward_store::plans::{PlanVersion, load_versions};
use homeward_store::summary::WindowReading;
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::access::Exchange;
use crate::error::ApiError;
use crate::request::{Path, Query, Window, window_parameters, zone};
use crate::series::{readings_of_window, require_patient};

/// Over how long the consensus reports.
const USUAL: TimeDelta = TimeDelta::days(14);

/// The programme with the targets of adults.
const ADULTS: &str = "diabetes-type-1";

/// The longest time: 26,000 readings of a sensor that measures every five minutes.
const LONGEST: TimeDelta = TimeDelta::days(90);

window_parameters!(interval: u16, zone: String, programme: String);

#[derive(Serialize, ToSchema)]
pub(crate) struct Summary {
    patient: PatientId,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    unit: &'static str,
    #[serde(flatten)]
    pub(crate) figures: GlucoseSummary,
    pub(crate) targets: Targets,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Targets {
    /// The programme that they are of; null: they were made for the patient.
    programme: Option<String>,
    /// Whether they are in the patient's plan.
    in_plan: bool,
    /// Whether the plan's rule expects so many readings that it says nothing of a sensor that was active for long enough.
    pub(crate) expect_too_many: bool,
    #[serde(flatten)]
    pub(crate) judged: GlucoseTargets,
}

impl Targets {
    /// The range in which glucose is to be, in mmol/L, both ends included.
    pub(crate) fn aim(&self) -> (f64, f64) {
        let within = self.judged.shares.iter().find_map(|target| match target.share {
            Share::Within { from, to } => Some((from, to)),
            Share::Beyond(_) => None,
        });
        within.unwrap_or(ADULT_RANGE)
    }
}

/// A rule of time in range, and where it is from.
struct Aims {
    rule: TimeInRange,
    programme: Option<String>,
    in_plan: bool,
}

pub(crate) async fn get(
    exchange: Exchange,
    path: Path,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Summary>, ApiError> {
    let patient: PatientId = path.value("patient")?;
    if parameters.interval == Some(0) {
        return Err(ApiError::parameter(
            "interval",
            "a sensor measures every minute at most",
        ));
    }
    let named = parameters.programme.as_deref().map(|name| {
        let detail = || format!("{name:?} is not a programme with a time in range");
        aims_of(name).ok_or_else(|| ApiError::parameter("programme", detail()))
    });
    let named = named.transpose()?;
    let zone = zone(parameters.zone.as_deref())?;
    let window = Window::of_summary(parameters.from, parameters.to, exchange.now(), (USUAL, LONGEST))?;
    let interval = parameters.interval.map(u32::from);

    let mut connection = exchange.connection().await;
    require_patient(&mut connection, patient).await?;
    let aims = match named {
        Some(aims) => aims,
        None => Aims::of(&load_versions(&mut connection, patient, None).await?, window.to),
    };
    let (summary, _) = summarise(&mut connection, patient, window, (interval, zone, aims)).await?;
    Ok(Json(summary))
}

/// The summary of a patient's last two weeks by the patient's plan, and the samples that it is made of.
pub(crate) async fn of_last_days(
    connection: &mut PgConnection,
    patient: PatientId,
    plan: &[PlanVersion],
    now: DateTime<Utc>,
) -> Result<(Summary, Vec<Sample>), ApiError> {
    let window = Window::of_summary(None, None, now, (USUAL, LONGEST))?;
    let how = (None, zone(None)?, Aims::of(plan, window.to));
    summarise(connection, patient, window, how).await
}

async fn summarise(
    connection: &mut PgConnection,
    patient: PatientId,
    window: Window,
    (interval, zone, aims): (Option<u32>, Zone, Aims),
) -> Result<(Summary, Vec<Sample>), ApiError> {
    let readings = readings_of_window(connection, patient, &[Metric::Glucose], window).await?;
    let sample = |reading: &WindowReading| Sample {
        at: reading.at,
        device: reading.device,
        value: reading.value,
    };
    let right = readings.iter().filter(|reading| !reading.entered_in_error);
    let samples: Vec<Sample> = right.map(sample).collect();
    let bounds = (window.from, window.to);
    let figures = summarise_glucose(&samples, bounds, interval, zone, aim(&aims.rule));
    let summary = Summary {
        patient,
        from: window.from,
        to: window.to,
        unit: Metric::Glucose.unit(),
        targets: Targets {
            programme: aims.programme,
            in_plan: aims.in_plan,
            expect_too_many: aims.in_plan && figures.sufficient && expects_more(&aims.rule, &figures, window),
            judged: judge_targets(&aims.rule, &samples, &figures),
        },
        figures,
    };
    Ok((summary, samples))
}

/// Whether a rule expects more readings than there are.
fn expects_more(rule: &TimeInRange, figures: &GlucoseSummary, window: Window) -> bool {
    let length = (window.to - window.from).as_seconds_f64();
    let expected = length / f64::from(rule.interval_seconds);
    100.0 * (figures.readings as f64) < rule.min_active_percent * expected
}

impl Aims {
    /// What a plan aims at, or without that what adults with diabetes do.
    fn of(plan: &[PlanVersion], at: DateTime<Utc>) -> Aims {
        let in_force = plan.iter().filter(|version| version.is_in_force(at));
        let mut aims = in_force.filter_map(|version| {
            let rule = time_in_range(Definition::parse(&version.definition).ok()?)?;
            Some(Aims {
                rule,
                programme: version.programme.clone(),
                in_plan: true,
            })
        });
        let of_adults = || aims_of(ADULTS).expect("a programme of this crate");
        aims.next().unwrap_or_else(of_adults)
    }
}

/// What a programme aims at, if it is one of diabetes.
fn aims_of(programme: &str) -> Option<Aims> {
    let rules = &Programme::named(programme)?.rules;
    let rule = rules
        .iter()
        .find_map(|rule| time_in_range(rule.definition.clone()))?;
    Some(Aims {
        rule,
        programme: Some(programme.to_owned()),
        in_plan: false,
    })
}

fn time_in_range(definition: Definition) -> Option<TimeInRange> {
    match definition.condition {
        Condition::TimeInRange(rule) if rule.metric == Metric::Glucose => Some(rule),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use homeward_record::{DeviceId, Metric};
    use insta::assert_snapshot;
    use serde_json::json;

    use crate::care_plan::testing::on;
    use crate::testing::{TestApp, at, now};

    #[tokio::test]
    async fn a_summary_is_of_the_readings_of_its_window() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let glucose = |time: &str, value| (Metric::Glucose, at(&format!("2026-11-22T{time}:00Z")), value);
        let readings = [
            glucose("08:00", 5.0),
            glucose("08:05", 11.0),
            glucose("08:10", 8.0),
            // Not in the window.
            glucose("08:15", 2.0),
        ];
        app.store(patient, DeviceId(10_001), &readings).await;
        let window = "from=2026-11-22T08:00:00Z&to=2026-11-22T08:15:00Z";
        let path = format!("/api/v1/patients/{patient}/glucose-summary?{window}");
        let summary = app.get(&path).await.json();
        assert_eq!(summary["readings"], 3);
        assert_eq!(summary["mean"], 8.0);
        assert_eq!(summary["unit"], "mmol/L");
        assert_eq!(
            (&summary["active_percent"], &summary["sufficient"]),
            (&json!(100.0), &json!(true))
        );
        assert_eq!(summary["interval_minutes"], json!([5]));
        let percents: Vec<_> = summary["ranges"]
            .as_array()
            .unwrap()
            .iter()
            .map(|range| range["readings"].clone())
            .collect();
        assert_eq!(percents, [0, 0, 2, 1, 0]);
        // A sensor that should have sent more.
        let summary = app.get(&format!("{path}&interval=1")).await.json();
        assert_eq!(
            (&summary["active_percent"], &summary["sufficient"]),
            (&json!(20.0), &json!(false))
        );
    }

    #[tokio::test]
    async fn a_sensor_that_measures_every_15_minutes_suffices() {
        let (app, patient) = on("diabetes-type-1").await;
        // Two weeks but for every fifth reading.
        let readings: Vec<_> = (1..=14 * 24 * 4)
            .filter(|n| n % 5 != 0)
            .map(|n| (Metric::Glucose, now() - TimeDelta::minutes(15 * n), 7.0))
            .collect();
        app.store(patient, DeviceId(10_001), &readings).await;
        let path = format!("/api/v1/patients/{patient}/glucose-summary");
        let summary = app.get(&path).await.json();
        let active = summary["active_percent"].as_f64().unwrap();
        assert!((active - 80.0).abs() < 0.1, "{active}");
        assert_eq!(
            (
                &summary["interval_minutes"],
                &summary["sufficient"],
                &summary["targets"]["met"]
            ),
            (&json!([15]), &json!(true), &json!(true))
        );
        let page = app.get(&format!("/patients/{patient}")).await.body;
        assert!(
            page.contains("(80 % of the time, one every 15 minutes)"),
            "{page}"
        );
    }

    #[tokio::test]
    async fn targets_are_those_of_the_plan_or_of_the_programme_that_is_named() {
        let (app, patient) = on("diabetes-pregnancy").await;
        let readings: Vec<_> = (0..12)
            .map(|n| {
                (
                    Metric::Glucose,
                    at("2026-11-22T08:00:00Z") + TimeDelta::minutes(5 * n),
                    9.0,
                )
            })
            .collect();
        app.store(patient, DeviceId(10_001), &readings).await;
        let other = app.add_patient().await;
        app.store(other, DeviceId(10_002), &readings).await;
        let window = "from=2026-11-22T08:00:00Z&to=2026-11-22T09:00:00Z";
        let mut told = Vec::new();
        for (patient, query) in [
            (patient, ""),
            (patient, "&programme=diabetes-older"),
            (other, ""),
            // Before the plan began.
            (patient, "&from=2026-10-01T00:00:00Z&to=2026-10-02T00:00:00Z"),
        ] {
            let window = if query.contains("from") { "" } else { window };
            let path = format!("/api/v1/patients/{patient}/glucose-summary?{window}{query}");
            let summary = app.get(&path.replace("?&", "?")).await.json();
            let targets = &summary["targets"];
            told.push(json!([
                targets["programme"],
                targets["in_plan"],
                summary["ranges"][2]["percent"],
                targets["met"]
            ]));
        }
        assert_eq!(
            told,
            [
                json!(["diabetes-pregnancy", true, 0.0, false]),
                json!(["diabetes-older", false, 100.0, true]),
                json!(["diabetes-type-1", false, 100.0, true]),
                json!(["diabetes-type-1", false, 0.0, null]),
            ]
        );
    }

    #[tokio::test]
    async fn what_cannot_be_summed_up_is_explained() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let mut told = String::new();
        for (patient, query) in [
            (patient.0, "interval=0"),
            (patient.0, "zone=Mars"),
            (patient.0, "programme=hypertension"),
            (patient.0, "from=2026-01-01T00:00:00Z"),
            (patient.0, "from=2026-11-22T08:00:00Z&to=2026-11-22T08:00:00Z"),
            (1002, ""),
        ] {
            let answer = app
                .get(&format!("/api/v1/patients/{patient}/glucose-summary?{query}"))
                .await;
            told += &format!("{}\n", answer.problem());
        }
        assert_snapshot!(told, @r#"
        400 interval: a sensor measures every minute at most
        400 zone: "Mars" is not the name of a time zone
        400 programme: "hypertension" is not a programme with a time in range
        400 from: a summary is over 90 days at most
        400 from: from must be before to
        404 -: there is no patient 1002
        "#);
    }
}
