//! `POST /api/v1/break-glass`: opens the record of a patient without a relationship, for a stated reason.
//!
//! The body is `{"nhs_number": "999 000 0018", "born": "1948-07-05", "reason": "Found collapsed, no team on record"}`:
//! number and date of birth together, so that nobody browses; where they do not fit, whose number it is sees that it was
//! tried. For four hours the caller's role may read the patient's
//! record, and change nothing. The patient sees it at once in the access log, and a privacy officer has to look into
//! it. Answers with the patient's number and until when.

pub(crate) mod review;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use homeward_record::{NhsNumber, PatientId};
use homeward_store::break_glass::{break_glass, find_patient};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::Exchange;
use crate::alerts::act::{NoParameters, TEXT_LENGTH, text};
use crate::error::ApiError;
use crate::guesses;
use crate::request::{Body, Query};
use crate::routes::App;

/// How long it lasts. A choice of this product: longer than an ambulance or an emergency department needs, shorter
/// than a shift.
const LASTS: TimeDelta = TimeDelta::hours(4);

/// The shortest reason, in characters: a word is none.
const SHORTEST_REASON: usize = 10;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    pub(crate) nhs_number: String,
    pub(crate) born: NaiveDate,
    pub(crate) reason: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Broken {
    id: i64,
    pub(crate) patient: PatientId,
    until: DateTime<Utc>,
}

pub(crate) async fn post(
    State(app): State<App>,
    exchange: Exchange,
    Query(NoParameters {}): Query<NoParameters>,
    Body(asked): Body<Asked>,
) -> Result<Json<Broken>, ApiError> {
    Ok(Json(open(&app, &exchange, &asked).await?))
}

/// Lets the caller's role see a patient for a while.
pub(crate) async fn open(app: &App, exchange: &Exchange, asked: &Asked) -> Result<Broken, ApiError> {
    let nhs_number: NhsNumber =
        asked
            .nhs_number
            .parse()
            .map_err(|error: homeward_record::NhsNumberError| {
                ApiError::parameter("nhs_number", error.to_string())
            })?;
    let reason = text("reason", &asked.reason, TEXT_LENGTH)?;
    if reason.chars().count() < SHORTEST_REASON {
        let detail = "say why you need to see the record: the patient and a privacy officer read it";
        return Err(ApiError::parameter("reason", detail));
    }
    guesses::count(app, exchange).await?;
    let mut connection = exchange.connection().await;
    let Some(patient) = find_patient(&mut connection, &nhs_number, asked.born).await? else {
        guesses::was_wrong(app, exchange, &nhs_number).await?;
        return Err(ApiError::NotFound(
            "there is no patient with this number and date of birth".to_owned(),
        ));
    };
    guesses::was_right(app, exchange).await?;
    let now = exchange.now();
    let until = now + LASTS;
    let held_role = exchange.principal().acts_as.id;
    let id = break_glass(&mut connection, held_role, patient, &reason, (now, until)).await?;
    exchange.note_patients([patient]);
    exchange.note_reason(&reason);
    Ok(Broken { id, patient, until })
}
