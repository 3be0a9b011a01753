//! `POST /api/v1/rules/dry-run`: what rules would have raised over a time that has passed. Nothing is written, and
//! nobody is paged.
//!
//! The body says what to try, on whom, and over which time:
//!
//! - one of `rule` (`{"code": "glucose-low", "definition": {…}}`: stands in for the rule of that code, if there is
//!   one), `plan` (a list of such rules) or `programme` (its name; both stand in for the present plan);
//! - one of `patient` (a number) or `enrolled_in` (a programme: all who have rules of it in their present plans; a
//!   plan then stands in for the rules of that programme);
//! - `from` and `to` (RFC 3339; the last 30 days).
//!
//! For one patient the episodes are listed in full, for a programme the first hundred; the answer says how its
//! figures are meant.

#[cfg(test)]
mod tests;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, TimeDelta, Utc};
use homeward_alerts::DefinitionError;
use homeward_alerts::dry_run::{
    DryRunError, Limits, Listing, Proposal, Replaces, Report, Scope, TrialRule, USUAL_TIME, dry_run,
};
use homeward_record::PatientId;
use homeward_store::replay::patients_on;
use serde::Deserialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::access::Exchange;
use crate::care_plan::begin::named;
use crate::error::ApiError;
use crate::request::{Body, Instant, Query};
use crate::routes::App;

/// The most readings that are judged for a request: some fifty months of a sensor that measures every five
/// minutes, and about two seconds of two processors, which also have readings to take.
const MAX_READINGS: u64 = 500_000;

/// The longest time, in days. A programme's rules are for weeks and months, and each week of it is read apart.
const MAX_DAYS: i64 = 366;

/// The groups of patients that are worked on at once: so many of the interface's connections are taken.
const WORKERS: usize = 2;

/// How many episodes are listed for one patient: all, but for a rule that nobody would put into a plan. Some
/// megabytes.
const LISTED_FOR_A_PATIENT: usize = 10_000;

/// How many are listed for a programme: enough to see what they are like.
const LISTED_FOR_A_PROGRAMME: usize = 100;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    rule: Option<Value>,
    plan: Option<Value>,
    programme: Option<String>,
    patient: Option<PatientId>,
    enrolled_in: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoParameters {}

pub(crate) async fn post(
    State(app): State<App>,
    exchange: Exchange,
    Query(NoParameters {}): Query<NoParameters>,
    Body(asked): Body<Asked>,
) -> Result<Json<Report>, ApiError> {
    let mut proposal = asked.proposal(exchange.now())?;
    proposal.scope = visible(&exchange, proposal.scope).await?;
    run(&app, proposal).await.map(Json)
}

/// Runs a proposal whose scope the caller may see.
pub(crate) async fn run(app: &App, proposal: Proposal) -> Result<Report, ApiError> {
    let Ok(_turn) = app.dry_runs.try_acquire() else {
        return Err(ApiError::Busy("another dry run is at work; try again shortly"));
    };
    let limits = Limits {
        readings: MAX_READINGS,
        workers: WORKERS,
    };
    dry_run(&app.pool, proposal, limits, |_| {}).await.map_err(failed)
}

/// What of a scope the caller may see: a dry run itself sees the whole record.
async fn visible(exchange: &Exchange, scope: Scope) -> Result<Scope, ApiError> {
    match scope {
        Scope::Programme(programme) => {
            let patients = patients_on(&mut *exchange.connection().await, &programme, exchange.now()).await?;
            exchange.note_patients(patients.iter().copied());
            Ok(Scope::Some { programme, patients })
        }
        Scope::Patient(patient) => {
            exchange.require(patient).await?;
            Ok(Scope::Patient(patient))
        }
        Scope::Some { .. } => Ok(scope),
    }
}

impl Asked {
    fn proposal(&self, now: DateTime<Utc>) -> Result<Proposal, ApiError> {
        let (rules, replaces) = self.rules()?;
        let (scope, most) = match (self.patient, &self.enrolled_in) {
            (Some(patient), None) => (Scope::Patient(patient), LISTED_FOR_A_PATIENT),
            (None, Some(programme)) => (Scope::Programme(programme.clone()), LISTED_FOR_A_PROGRAMME),
            _ => {
                return Err(ApiError::parameter(
                    "patient",
                    "send one of patient and enrolled_in",
                ));
            }
        };
        let (from, to) = self.time(now)?;
        Ok(Proposal {
            rules,
            replaces,
            scope,
            from,
            to,
            now,
            listing: Listing { most },
        })
    }

    fn rules(&self) -> Result<(Vec<TrialRule>, Replaces), ApiError> {
        match (&self.rule, &self.plan, &self.programme) {
            (Some(rule), None, None) => {
                let rule = TrialRule::parse(rule, "rule").map_err(wrong)?;
                Ok((vec![rule], Replaces::Rules))
            }
            (None, Some(plan), None) => {
                let plan = TrialRule::parse_plan(plan, "plan").map_err(wrong)?;
                Ok((plan, Replaces::Plan))
            }
            (None, None, Some(name)) => {
                let rules = TrialRule::of_programme(named(name)?);
                Ok((rules, Replaces::Plan))
            }
            _ => Err(ApiError::parameter(
                "rule",
                "send one of rule, plan and programme",
            )),
        }
    }

    fn time(&self, now: DateTime<Utc>) -> Result<(DateTime<Utc>, DateTime<Utc>), ApiError> {
        let instant = |name: &str, text: &Option<String>| {
            let parse = |text: &String| text.parse().map(|Instant(at)| at);
            let at = text.as_ref().map(parse).transpose();
            at.map_err(|detail: &str| ApiError::parameter(name, detail))
        };
        let to = instant("to", &self.to)?.unwrap_or(now);
        let from = instant("from", &self.from)?.unwrap_or(to - USUAL_TIME);
        if from >= to {
            return Err(ApiError::parameter("from", "from must be before to"));
        }
        if to - from > TimeDelta::days(MAX_DAYS) {
            let detail = format!(
                "a request may be about {MAX_DAYS} days at most; homeward dry-run on the command line has no limit"
            );
            return Err(ApiError::parameter("from", detail));
        }
        Ok((from, to))
    }
}

fn wrong(error: DefinitionError) -> ApiError {
    ApiError::parameter(error.field, error.problem)
}

fn failed(error: DryRunError) -> ApiError {
    match error {
        DryRunError::UnknownPatient(_) | DryRunError::NobodyOn(_) => ApiError::NotFound(error.to_string()),
        DryRunError::TooMuch { .. } => ApiError::TooMuch(format!(
            "{error}: ask for a shorter time or for one patient, or try it on the command line with homeward \
             dry-run, which has no limit"
        )),
        DryRunError::Store(error) => ApiError::Store(error),
    }
}
