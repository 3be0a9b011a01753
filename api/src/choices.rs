//! `GET /api/v1/patients/{patient}/choices`: with whom a patient shares the record, and whether research may use it.
//!
//! `sharing` has each organisation that has, or had, a registration or an enrolment, and each about which the patient has
//! chosen; `reasons` are those on file now. Without a choice it is shared. `research` has what the patient has chosen here
//! and what the national data opt-out says; either may opt out, and `allowed` is what follows from both. Each has what
//! holds now (`from` and `by` are null where nobody has chosen), the `next` change that was chosen for later, and the
//! `history`, the latest first.
//!
//! Whoever may see the record sees the choices: who looks after a patient has to know to whom nothing is to be passed on.
//! Only the patient changes them, by [`sharing`] and [`research`]; a proxy looks. Nobody chooses on a patient's behalf, not
//! even a privacy officer: a choice that somebody else could have made is one that the patient cannot rely on. Who does not
//! sign in opts out of research nationally, by telephone or on paper, which counts here once it is imported; and an
//! organisation that is asked to look no longer ends its enrolment or registration.

pub(crate) mod research;
pub(crate) mod sharing;
#[cfg(test)]
mod tests;

use axum::Json;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use homeward_record::PatientId;
use homeward_store::choices::{Choice, Choices, Chosen, ResearchSource, Sharing, research_of, sharing_of};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::access::Exchange;
use crate::alerts::act::NoParameters;
use crate::error::ApiError;
use crate::request::{Path, Query};
use crate::series::require_patient;

/// How far ahead one may choose: further is a slip of the finger.
const FURTHEST: TimeDelta = TimeDelta::days(366);

/// What a patient has chosen.
#[derive(Serialize, ToSchema)]
pub(crate) struct View {
    patient: PatientId,
    pub(crate) sharing: Vec<WithOrganisation>,
    pub(crate) research: Research,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct WithOrganisation {
    pub(crate) organisation: SharedWith,
    /// `registration` and `enrolment`, as they are now.
    pub(crate) reasons: Vec<&'static str>,
    pub(crate) shared: bool,
    #[serde(flatten)]
    pub(crate) told: Told<Shared>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct SharedWith {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) kind: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Research {
    pub(crate) allowed: bool,
    pub(crate) patient: OfSource,
    pub(crate) national_data_opt_out: OfSource,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct OfSource {
    pub(crate) opted_out: bool,
    #[serde(flatten)]
    pub(crate) told: Told<OptedOut>,
}

/// What holds since when, and what else was chosen.
#[derive(Serialize, ToSchema)]
pub(crate) struct Told<T> {
    pub(crate) from: Option<DateTime<Utc>>,
    by: Option<String>,
    made_at: Option<DateTime<Utc>>,
    pub(crate) next: Option<Entry<T>>,
    pub(crate) history: Vec<Entry<T>>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Entry<T> {
    #[serde(flatten)]
    pub(crate) chosen: T,
    pub(crate) from: DateTime<Utc>,
    pub(crate) by: String,
    pub(crate) made_at: DateTime<Utc>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Shared {
    pub(crate) shared: bool,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct OptedOut {
    pub(crate) opted_out: bool,
}

pub(crate) async fn get(
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Json<View>, ApiError> {
    let patient = path.value("patient")?;
    require_patient(&mut *exchange.connection().await, patient).await?;
    answer(&exchange, patient).await
}

/// What a patient has chosen, as it stands after a change too.
async fn answer(exchange: &Exchange, patient: PatientId) -> Result<Json<View>, ApiError> {
    let mut connection = exchange.connection().await;
    view(&mut connection, patient, exchange.now()).await.map(Json)
}

/// What a patient has chosen, as it stands at a time.
pub(crate) async fn view(
    connection: &mut PgConnection,
    patient: PatientId,
    now: DateTime<Utc>,
) -> Result<View, ApiError> {
    let sharing = sharing_of(connection, patient, now).await?;
    let own = research_of(connection, patient, ResearchSource::Patient).await?;
    let national = research_of(connection, patient, ResearchSource::NationalDataOptOut).await?;
    let of_source = |choices: &Choices| OfSource {
        opted_out: !choices.allow(now),
        told: told(choices, now, |choice| OptedOut {
            opted_out: !choice.allowed,
        }),
    };
    Ok(View {
        patient,
        sharing: sharing
            .into_iter()
            .map(|one| with_organisation(one, now))
            .collect(),
        research: Research {
            allowed: own.allow(now) && national.allow(now),
            patient: of_source(&own),
            national_data_opt_out: of_source(&national),
        },
    })
}

fn with_organisation(one: Sharing, now: DateTime<Utc>) -> WithOrganisation {
    let reasons = [(one.registered, "registration"), (one.enrolled, "enrolment")];
    WithOrganisation {
        reasons: reasons
            .into_iter()
            .filter(|(is, _)| *is)
            .map(|(_, name)| name)
            .collect(),
        shared: one.choices.allow(now),
        told: told(&one.choices, now, |choice| Shared {
            shared: choice.allowed,
        }),
        organisation: SharedWith {
            id: one.organisation,
            name: one.name,
            kind: one.kind,
        },
    }
}

fn told<T>(choices: &Choices, now: DateTime<Utc>, chosen: impl Fn(&Choice) -> T) -> Told<T> {
    let entry = |choice: &Choice| Entry {
        chosen: chosen(choice),
        from: choice.from,
        by: choice.by.clone(),
        made_at: choice.made_at,
    };
    let holds = choices.at(now);
    // What comes next is a change: a choice that another took the place of, for the same time, may be none.
    let later = choices.periods().take_while(|(choice, _)| choice.from > now);
    let changes = later.filter(|(choice, _)| choice.allowed != choices.allow(now));
    Told {
        from: holds.map(|choice| choice.from),
        by: holds.map(|choice| choice.by.clone()),
        made_at: holds.map(|choice| choice.made_at),
        next: changes.last().map(|(choice, _)| entry(choice)),
        history: choices.0.iter().map(entry).collect(),
    }
}

/// Who chooses, when, and from when on it holds: now, or the later time that was given.
fn chosen(exchange: &Exchange, from: Option<DateTime<Utc>>) -> Result<Chosen<'_>, ApiError> {
    let now = exchange.now();
    let from = from.map_or(now, |from| from.trunc_subsecs(6));
    if from < now {
        return Err(ApiError::parameter("from", "a choice cannot hold for the past"));
    }
    if from > now + FURTHEST {
        return Err(ApiError::parameter("from", "from is more than a year ahead"));
    }
    Ok(Chosen {
        by: exchange.actor(),
        at: now,
        from,
    })
}
