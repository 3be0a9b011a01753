//! `GET /api/v1/practice-overview`: how the patients of each programme are doing, counted.
//!
//! Parameter: `organisation` (the number of the practice where patients are registered; all).
//!
//! A patient belongs to each programme of which a rule is in force in their plan. Of the patients of a programme,
//!
//! - `out_of_target` have an open alert of one of the rules that judge the programme's target: the average at home of
//!   blood pressure, the time in range of glucose, the early warning score, the change of weight. The numbers are those
//!   of each patient's own plan, which a clinician may have adjusted.
//! - `in_target` have none.
//! - `not_enough_data` have too few readings to tell, or no such rule. What is enough is said by the rules of the
//!   programme: readings on 4 of the last 7 days, 70 % of what a sensor sends in 14 (one every 5 minutes, or what the
//!   patient's own plan says), all seven parameters in the last 24 hours, weights on 2 of the last 8 days. Days are
//!   those of UTC that are over; readings count once they are rolled up, which they are until `rolled_up_until`.
//!
//! These three make up `patients`. Apart from that, `overdue` have no reading of the programme's main metric within the
//! time in which their plan expects one (`expected_every_seconds` of its rule of silence; the rule itself tells the team
//! only after twice that), as of now and to the hour. `open_alerts` counts the open alerts of the programme's rules.

