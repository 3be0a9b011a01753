//! `PUT /api/v1/patients/{patient}/choices/research`: lets research use the record, or not.
//!
//! The body is `{"opted_out": true}`, and may say `"from"` which time on (RFC 3339; now). It takes the place of what was
//! chosen for later. An export that is made after that has nothing of the patient; what was exported before cannot be
//! called back. It changes nothing about the national data opt-out, which is the patient's to change there. Answers what
//! `GET …/choices` does.

use axum::Json;
use chrono::{DateTime, Utc};
use homeward_record::PatientId;
use homeward_store::choices::{ResearchSource, choose_research};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{View, answer, chosen};
use crate::access::Exchange;
use crate::alerts::act::NoParameters;
use crate::error::ApiError;
use crate::request::{Body, Path, Query};
use crate::series::require_patient;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    pub(crate) opted_out: bool,
    pub(crate) from: Option<DateTime<Utc>>,
}

pub(crate) async fn put(
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
    Body(asked): Body<Asked>,
) -> Result<Json<View>, ApiError> {
    let patient = path.value("patient")?;
    opt(&exchange, patient, &asked).await?;
    answer(&exchange, patient).await
}

/// Lets research use a patient's record in the caller's name, or not.
pub(crate) async fn opt(exchange: &Exchange, patient: PatientId, asked: &Asked) -> Result<(), ApiError> {
    let chosen = chosen(exchange, asked.from)?;
    let mut connection = exchange.connection().await;
    require_patient(&mut connection, patient).await?;
    let source = ResearchSource::Patient;
    choose_research(&mut connection, &[patient], source, asked.opted_out, chosen).await?;
    Ok(())
}
