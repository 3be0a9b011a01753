//! `PUT /api/v1/patients/{patient}/choices/sharing/{organisation}`: shares the record with an organisation, or no longer.
//!
//! The body is `{"shared": false}`, and may say `"from"` which time on (RFC 3339; now). It counts from then on for every
//! request of everybody in the organisation, and takes the place of what was chosen for later. Who has no reason left may
//! still break the glass, which the patient sees. It may be an organisation that has never had a reason to look. Answers
//! what `GET …/choices` does.

use axum::Json;
use chrono::{DateTime, Utc};
use homeward_record::PatientId;
use homeward_store::choices::{choose_sharing, organisation_exists};
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
    pub(crate) shared: bool,
    pub(crate) from: Option<DateTime<Utc>>,
}

pub(crate) async fn put(
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
    Body(asked): Body<Asked>,
) -> Result<Json<View>, ApiError> {
    let patient = path.value("patient")?;
    share(&exchange, patient, path.value("organisation")?, &asked).await?;
    answer(&exchange, patient).await
}

/// Shares a patient's record with an organisation in the caller's name, or no longer.
pub(crate) async fn share(
    exchange: &Exchange,
    patient: PatientId,
    organisation: i64,
    asked: &Asked,
) -> Result<(), ApiError> {
    let chosen = chosen(exchange, asked.from)?;
    let mut connection = exchange.connection().await;
    require_patient(&mut connection, patient).await?;
    if !organisation_exists(&mut connection, organisation).await? {
        let detail = format!("there is no organisation {organisation}");
        return Err(ApiError::NotFound(detail));
    }
    choose_sharing(&mut connection, patient, organisation, asked.shared, chosen).await?;
    Ok(())
}