#[cfg(test)]
pub(crate) mod testing;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use homeward_alerts::Programme;
use homeward_alerts::summary::practice::{Goal, goals};
use homeward_store::access::visible_to;
use homeward_store::practice::{ProgrammeGoal, Standing, standings};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::Exchange;
use crate::error::ApiError;
use crate::request::{Query, parsed};
use crate::routes::App;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    organisation: Option<i64>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Overview {
    organisation: Option<i64>,
    as_of: DateTime<Utc>,
    rolled_up_until: DateTime<Utc>,
    /// Those that have patients, by name.
    programmes: Vec<OfProgramme>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct OfProgramme {
    pub(crate) programme: String,
    pub(crate) title: &'static str,
    pub(crate) patients: i64,
    pub(crate) in_target: i64,
    pub(crate) out_of_target: i64,
    pub(crate) not_enough_data: i64,
    pub(crate) overdue: i64,
    pub(crate) open_alerts: i64,
}

pub(crate) async fn get(
    State(app): State<App>,
    exchange: Exchange,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Overview>, ApiError> {
    let (rolled_up_until, standings) = of_caller(&app, &exchange, parameters.organisation).await?;
    Ok(Json(Overview {
        organisation: parameters.organisation,
        as_of: exchange.now(),
        rolled_up_until,
        programmes: counted(&standings),
    }))
}

/// How the patients whom the caller may see are doing, by programme and patient, and until when rollups are complete.
pub(crate) async fn of_caller(
    app: &App,
    exchange: &Exchange,
    organisation: Option<i64>,
) -> Result<(DateTime<Utc>, Vec<Standing>), ApiError> {
    let now = exchange.now();
    let goals = goals();
    let stored: Vec<ProgrammeGoal<'_>> = goals.iter().map(stored).collect();
    let held_role = exchange.principal().acts_as.id;
    let patients = visible_to(&mut *exchange.connection().await, held_role, now).await?;
    let mut connection = app.connection().await?;
    Ok(standings(&mut connection, &stored, &patients, organisation, now).await?)
}

/// Counts those of each programme, which stand together.
pub(crate) fn counted(standings: &[Standing]) -> Vec<OfProgramme> {
    let of_programme = standings.chunk_by(|one, next| one.programme == next.programme);
    of_programme.map(count).collect()
}

fn count(standings: &[Standing]) -> OfProgramme {
    let count = |counts: fn(&Standing) -> bool| {
        let n = standings.iter().filter(|standing| counts(standing)).count();
        i64::try_from(n).unwrap_or(i64::MAX)
    };
    let programme = standings.first().map_or("", |standing| &standing.programme);
    OfProgramme {
        title: Programme::named(programme).map_or("", |programme| &programme.title),
        programme: programme.to_owned(),
        patients: count(|_| true),
        in_target: count(|one| one.enough && !one.out_of_target),
        out_of_target: count(|one| one.enough && one.out_of_target),
        not_enough_data: count(|one| !one.enough),
        overdue: count(|one| one.overdue),
        open_alerts: standings.iter().map(|standing| standing.open_alerts).sum(),
    }
}

fn stored(goal: &Goal) -> ProgrammeGoal<'_> {
    ProgrammeGoal {
        programme: &goal.programme.name,
        target_codes: goal.target_codes.clone(),
        metrics: goal.enough.metrics.clone(),
        days: goal.enough.days,
        least_days: goal.enough.least_days,
        least_readings: i64::try_from(goal.enough.least_readings).unwrap_or(i64::MAX),
        interval_seconds: goal
            .enough
            .interval_seconds
            .and_then(|seconds| i32::try_from(seconds).ok()),
        expected: goal.expected,
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use homeward_record::Metric;
    use serde_json::{Value, json};

    use super::testing::{PRESSURE, enrol, join, measure, raise, roll_up};
    use crate::testing::{TestApp, now};

    async fn overview(app: &TestApp, query: &str) -> Vec<Value> {
        let answer = app.get(&format!("/api/v1/practice-overview{query}")).await.json();
        let told = |of: &Value| {
            json!([
                of["programme"],
                of["patients"],
                of["in_target"],
                of["out_of_target"],
                of["not_enough_data"],
                of["overdue"],
                of["open_alerts"],
            ])
        };
        answer["programmes"]
            .as_array()
            .unwrap()
            .iter()
            .map(told)
            .collect()
    }

    #[tokio::test]
    async fn patients_are_in_target_out_of_it_or_there_is_not_enough_to_tell() {
        let app = TestApp::start().await;
        let day = 24 * 60;
        let well = enrol(&app, "hypertension").await;
        measure(&app, well, &PRESSURE, day / 2, 7, 1).await;
        let high = enrol(&app, "hypertension").await;
        measure(&app, high, &PRESSURE, day / 2, 7, 1).await;
        raise(&app, high, "home-average-above-target").await;
        // Another alert says nothing of the target.
        let irregular = enrol(&app, "hypertension").await;
        measure(&app, irregular, &PRESSURE, day / 2, 7, 1).await;
        raise(&app, irregular, "irregular-pulse").await;
        // Three days are too few, however it was before; and nothing has come for longer than 15 hours.
        let few = enrol(&app, "hypertension").await;
        measure(&app, few, &PRESSURE, day, 3, 16).await;
        raise(&app, few, "home-average-high").await;
        // Systolic pressures alone are not enough.
        let half = enrol(&app, "hypertension").await;
        measure(&app, half, &PRESSURE[..1], day / 2, 7, 1).await;
        roll_up(&app).await;
        assert_eq!(
            overview(&app, "").await,
            [json!(["hypertension", 5, 2, 1, 2, 1, 3])]
        );
    }

    #[tokio::test]
    async fn each_programme_has_its_own_measure() {
        let app = TestApp::start().await;
        // Of what a sensor sends every five minutes, 83 % and 63 %.
        for every in [6, 8] {
            let patient = enrol(&app, "diabetes-type-1").await;
            measure(&app, patient, &[Metric::Glucose], every, 16, 2).await;
        }
        // One that sends every 15 minutes is enough where the plan says so.
        for says_so in [true, false] {
            let patient = enrol(&app, "diabetes-type-2").await;
            measure(&app, patient, &[Metric::Glucose], 15, 16, 2).await;
            sqlx::query(
                "UPDATE care_plan_rule SET definition = jsonb_set(definition, '{condition,interval_seconds}', '900')
                 WHERE patient_id = $1 AND definition #>> '{condition,kind}' = 'time_in_range' AND $2",
            )
            .bind(patient.0)
            .bind(says_so)
            .execute(app.pool())
            .await
            .unwrap();
        }
        let ward = enrol(&app, "virtual-ward").await;
        let seven = homeward_alerts::summary::news2::METRICS;
        measure(&app, ward, &seven, 6 * 60, 2, 5).await;
        raise(&app, ward, "early-warning-score-high").await;
        // On two programmes, and nothing was ever measured.
        let silent = enrol(&app, "virtual-ward").await;
        join(&app, silent, "heart-failure").await;
        roll_up(&app).await;
        assert_eq!(
            overview(&app, "").await,
            [
                json!(["diabetes-type-1", 2, 1, 0, 1, 0, 0]),
                json!(["diabetes-type-2", 2, 1, 0, 1, 0, 0]),
                json!(["heart-failure", 1, 0, 0, 1, 1, 0]),
                json!(["virtual-ward", 2, 0, 1, 1, 1, 1]),
            ]
        );
    }

    #[tokio::test]
    async fn a_plan_without_the_rule_cannot_tell_and_one_that_expects_less_is_not_overdue() {
        let app = TestApp::start().await;
        let patient = enrol(&app, "hypertension").await;
        measure(&app, patient, &PRESSURE, 12 * 60, 7, 20).await;
        roll_up(&app).await;
        assert_eq!(
            overview(&app, "").await,
            [json!(["hypertension", 1, 1, 0, 0, 1, 0])]
        );
        for statement in [
            "UPDATE care_plan_rule SET valid_until = $1 WHERE code LIKE 'home-average%'",
            "UPDATE care_plan_rule SET definition = jsonb_set(definition,
                 '{condition,expected_every_seconds}', '86400') WHERE code = 'blood-pressure-silent' AND $1 > '2026-01-01'",
        ] {
            sqlx::query(statement)
                .bind(now() - TimeDelta::days(1))
                .execute(app.pool())
                .await
                .unwrap();
        }
        assert_eq!(
            overview(&app, "").await,
            [json!(["hypertension", 1, 0, 0, 1, 0, 0])]
        );
    }

    #[tokio::test]
    async fn an_organisation_sees_those_who_are_registered_there() {
        let app = TestApp::start().await;
        let practice: i64 = sqlx::query_scalar(
            "INSERT INTO organisation (kind, name) VALUES ('gp_practice', 'High Street') RETURNING organisation_id",
        )
        .fetch_one(app.pool())
        .await
        .unwrap();
        let (registered, _) = (
            enrol(&app, "hypertension").await,
            enrol(&app, "hypertension").await,
        );
        sqlx::query("UPDATE patient SET organisation_id = $1 WHERE patient_id = $2")
            .bind(practice)
            .bind(registered.0)
            .execute(app.pool())
            .await
            .unwrap();
        assert_eq!(overview(&app, "").await[0][1], 2);
        assert_eq!(
            overview(&app, &format!("?organisation={practice}")).await[0][1],
            1
        );
        assert!(overview(&app, "?organisation=1").await.is_empty());
        let wrong = app.get("/api/v1/practice-overview?organisation=High").await;
        assert_eq!(wrong.status, 400);
        let answer = app.get("/api/v1/practice-overview").await.json();
        assert_eq!(answer["programmes"][0]["title"], "Hypertension at home");
    }
}
