//! `DELETE /api/v1/patients/{patient}/passport-shares/{share}`: nobody can open a shared summary any more. Answers with the
//! share, of which nothing is forgotten. What somebody has on a screen or on paper by then stays there.

use axum::Json;
use homeward_record::PatientId;
use homeward_store::shares::{SharedSummary, revoke_share, shares_of};

use crate::access::Exchange;
use crate::alerts::act::NoParameters;
use crate::error::ApiError;
use crate::request::{Path, Query};

pub(crate) async fn delete(
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Json<SharedSummary>, ApiError> {
    let patient: PatientId = path.value("patient")?;
    revoke(&exchange, patient, path.value("share")?).await.map(Json)
}

/// Revokes a patient's share, in the caller's name.
pub(crate) async fn revoke(
    exchange: &Exchange,
    patient: PatientId,
    share: i64,
) -> Result<SharedSummary, ApiError> {
    let now = exchange.now();
    let mut connection = exchange.connection().await;
    revoke_share(&mut connection, patient, share, exchange.actor(), now).await?;
    let found = shares_of(&mut connection, patient, Some(share), now, 1).await?;
    let found = found.into_iter().next();
    found.ok_or_else(|| ApiError::NotFound(format!("there is no shared summary {share}")))
}
