//! `GET /api/v1/break-glass`: what was opened without a relationship, what nobody has looked into yet first.
//! `POST /api/v1/break-glass/{break_glass}/review`: what a privacy officer found. Nobody looks into what they did themselves
//! (403), and what somebody else has found stands (409). A privacy officer of one organisation sees what was done there.

use axum::Json;
use homeward_store::break_glass::{self, BreakGlass, Reviewed, list};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::Exchange;
use crate::alerts::act::{NoParameters, TEXT_LENGTH, text};
use crate::error::ApiError;
use crate::request::{Body, Path, Query};

/// The most that is listed: a list that is longer is a matter of its own.
const MOST: i64 = 500;

#[derive(Serialize, ToSchema)]
pub(crate) struct Listed {
    break_glass: Vec<BreakGlass>,
}

/// The body of a review: `{"finding": "Justified: emergency admission"}`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Finding {
    finding: String,
}

pub(crate) async fn get(
    exchange: Exchange,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Json<Listed>, ApiError> {
    let break_glass = list(&mut *exchange.connection().await, MOST).await?;
    exchange.note_patients(break_glass.iter().map(|one| one.patient));
    Ok(Json(Listed { break_glass }))
}

pub(crate) async fn post(
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
    Body(body): Body<Finding>,
) -> Result<Json<BreakGlass>, ApiError> {
    let id: i64 = path.value("break_glass")?;
    let finding = text("finding", &body.finding, TEXT_LENGTH)?;
    review(&exchange, id, &finding).await.map(Json)
}

/// Notes what the caller found.
pub(crate) async fn review(exchange: &Exchange, id: i64, finding: &str) -> Result<BreakGlass, ApiError> {
    let by = (exchange.actor(), finding);
    let mut connection = exchange.connection().await;
    match break_glass::review(&mut connection, id, by, exchange.now()).await? {
        Reviewed::Noted(reviewed) => {
            exchange.note_patients([reviewed.patient]);
            exchange.note_reason(finding);
            Ok(reviewed)
        }
        Reviewed::Earlier(other) => {
            let by = other.reviewed_by.unwrap_or_default();
            Err(ApiError::Conflict(format!("{by} has looked into it already")))
        }
        Reviewed::Own => Err(ApiError::Forbidden(
            "it was you who opened the record: another privacy officer has to look into it",
        )),
        Reviewed::Unknown => Err(ApiError::NotFound(format!("there is no break-glass {id}"))),
    }
}
